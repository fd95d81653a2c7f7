//! The core's errors as Ruby exceptions. The classes are declared in `lib/encrypted_s3_service/errors.rb`.

use encrypted_s3_core::{Error as CoreError, ErrorKind};
use magnus::value::ReprValue;
use magnus::{Class, Error, ExceptionClass, Module, RModule, Ruby, Value};

/// The exception for an error of the core, with its kind as `code`.
pub fn raised(ruby: &Ruby, error: &CoreError) -> Error {
    build(ruby, class_name(error.kind()), &error.to_string(), Some(error.kind().name())).unwrap_or_else(|error| error)
}

/// An exception of the class `EncryptedS3Service::<name>`, for what only the binding knows.
pub fn named(ruby: &Ruby, name: &str, message: &str) -> Error {
    build(ruby, name, message, None).unwrap_or_else(|error| error)
}

/// A `ThreadError`: the handle is in use by another thread.
pub fn busy(ruby: &Ruby) -> Error {
    Error::new(ruby.exception_thread_error(), "this transfer is in use by another thread")
}

fn build(ruby: &Ruby, class: &str, message: &str, code: Option<&str>) -> Result<Error, Error> {
    let module: RModule = ruby.class_object().const_get("EncryptedS3Service")?;
    let class: ExceptionClass = module.const_get(class)?;
    let exception = class.new_instance((message,))?;
    if let Some(code) = code {
        let _code: Value = exception.funcall("instance_variable_set", ("@code", code))?;
    }
    Ok(exception.into())
}

/// Exhaustive on purpose: a new kind must be given a class before this compiles.
fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Configuration | ErrorKind::BucketNotFound => "ConfigurationError",
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::Access => "AccessError",
        ErrorKind::Changed => "ChangedError",
        ErrorKind::NotRotated => "NotRotatedError",
        ErrorKind::Transport => "TransportError",
        ErrorKind::Rejected => "StoreError",
        ErrorKind::MissingEnvelope | ErrorKind::Unsupported => "EnvelopeError",
        ErrorKind::CommitmentRequired | ErrorKind::LegacyDisabled | ErrorKind::PlaceRequired => "PolicyError",
        ErrorKind::KeyMismatch | ErrorKind::ContextMismatch => "KeyringError",
        ErrorKind::Unwrap => "UnwrapError",
        ErrorKind::Malformed
        | ErrorKind::FormatConfusion
        | ErrorKind::AlgMismatch
        | ErrorKind::Commitment
        | ErrorKind::Misplaced
        | ErrorKind::Auth
        | ErrorKind::Cbc => "TamperedError",
        ErrorKind::Truncated => "TruncatedError",
        ErrorKind::ChecksumMismatch => "ChecksumError",
        ErrorKind::InvalidRange => "InvalidRangeError",
        ErrorKind::TooLarge => "TooLargeError",
        ErrorKind::Io => "FileError",
        ErrorKind::Closed => "ClosedError",
        ErrorKind::Internal => "InternalError",
    }
}

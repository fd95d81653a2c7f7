//! The core's errors as Ruby exceptions. The classes are declared in `lib/encrypted_s3_service/errors.rb`.

use encrypted_s3_core::{Error as CoreError, ErrorKind};
use magnus::value::ReprValue;
use magnus::{Class, Error, Exception, ExceptionClass, Module, RModule, Ruby, Value};

/// Builds the exception for an error of the core, with its kind as `code`.
pub fn raised(ruby: &Ruby, error: &CoreError) -> Error {
    translated(ruby, error).unwrap_or_else(|error| error)
}

fn translated(ruby: &Ruby, error: &CoreError) -> Result<Error, Error> {
    let exception = build(ruby, class_name(error.kind()), &error.to_string())?;
    let attribute = |name: &str, value: Value| exception.funcall::<_, _, Value>("instance_variable_set", (name, value));
    attribute("@code", ruby.str_new(error.kind().name()).as_value())?;
    if let Some(answer) = error.answer() {
        attribute("@status", ruby.integer_from_u64(answer.status.into()).as_value())?;
        attribute("@store_code", ruby.str_new(&answer.code).as_value())?;
    }
    let Some(cause) = error.network_cause() else { return Ok(exception.into()) };
    let network: ExceptionClass = module(ruby)?.const_get("NetworkError")?;
    let network = network.new_instance((cause.text.as_str(), cause.reason))?;
    // Ruby sets the cause of an exception only when it is raised.
    exception.class().funcall::<_, _, Exception>("caused", (exception, network)).map(|caused| caused.into())
}

/// Builds an exception of the class `EncryptedS3Service::<name>`, for errors of the binding itself.
pub fn named(ruby: &Ruby, name: &str, message: &str) -> Error {
    build(ruby, name, message).map_or_else(|error| error, Error::from)
}

/// Builds the `ThreadError` for a handle that another thread is using.
pub fn busy(ruby: &Ruby) -> Error {
    Error::new(ruby.exception_thread_error(), "this transfer is in use by another thread")
}

fn build(ruby: &Ruby, class: &str, message: &str) -> Result<Exception, Error> {
    let class: ExceptionClass = module(ruby)?.const_get(class)?;
    class.new_instance((message,))
}

fn module(ruby: &Ruby) -> Result<RModule, Error> {
    ruby.class_object().const_get("EncryptedS3Service")
}

/// Exhaustive on purpose: a new kind must be given a class before this compiles.
fn class_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Configuration | ErrorKind::BucketNotFound => "ConfigurationError",
        ErrorKind::NotFound => "NotFoundError",
        ErrorKind::Access => "AccessError",
        ErrorKind::Changed => "ChangedError",
        ErrorKind::Archived => "ArchivedError",
        ErrorKind::Certificate => "CertificateError",
        ErrorKind::NotRotated => "NotRotatedError",
        ErrorKind::Transport | ErrorKind::Damaged => "TransportError",
        ErrorKind::Rejected | ErrorKind::UploadNotFound => "StoreError",
        ErrorKind::MissingEnvelope | ErrorKind::Unsupported => "EnvelopeError",
        ErrorKind::CommitmentRequired | ErrorKind::LegacyDisabled | ErrorKind::PlaceRequired => "PolicyError",
        ErrorKind::KeyMismatch | ErrorKind::ContextMismatch => "KeyringError",
        ErrorKind::KeyDisabled => "KeyDisabledError",
        ErrorKind::KeyDestroyed => "KeyDestroyedError",
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

//! The one error type of this crate.
//!
//! A kind is named after the action that the caller can take. Add a kind only for a caller that acts differently.
//! Messages name the object, the setting or the metadata entry and never hold a key, a signed URL, a header of a
//! request or plaintext. The source holds a library's error, for logs; the same rule applies to it.

use std::error::Error as StdError;
use std::fmt;

/// The kind of an error, by the action that the caller can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting is missing or wrong.
    Configuration,
    /// The object does not exist.
    NotFound,
    /// The bucket does not exist.
    BucketNotFound,
    /// The store refused the credentials or the permission.
    Access,
    /// The object is archived and must be restored before it can be read.
    Archived,
    /// The multipart upload does not exist: it was completed or aborted before.
    UploadNotFound,
    /// The object was replaced while it was being read.
    Changed,
    /// The store accepted another envelope for an object, but does not return it.
    NotRotated,
    /// The store could not be reached, timed out or answered with a temporary failure.
    Transport,
    /// The store's certificate or its TLS is not accepted. No request was sent.
    Certificate,
    /// The received bytes do not have the checksum that the store sent with them.
    Damaged,
    /// The store refused the request for a permanent reason.
    Rejected,
    /// The object has no encryption envelope: it was not written by an S3 encryption client.
    MissingEnvelope,
    /// The envelope lacks an entry, or an entry does not follow the format.
    Malformed,
    /// The envelope names an algorithm or format that this crate does not read.
    Unsupported,
    /// Entries of several formats are mixed.
    FormatConfusion,
    /// The commitment policy requires key commitment and the object has none.
    CommitmentRequired,
    /// The object is in a legacy form and reading legacy forms is not enabled.
    LegacyDisabled,
    /// The data key was wrapped by another kind of key than the configured ones.
    KeyMismatch,
    /// The data key was wrapped by KMS in another encryption context than the configured one.
    ContextMismatch,
    /// The wrapping key is disabled where it is kept, or its deletion is pending.
    KeyDisabled,
    /// The wrapping key no longer exists where it was kept.
    KeyDestroyed,
    /// The algorithm bound into the wrapped data key is not the one the envelope names.
    AlgMismatch,
    /// No configured key opens the wrapped data key: the key is wrong or missing, or the envelope was changed.
    Unwrap,
    /// The key commitment does not match the data key.
    Commitment,
    /// The object was written under another key than the one it is read from, or its place entry was changed.
    Misplaced,
    /// The configuration requires a place entry and the object has none.
    PlaceRequired,
    /// The body is too short to hold an authentication tag, or ended before its announced length.
    Truncated,
    /// The authentication tag does not match: the body was changed after it was encrypted.
    Auth,
    /// A legacy CBC body could not be decrypted; deliberately without a reason.
    Cbc,
    /// The uploaded bytes do not have the checksum that the caller announced.
    ChecksumMismatch,
    /// The requested range begins past the end of the object.
    InvalidRange,
    /// The plaintext exceeds the limit of the format or the store.
    TooLarge,
    /// A local file could not be read or written.
    Io,
    /// The transfer was already finished, aborted or closed.
    Closed,
    /// A defect of this crate or of a library it uses.
    Internal,
}

impl ErrorKind {
    /// The stable lower-case name of the kind, as in the test vectors and the Ruby attribute `code`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::NotFound => "not-found",
            Self::BucketNotFound => "bucket-not-found",
            Self::Access => "access",
            Self::Archived => "archived",
            Self::UploadNotFound => "upload-not-found",
            Self::Changed => "changed",
            Self::NotRotated => "not-rotated",
            Self::Transport => "transport",
            Self::Certificate => "certificate",
            Self::Damaged => "damaged",
            Self::Rejected => "rejected",
            Self::MissingEnvelope => "missing-envelope",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::FormatConfusion => "format-confusion",
            Self::CommitmentRequired => "commitment-required",
            Self::LegacyDisabled => "legacy-disabled",
            Self::KeyMismatch => "key-mismatch",
            Self::ContextMismatch => "context-mismatch",
            Self::KeyDisabled => "key-disabled",
            Self::KeyDestroyed => "key-destroyed",
            Self::AlgMismatch => "alg-mismatch",
            Self::Unwrap => "unwrap",
            Self::Commitment => "commitment",
            Self::Misplaced => "misplaced",
            Self::PlaceRequired => "place-required",
            Self::Truncated => "truncated",
            Self::Auth => "auth",
            Self::Cbc => "cbc",
            Self::ChecksumMismatch => "checksum-mismatch",
            Self::InvalidRange => "invalid-range",
            Self::TooLarge => "too-large",
            Self::Io => "io",
            Self::Closed => "closed",
            Self::Internal => "internal",
        }
    }
}

/// The answer of a store, for code that must distinguish errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The error code of S3, for example `AccessDenied`; empty when the answer has none.
    pub code: String,
}

/// Why a store was not reached. The text contains no key, no signature and no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkCause {
    /// A stable name: `certificate`, `tls`, `dns`, `refused`, `unreachable`, `reset`, `timeout` or `proxy`.
    pub reason: &'static str,
    /// A description for people.
    pub text: String,
}

impl fmt::Display for NetworkCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for NetworkCause {}

/// An error with its kind, a message for people and, if a library caused it, the library's error as the source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    answer: Option<Box<StoreAnswer>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result type of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` with a message that describes the problem and, if known, the remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), answer: None, source: None }
    }

    /// Keeps a library's error as the source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Keeps the store's answer.
    #[must_use]
    pub fn with_answer(mut self, status: u16, code: &str) -> Self {
        // Error codes are single words. Anything longer does not come from a store.
        let code = code.chars().filter(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(*letter)).take(64);
        self.answer = Some(Box::new(StoreAnswer { status, code: code.collect() }));
        self
    }

    /// Puts the object's name before the message, unless the message already contains it; for errors that were created
    /// without the name.
    #[must_use]
    pub fn for_object(mut self, key: &str) -> Self {
        if !self.message.contains(&format!("{key:?}")) {
            self.message = format!("object {key:?}: {}", self.message);
        }
        self
    }

    /// The store's answer, if there was one.
    pub fn answer(&self) -> Option<&StoreAnswer> {
        self.answer.as_deref()
    }

    /// Why the store was not reached, if known.
    pub fn network_cause(&self) -> Option<&NetworkCause> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Why the system refused to read or write a file: the name of the error's kind, or the system's own text for errors
/// that have no such name, for example of a defective disk or of a file that was opened for reading only.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let name = error.kind().to_string();
    if name == "uncategorized error" { error.to_string() } else { name }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn an_error_of_the_system_without_a_name_has_the_systems_text() {
        assert_eq!(reason(&std::io::Error::from_raw_os_error(5)), "Input/output error (os error 5)");
        assert_eq!(reason(&std::io::Error::from_raw_os_error(28)), "no storage space");
    }
}

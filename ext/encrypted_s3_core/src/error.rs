//! The one error type of this crate.
//!
//! Rules: a kind is named after what the caller can do about it, so a new kind needs a caller that acts differently.
//! Messages name the object, the setting or the metadata entry and never hold a key, a signed URL, a header of a
//! request or plaintext. The source keeps what a library said; it is for logs, and under the same rule.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong, in terms of what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A setting is missing or wrong.
    Configuration,
    /// There is no such object.
    NotFound,
    /// There is no such bucket.
    BucketNotFound,
    /// The store refused the credentials or the permission.
    Access,
    /// The object lies in an archive and has to be restored before it can be read.
    Archived,
    /// The multipart upload does not exist: it was completed or aborted before.
    UploadNotFound,
    /// The object was replaced while it was being read.
    Changed,
    /// The store accepted another envelope for an object, but does not show it.
    NotRotated,
    /// The store could not be reached, timed out or answered with a failure that may pass.
    Transport,
    /// The store's certificate, or its TLS, is not accepted. It was not spoken to.
    Certificate,
    /// What arrived does not have the checksum that the store sent with it.
    Damaged,
    /// The store refused the request for a reason that will not pass.
    Rejected,
    /// The object has no encryption envelope: it was not written by an S3 encryption client.
    MissingEnvelope,
    /// The envelope lacks an entry, or an entry is not what the format asks for.
    Malformed,
    /// The envelope names an algorithm or format that this crate does not read.
    Unsupported,
    /// Entries of several formats are mixed.
    FormatConfusion,
    /// The commitment policy demands key commitment and the object has none.
    CommitmentRequired,
    /// The object is in a legacy form and reading those is not switched on.
    LegacyDisabled,
    /// The data key was wrapped by another kind of key than the configured ones.
    KeyMismatch,
    /// The algorithm bound into the wrapped data key is not the one the envelope names.
    AlgMismatch,
    /// No configured key opens the wrapped data key: a wrong key or a changed envelope.
    Unwrap,
    /// The key commitment does not match the data key.
    Commitment,
    /// The object was written under another key than the one it is read from, or its place entry was changed.
    Misplaced,
    /// The configuration demands a place entry and the object has none.
    PlaceRequired,
    /// The body is too short to hold an authentication tag, or ended before its announced length.
    Truncated,
    /// The body is not what was encrypted: the authentication tag does not match.
    Auth,
    /// A legacy CBC body could not be decrypted; deliberately without a reason.
    Cbc,
    /// The uploaded bytes do not have the checksum that the caller announced.
    ChecksumMismatch,
    /// The wanted range begins past the end of the object.
    InvalidRange,
    /// The plaintext exceeds what the format or the store can hold.
    TooLarge,
    /// A local file could not be read or written.
    Io,
    /// The transfer was already finished, aborted or closed.
    Closed,
    /// A defect of this crate or of a library it uses.
    Internal,
}

impl ErrorKind {
    /// The stable lower-case name of the kind, as the test vectors and the Ruby `code` attribute spell it.
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

/// What a store answered, for code that has to tell one refusal from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The error code of S3, for example `AccessDenied`; empty when the answer has none.
    pub code: String,
}

/// Why a store was not reached, in words that hold no key, no signature and no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkCause {
    /// A stable name: `certificate`, `tls`, `dns`, `refused`, `unreachable`, `reset`, `timeout` or `proxy`.
    pub reason: &'static str,
    /// What happened.
    pub text: String,
}

impl fmt::Display for NetworkCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for NetworkCause {}

/// An error with its kind, a message for a person and, where a library was involved, its error as the source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    answer: Option<Box<StoreAnswer>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The result of everything fallible in this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `kind` with a message that says what happened and, where that is known, what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), answer: None, source: None }
    }

    /// Keeps a library's error as the source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Keeps what the store answered.
    #[must_use]
    pub fn with_answer(mut self, status: u16, code: &str) -> Self {
        // A code is a word; what is longer was not made by a store.
        let code = code.chars().filter(|letter| letter.is_ascii_alphanumeric() || ".-_".contains(*letter)).take(64);
        self.answer = Some(Box::new(StoreAnswer { status, code: code.collect() }));
        self
    }

    /// Puts the object's name before the message; for errors made where the name is not known.
    #[must_use]
    pub fn for_object(mut self, key: &str) -> Self {
        self.message = format!("object {key:?}: {}", self.message);
        self
    }

    /// What the store answered, where it did.
    pub fn answer(&self) -> Option<&StoreAnswer> {
        self.answer.as_deref()
    }

    /// Why the store was not reached, where that is known.
    pub fn network_cause(&self) -> Option<&NetworkCause> {
        self.source.as_deref().and_then(|source| source.downcast_ref())
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
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

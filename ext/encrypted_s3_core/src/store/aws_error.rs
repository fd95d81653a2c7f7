//! Amazon's errors in terms of what the caller can do.
//!
//! Only the status, the error code and the request id are repeated: what a server writes into its message, and what the
//! SDK prints of a request, may hold signatures.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::patience;
use crate::{Error, ErrorKind};

/// What a request was about; for messages.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// What was being done, as the S3 API names it.
    pub(super) operation: &'static str,
    /// The bucket.
    pub(super) bucket: String,
    /// The object's key, or the prefix of a listing.
    pub(super) key: String,
}

impl Subject {
    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, format!("{} of {:?} in bucket {:?}: {what}", self.operation, self.key, self.bucket))
    }
}

/// Translates the failure of one request.
pub(super) fn request<E>(error: &SdkError<E, HttpResponse>, subject: &Subject) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some(error) = credentials(error, subject) {
        return error;
    }
    if let Some(stalled) = patience::stalled(error) {
        return subject.error(ErrorKind::Transport, &format!("timed out: {stalled}; see http_read_timeout"));
    }
    match error {
        SdkError::ServiceError(context) => answer(context.err().code(), context.raw(), subject),
        SdkError::ResponseError(context) => answer(None, context.raw(), subject),
        SdkError::TimeoutError(_) => subject.error(ErrorKind::Transport, "timed out"),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            subject.error(ErrorKind::Transport, "timed out while connecting; see http_open_timeout")
        }
        SdkError::DispatchFailure(_) => subject
            .error(ErrorKind::Transport, "the store could not be reached; check `endpoint`, `region` and the network"),
        SdkError::ConstructionFailure(_) => subject
            .error(ErrorKind::Configuration, "the request could not be built; check `endpoint`, `region` and `bucket`"),
        _ => subject.error(ErrorKind::Transport, "failed"),
    }
}

/// Translates a body that broke off.
pub(super) fn body(error: ByteStreamError) -> Error {
    if let Some(stalled) = patience::stalled(&error) {
        return Error::new(ErrorKind::Transport, format!("timed out in the middle of the body: {stalled}"));
    }
    let text = error.to_string();
    let what = if text.contains("checksum") {
        "the body does not have the checksum that the store announced"
    } else {
        "the connection broke in the middle of the body"
    };
    Error::new(ErrorKind::Transport, what)
}

/// A failed search for credentials is found by its type: the SDK reports it as a dispatch failure like any other.
fn credentials(error: &(dyn std::error::Error + 'static), subject: &Subject) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return Some(subject.error(
                ErrorKind::Access,
                "no AWS credentials: set access_key_id and secret_access_key, or give the process an AWS profile, \
                 web identity or instance role",
            ));
        }
        cause = error.source();
    }
    None
}

fn answer(code: Option<&str>, response: &HttpResponse, subject: &Subject) -> Error {
    let status = response.status().as_u16();
    let code = code.unwrap_or_default();
    let request_id = response.headers().get("x-amz-request-id").unwrap_or("none");
    let what = format!("the store answered {status} {code} (request id {request_id})");
    match (status, code) {
        (_, "NoSuchBucket") => Error::new(
            ErrorKind::BucketNotFound,
            format!("bucket {:?} does not exist; check `bucket`, `region` and `endpoint`", subject.bucket),
        ),
        (404, _) => subject.error(ErrorKind::NotFound, "there is no such object"),
        (412, _) => subject.error(ErrorKind::Changed, "the object was replaced meanwhile"),
        (416, _) => subject.error(ErrorKind::InvalidRange, "the range begins past the end of the object"),
        (401 | 403, _) => subject.error(
            ErrorKind::Access,
            &format!("{what}; check the credentials, the bucket's policy and the machine's clock"),
        ),
        (301 | 307, _) => {
            subject.error(ErrorKind::Rejected, &format!("{what}; the bucket is in another region than `region` says"))
        }
        (408 | 429 | 500..=599, _) => subject.error(ErrorKind::Transport, &what),
        // A body that the store read in full but found wanting may have been damaged on its way.
        (400, "RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch") => {
            subject.error(ErrorKind::Transport, &what)
        }
        (200..=299, _) => subject.error(ErrorKind::Transport, &format!("{what}, which could not be understood")),
        _ => subject.error(ErrorKind::Rejected, &what),
    }
}

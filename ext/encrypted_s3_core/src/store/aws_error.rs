//! Translates Amazon's errors into the kinds of this crate.
//!
//! Only the status, the error code and the request id are repeated: the message of a server and the SDK's description
//! of a request may contain signatures.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStreamError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::aws_cause;
use super::aws_credentials::CREDENTIALS_TIMEOUT;
use super::aws_profile_error::{ProfileError, details};
use super::web_page;
use crate::{Error, ErrorKind};

/// The subject of a request, for messages.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The name of the operation in the S3 API.
    pub(super) operation: &'static str,
    /// The bucket.
    pub(super) bucket: String,
    /// The object's key, or the prefix of a listing.
    pub(super) key: String,
}

impl Subject {
    pub(super) fn error(&self, kind: ErrorKind, problem: &str) -> Error {
        Error::new(kind, format!("{} of {:?} in bucket {:?}: {problem}", self.operation, self.key, self.bucket))
    }

    /// Whether a 404 can only mean that the object is missing. For a request that creates an object, it means that
    /// there is no bucket at the address.
    fn is_about_an_object(&self) -> bool {
        matches!(
            self.operation,
            "GetObject" | "HeadObject" | "DeleteObject" | "CopyObject" | "UploadPartCopy" | "GetObjectTagging"
        )
    }
}

/// Translates the failure of one request.
pub(super) fn request<E>(error: &SdkError<E, HttpResponse>, subject: &Subject) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some((problem, network)) = credentials(error) {
        let error = subject.error(ErrorKind::Access, &problem);
        return match network {
            Some(finding) => error.with_source(finding.cause),
            None => error,
        };
    }
    match error {
        SdkError::ServiceError(context) => answer(context.err().code(), context.raw(), subject),
        SdkError::ResponseError(context) => answer(None, context.raw(), subject),
        SdkError::ConstructionFailure(_) => subject
            .error(ErrorKind::Configuration, "the request could not be built; check `endpoint`, `region` and `bucket`"),
        error => unreached(error, subject),
    }
}

fn unreached(error: &(dyn std::error::Error + 'static), subject: &Subject) -> Error {
    match aws_cause::find(error) {
        Some(finding) => {
            let problem = format!("{}. {}", finding.cause, finding.advice);
            subject.error(finding.kind, &problem).with_source(finding.cause)
        }
        None => subject.error(ErrorKind::Transport, "the request failed before the store answered"),
    }
}

/// Translates the error of a body that was cut off or does not match the announced checksum or length.
pub(super) fn body(error: ByteStreamError, key: &str) -> Error {
    broken(&error).for_object(key)
}

fn broken(error: &ByteStreamError) -> Error {
    let mut causes = aws_cause::chain(error);
    if causes.any(|cause| cause.is::<aws_smithy_checksums::body::validate::Error>()) {
        return Error::new(ErrorKind::Damaged, "the body does not have the checksum that the store sent with it");
    }
    let problem = "the connection broke in the middle of the body";
    match aws_cause::find(error) {
        Some(finding) => {
            Error::new(ErrorKind::Transport, format!("{problem}: {}", finding.cause)).with_source(finding.cause)
        }
        None => Error::new(ErrorKind::Transport, problem),
    }
}

/// Why there are no credentials, and why their source was not reached. A failed search for credentials is recognised by
/// its type: the SDK reports it as a dispatch failure like any other.
pub(crate) fn credentials(error: &(dyn std::error::Error + 'static)) -> Option<(String, Option<aws_cause::Finding>)> {
    let error = aws_cause::chain(error).find(|cause| cause.is::<CredentialsError>())?;
    let of_profile = ProfileError::find(error);
    let problem = match (error.downcast_ref::<CredentialsError>()?, of_profile) {
        (CredentialsError::CredentialsNotLoaded(_), of_profile) => {
            let of_profile = of_profile.map(|error| format!("; {error}")).unwrap_or_default();
            format!(
                "no AWS credentials: set access_key_id and secret_access_key, or give the process an AWS profile, web \
                 identity or instance role{of_profile}"
            )
        }
        (_, Some(of_profile)) => format!("no AWS credentials: {of_profile}"),
        (CredentialsError::ProviderTimedOut(_), None) => format!(
            "no AWS credentials within {} seconds; check the source of credentials in the profile or the environment",
            CREDENTIALS_TIMEOUT.as_secs()
        ),
        (_, None) => format!("no AWS credentials: {}", details(error)),
    };
    Some((problem, aws_cause::find(error)))
}

/// The kind for an error code inside an answer about several objects.
pub(super) fn kind_of(code: &str) -> ErrorKind {
    match code {
        "AccessDenied" | "AllAccessDisabled" | "ExpiredToken" | "InvalidToken" => ErrorKind::Access,
        "InternalError" | "SlowDown" | "ServiceUnavailable" | "RequestTimeout" | "OperationAborted" => {
            ErrorKind::Transport
        }
        _ => ErrorKind::Rejected,
    }
}

/// Whether a store refuses a body without its MD5: with Object Lock some accept no other checksum.
pub(super) fn wants_md5<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let Some(error) = error.as_service_error().map(ProvideErrorMetadata::meta) else { return false };
    let names_it = || error.message().is_some_and(|message| message.contains("Content-MD5"));
    error.code() == Some("MissingContentMD5") || (error.code() == Some("InvalidRequest") && names_it())
}

fn answer(code: Option<&str>, response: &HttpResponse, subject: &Subject) -> Error {
    let status = response.status().as_u16();
    let code = code.unwrap_or_default();
    let request_id = response.headers().get("x-amz-request-id").unwrap_or("none");
    let problem = format!("the store answered {} (request id {request_id})", status_and_code(status, code));
    let error = match (status, code) {
        (_, "NoSuchBucket") => Error::new(
            ErrorKind::BucketNotFound,
            format!("bucket {:?} does not exist; check `bucket`, `region` and `endpoint`", subject.bucket),
        ),
        (_, "NoSuchUpload") => {
            subject.error(ErrorKind::UploadNotFound, "there is no such multipart upload: it was completed or aborted")
        }
        (404, _) if web_page::is_missing_page(response) => {
            subject.error(ErrorKind::Transport, &format!("{} (404). {}", web_page::WebPage, web_page::ADVICE))
        }
        (404, _) if subject.is_about_an_object() => subject.error(ErrorKind::NotFound, "there is no such object"),
        (_, "InvalidObjectState") => subject.error(
            ErrorKind::Archived,
            "the object is archived (storage class GLACIER, DEEP_ARCHIVE or an archive tier); restore it first",
        ),
        (412, _) => subject.error(ErrorKind::Changed, "the object was replaced meanwhile"),
        (416, _) => subject.error(ErrorKind::InvalidRange, "the range begins past the end of the object"),
        // An answer to HEAD has no body that names the reason.
        (400, "") if response.headers().get(REGION).is_some() => misdirected(&problem, response, subject),
        (301 | 302 | 303 | 307 | 308, _)
        | (400, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            misdirected(&problem, response, subject)
        }
        (403, "RequestTimeTooSkewed") => {
            subject.error(ErrorKind::Access, &format!("{problem}; this machine's clock is wrong"))
        }
        // Amazon answers 400 to a session token that has expired.
        (401 | 403, _) | (400, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => subject.error(
            ErrorKind::Access,
            &format!("{problem}; check the credentials, the bucket's policy and the machine's clock"),
        ),
        (407, _) => {
            let problem = format!("{problem}: the proxy requires a user name and a password, or rejects them");
            subject
                .error(ErrorKind::Rejected, &format!("{problem}; check `http_proxy`, or HTTP_PROXY in the environment"))
        }
        // A retry does not help: the store does not support the request.
        (501 | 505, _) => subject.error(ErrorKind::Rejected, &problem),
        (408 | 429 | 500..=599, _) => subject.error(ErrorKind::Transport, &problem),
        // The body may have been damaged in transit, so a retry may help.
        (400, "RequestTimeout" | "BadDigest" | "IncompleteBody" | "XAmzContentSHA256Mismatch") => {
            subject.error(ErrorKind::Transport, &problem)
        }
        (200..=299, _) => subject.error(ErrorKind::Transport, &format!("{problem}, which cannot be parsed")),
        (404, _) => subject.error(ErrorKind::Rejected, &format!("{problem}; check `endpoint` and `bucket`")),
        _ => subject.error(ErrorKind::Rejected, &problem),
    };
    error.with_answer(status, code)
}

/// The status and the error code of an answer. The answer to a HEAD request has no body, and so no code.
pub(crate) fn status_and_code(status: u16, code: &str) -> String {
    if code.is_empty() { status.to_string() } else { format!("{status} {code}") }
}

/// The header in which Amazon names the region of a bucket.
const REGION: &str = "x-amz-bucket-region";

/// The scheme and the host to which a web server or a proxy redirects a request. Stores redirect to other regions.
fn redirected_to(response: &HttpResponse) -> Option<String> {
    let headers = response.headers();
    let location = headers.get("location").filter(|_| headers.get("x-amz-request-id").is_none())?;
    let (scheme, rest) = location.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    (is_plain(scheme) && is_plain(host)).then(|| format!("{scheme}://{host}"))
}

/// The error for a request that was sent to another place than that of the bucket. Amazon sends the region of the bucket
/// in a header or in the body of the error.
fn misdirected(problem: &str, response: &HttpResponse, subject: &Subject) -> Error {
    let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
    let named = response.headers().get(REGION).map(str::to_owned).or_else(|| {
        let (_, rest) = body.split_once("<Region>")?;
        rest.split_once("</Region>").map(|(region, _)| region.to_owned())
    });
    let plausible = |region: &String| {
        (1..=40).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let problem = match (redirected_to(response), named.filter(plausible)) {
        (Some(address), _) => {
            let advice = "set `endpoint` to the address at which the store itself answers";
            format!("{problem} and redirects to {address}; {advice}")
        }
        (None, Some(region)) => format!("{problem}; the bucket is in another region: set `region` to {region:?}"),
        (None, None) => format!("{problem}; the bucket is not in the configured region; check `region` and `endpoint`"),
    };
    subject.error(ErrorKind::Configuration, &problem)
}

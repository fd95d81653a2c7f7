//! Translates the errors of KMS into the kinds of this crate.
//!
//! Only the status, the error code and the request id are repeated: the message of a server may contain anything.

use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use super::KmsKey;
use crate::error::{Error, ErrorKind};
use crate::store::{aws_cause, aws_error};

/// The subject of a request, for messages.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// The name of the operation in the API of KMS, which is also the name of the permission.
    pub(super) operation: &'static str,
    /// A description of the keys of the request.
    keys: String,
}

impl Request {
    pub(super) fn new(operation: &'static str, keys: &[&KmsKey]) -> Self {
        let ids: Vec<_> = keys.iter().filter_map(|key| key.id()).map(|id| format!("{id:?}")).collect();
        let keys = match ids.len() {
            0 => "the KMS key that wrapped the data key".to_owned(),
            1 => format!("the KMS key {}", ids.concat()),
            _ => format!("one of the KMS keys {}", ids.join(" and ")),
        };
        Self { operation, keys }
    }

    fn error(&self, kind: ErrorKind, problem: &str) -> Error {
        Error::new(kind, format!("{} with {}: {problem}", self.operation, self.keys))
    }

    /// The error for an incomplete answer.
    pub(super) fn incomplete(&self) -> Error {
        self.error(ErrorKind::Transport, "the answer of AWS KMS is incomplete")
    }
}

/// Whether KMS answers that another key than the given one wrapped the data key.
pub(super) fn is_of_another_key<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    error.code() == Some("IncorrectKeyException")
}

/// Translates the failure of one request.
pub(super) fn translated<E>(error: &SdkError<E, HttpResponse>, request: &Request) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    if let Some((problem, network)) = aws_error::credentials(error) {
        let error = request.error(ErrorKind::Access, &problem);
        return match network {
            Some(finding) => error.with_source(finding.cause),
            None => error,
        };
    }
    match error {
        SdkError::ServiceError(context) => answer(context.err().code(), context.raw(), request),
        SdkError::ResponseError(context) => answer(None, context.raw(), request),
        SdkError::ConstructionFailure(_) => {
            let problem = "the request could not be built; check `kms_endpoint`, `kms_region` and `kms_key_id`";
            request.error(ErrorKind::Configuration, problem)
        }
        error => match aws_cause::find(error) {
            Some(finding) => {
                let problem = format!("AWS KMS was not reached: {}. {}", finding.cause, of_kms(finding.advice));
                request.error(finding.kind, &problem).with_source(finding.cause)
            }
            None => request.error(ErrorKind::Transport, "the request failed before AWS KMS answered"),
        },
    }
}

/// The settings to check, by their names for KMS.
fn of_kms(advice: &str) -> String {
    advice
        .replace("`endpoint`", "`kms_endpoint`")
        .replace("`region`", "`kms_region`")
        .replace("the store runs", "KMS runs")
        .replace("The store", "KMS")
}

fn answer(code: Option<&str>, response: &HttpResponse, request: &Request) -> Error {
    let status = response.status().as_u16();
    let code = code.unwrap_or_default();
    let request_id = response.headers().get("x-amzn-requestid").unwrap_or("none");
    let problem = format!("AWS KMS answered {} (request id {request_id})", aws_error::status_and_code(status, code));
    let error = |kind, advice: &str| request.error(kind, &format!("{problem}{advice}"));
    let failure = match code {
        "AccessDeniedException" | "NotAuthorizedException" => error(
            ErrorKind::Access,
            &format!(
                "; these credentials need the permission kms:{} on the key, in their policy and in that of the key",
                request.operation
            ),
        ),
        "DisabledException" => error(ErrorKind::KeyDisabled, "; the key is disabled: enable it in KMS"),
        "KMSInvalidStateException" => error(
            ErrorKind::KeyDisabled,
            "; the key cannot be used in its present state: it is disabled, its deletion is pending, or its key \
             store is not available. Look at its state in KMS",
        ),
        "NotFoundException" => error(
            ErrorKind::KeyDestroyed,
            "; there is no such key: it was deleted, or the id or its region is wrong. Check `kms_key_id` and \
             `kms_region`",
        ),
        "InvalidCiphertextException" => error(
            ErrorKind::Unwrap,
            "; the data key was wrapped in another encryption context, or by a key that does not exist there, or the \
             envelope was changed",
        ),
        "InvalidKeyUsageException" | "InvalidArnException" | "ValidationException" | "InvalidGrantTokenException" => {
            error(ErrorKind::Configuration, "; `kms_key_id` must be a symmetric key for encryption in `kms_region`")
        }
        "ThrottlingException" | "Throttling" | "LimitExceededException" | "TooManyRequestsException" => error(
            ErrorKind::Transport,
            "; the requests exceed the quota of KMS for this account and region. Try again later, or have the \
             quota raised",
        ),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "InvalidClientTokenId"
        | "ExpiredTokenException"
        | "MissingAuthenticationTokenException" => {
            error(ErrorKind::Access, "; check the credentials and the machine's clock")
        }
        "KeyUnavailableException" | "KMSInternalException" | "DependencyTimeoutException" => {
            error(ErrorKind::Transport, "; this may be temporary, try again later")
        }
        _ => match status {
            401 | 403 => error(ErrorKind::Access, "; check the credentials and the machine's clock"),
            407 => error(ErrorKind::Rejected, ": the proxy requires a user name and a password, or rejects them"),
            408 | 429 | 500..=599 => error(ErrorKind::Transport, ""),
            200..=299 => error(ErrorKind::Transport, ", which cannot be parsed"),
            _ => error(ErrorKind::Rejected, "; check `kms_endpoint` and `kms_region`"),
        },
    };
    failure.with_answer(status, code)
}

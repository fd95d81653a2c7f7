//! Retryable answers of stores other than Amazon's, and of proxies before a store.
//!
//! The SDK itself retries 500, 502, 503 and 504, and Amazon's error codes.

use std::time::Duration;

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use aws_smithy_types::retry::ErrorKind;

use super::web_page;
use super::wrong_clock::WrongClock;

/// Error codes after which another attempt may succeed, and which the SDK does not retry. Amazon's documentation says
/// to retry `OperationAborted` and `ConditionalRequestConflict`. Ceph refuses a GET with `ConcurrentModification` when
/// the object changes twice during the lookup; Amazon answers with one of the versions. `BadDigest` and the two after it
/// tell that a body was damaged in transit.
const TRANSIENT: [&str; 7] = [
    "ConcurrentModification",
    "ConditionalRequestConflict",
    "OperationAborted",
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
    "ServiceUnavailable",
];

/// The longest pause that a store may demand. Three of them are less than the time limit of an operation.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Recognises answers that only tell that the store cannot answer now. Retrying a request that writes is as safe as
/// after any other refusal.
#[derive(Debug)]
pub(super) struct Unavailable;

impl ClassifyRetry for Unavailable {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let failed = matches!(context.output_or_error(), Some(Err(_)));
        match context.response().filter(|_| failed) {
            Some(answer) if answer.extension::<WrongClock>().is_some() => {
                RetryAction::retryable_error(ErrorKind::ServerError)
            }
            Some(answer) => {
                if web_page::is_missing_page(answer) {
                    return RetryAction::transient_error();
                }
                let body = answer.body().bytes().unwrap_or_default();
                action(answer.status().as_u16(), code(body), pause(answer))
            }
            None => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "a store that cannot answer now"
    }
}

fn action(status: u16, code: Option<&str>, pause: Option<Duration>) -> RetryAction {
    let is_throttled = status == 429 || code == Some("SlowDown");
    let kind = if is_throttled { ErrorKind::ThrottlingError } else { ErrorKind::TransientError };
    let is_transient = is_throttled
        // 509 and 520 to 530 are those of shared hosts and of Cloudflare.
        || matches!(status, 408 | 509 | 520..=530)
        || code.is_some_and(|code| TRANSIENT.contains(&code));
    match pause {
        Some(pause) if is_transient || status == 503 => RetryAction::retryable_error_with_explicit_delay(kind, pause),
        _ if is_transient => RetryAction::retryable_error(kind),
        _ => RetryAction::NoActionIndicated,
    }
}

/// The error code in the body of an answer.
fn code(body: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(body).ok()?.split_once("<Code>")?;
    rest.split_once("</Code>").map(|(code, _)| code.trim())
}

/// The pause that the store demands in seconds. A date in this header is ignored.
fn pause(answer: &HttpResponse) -> Option<Duration> {
    let seconds = answer.headers().get("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_other_attempts_may_change_are_retried() {
        for status in [408, 429, 509, 520, 524, 530] {
            assert!(action(status, None, None).should_retry(), "{status}");
        }
        for code in TRANSIENT {
            assert!(action(400, Some(code), None).should_retry(), "{code}");
        }
        for status in [200, 301, 400, 403, 404, 409, 412, 501, 503, 505, 507, 511] {
            assert!(!action(status, None, None).should_retry(), "{status} is final, or is retried by the SDK");
        }
        assert!(!action(400, Some("InvalidRequest"), Some(LONGEST_PAUSE)).should_retry());
    }

    #[test]
    fn a_store_that_throttles_decides_the_pause() {
        let pause = Duration::from_secs(2);
        let throttled = RetryAction::retryable_error_with_explicit_delay(ErrorKind::ThrottlingError, pause);
        assert_eq!(action(429, None, Some(pause)), throttled);
        assert_eq!(action(503, Some("SlowDown"), Some(pause)), throttled);
        let busy = RetryAction::retryable_error_with_explicit_delay(ErrorKind::TransientError, pause);
        assert_eq!(action(503, None, Some(pause)), busy);
    }

    #[test]
    fn the_code_of_an_answer_is_found() {
        assert_eq!(code(b"<?xml version=\"1.0\"?>\n<Error>\n <Code> SlowDown </Code></Error>"), Some("SlowDown"));
        assert_eq!(code(b"<html>429</html>"), None);
        assert_eq!(code(b"<Error><Code>Slow"), None);
        assert_eq!(code(b"\xff<Code>SlowDown</Code>"), None);
    }
}

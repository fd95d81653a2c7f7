//! Retryable answers of stores other than Amazon's.

use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};

/// Recognises the answer of a store that gives up because an object is being written. Ceph refuses a GET with 409
/// ConcurrentModification when the object changes twice during the lookup; Amazon answers with one of the versions.
/// Retrying a request that writes is as safe as after any other refusal.
#[derive(Debug)]
pub(super) struct BeingWritten;

impl ClassifyRetry for BeingWritten {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let refused =
            |answer: &HttpResponse| refuses(answer.status().as_u16(), answer.body().bytes().unwrap_or_default());
        match context.response() {
            Some(answer) if refused(answer) => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "an object that is being written"
    }
}

fn refuses(status: u16, body: &[u8]) -> bool {
    const CODE: &[u8] = b"<Code>ConcurrentModification</Code>";
    status == 409 && body.windows(CODE.len()).any(|window| window == CODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_of_an_object_that_is_being_written_is_recognised() {
        let answer = b"<Error><Code>ConcurrentModification</Code></Error>";
        assert!(refuses(409, answer));
        assert!(!refuses(500, answer));
        assert!(!refuses(409, b"<Error><Code>OperationAborted</Code></Error>"));
        assert!(!refuses(409, b""));
    }
}

//! Detection of requests that were refused because this machine's clock is wrong.
//!
//! The SDK measures the difference by the `Date` of each answer, and signs the next request for the time of the store. It
//! repeats the refused request only if the answer names the reason. Answers to HEAD have no body, so that the first
//! request of a process would fail.

use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

/// Stores tolerate more. It is the SDK's limit for answers with a body.
const TOLERANCE: Duration = Duration::from_secs(4 * 60);

/// Marks the answer to a request that was signed for another time than the store's.
#[derive(Debug, Clone, Copy)]
pub(super) struct WrongClock;

/// The time for which a request without a readable answer was signed.
#[derive(Debug)]
pub(super) struct Signed(DateTime);

impl Signed {
    /// `None` for a request whose answer has a body.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        let time = request.headers().get("x-amz-date").filter(|_| request.method() == "HEAD")?;
        basic(time).map(Self)
    }

    /// Marks the answer if it refuses the request and the store has another time. A cache sends an old `Date`.
    pub(super) fn mark(&self, answer: &mut HttpResponse) {
        let headers = answer.headers();
        let date = headers.get("date").filter(|_| answer.status().as_u16() == 403 && headers.get("age").is_none());
        let date = date.and_then(|date| DateTime::from_str(date, Format::HttpDate).ok());
        if date.is_some_and(|date| date.secs().abs_diff(self.0.secs()) > TOLERANCE.as_secs()) {
            answer.add_extension(WrongClock);
        }
    }
}

/// Reads `20261126T120000Z`, the form of times in signatures.
fn basic(time: &str) -> Option<DateTime> {
    let of = |range| time.get(range);
    let (year, month, day) = (of(0..4)?, of(4..6)?, of(6..8)?);
    let (hour, minute, second) = (of(9..11)?, of(11..13)?, of(13..15)?);
    DateTime::from_str(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"), Format::DateTime).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_signatures_are_read() {
        assert_eq!(basic("20150830T123600Z"), Some(DateTime::from_secs(1_440_938_160)));
        for other in ["", "20150830", "2015-08-30T12:36:00Z", "x0150830T123600Z", "20150830T12360"] {
            assert_eq!(basic(other), None, "{other}");
        }
    }
}

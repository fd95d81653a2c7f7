//! Time limits of requests: seconds without progress. A whole body has no time limit.
//!
//! The SDK's own read timeout begins with a request and ends with the head of its answer. It cuts off uploads over slow
//! but steady lines, and never notices a body that stalls. So it is not used: [`WatchedClient`] sits between the SDK
//! and its HTTP client, sees every attempt of every request after it was signed, and watches the bytes of both bodies.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::interceptors::{BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, Metadata};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tokio::time::Instant;

use super::answer_body::Answered;
use super::repeated_answer::AnswerIds;
use super::request_body::{Pieces, Request};
use super::web_page;
use super::wrong_clock::Signed;

/// Time limit of one operation without progress, including all attempts and the pauses between them. Later steps, such
/// as aborting an upload or asking for its outcome, have the rest of a minute.
pub(super) const PATIENCE: Duration = Duration::from_secs(50);

/// Bytes of a body that the system may buffer before any of them arrive at the store.
const BUFFERED: u64 = 4 * 1024 * 1024;
/// During this time after its first byte, an attempt may only be filling buffers. That does not count as progress of
/// the operation: otherwise an operation would never end at a store that reads nothing.
const FILLING: Duration = Duration::from_secs(2);
/// The slowest line, in bytes per second, that gets the time to drain a full buffer: 1 Mbit/s.
const SLOW_LINE: u64 = 128 * 1024;
/// Maximum bytes of an answer that is not an object: lists, errors, credentials. A list of 1,000 keys of 1,024 bytes,
/// each percent-encoded, has some 4 MiB.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;
/// The lowest speed, in bytes per second, of a store that copies or joins objects. Most stores answer only at the end.
const SLOW_COPY: u64 = 8 * 1024 * 1024;

/// Time limit for a store that copies or joins `bytes` before it answers.
pub(super) fn copying(bytes: u64) -> Duration {
    Duration::from_secs(bytes / SLOW_COPY)
}

/// The error when nothing has arrived for too long. The SDK wraps it in its own.
#[derive(Debug)]
pub(super) struct Stalled {
    pub(super) waited: Duration,
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no progress for {} seconds", self.waited.as_secs_f64().ceil())
    }
}

impl std::error::Error for Stalled {}

/// The time limit for the attempts of one operation.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// The time limits without progress for one attempt and for all of them together.
    attempt: Duration,
    all: Duration,
    /// The time of the last progress.
    moved: Arc<Mutex<Instant>>,
    /// Whether the body of the answer is an object, which is read as it arrives. The SDK holds other bodies in memory.
    streams: bool,
    /// Whether the answer could be a web page that nobody notices.
    may_be_page: bool,
}

impl Storable for Operation {
    type Storer = StoreReplace<Self>;
}

impl Operation {
    fn begin(read_timeout: Duration, allowance: Duration, now: Instant) -> Self {
        Self {
            attempt: read_timeout + allowance,
            all: PATIENCE.max(read_timeout) + allowance,
            moved: Arc::new(Mutex::new(now)),
            streams: false,
            may_be_page: false,
        }
    }

    /// The time at which the operation ends unless there is progress before.
    fn end(&self) -> Instant {
        *locked(&self.moved) + self.all
    }
}

/// The progress of one attempt.
#[derive(Debug)]
pub(super) struct Attempt {
    operation: Operation,
    sent: Mutex<Sent>,
}

/// The bytes of its body that an attempt has sent.
#[derive(Debug)]
struct Sent {
    bytes: u64,
    /// The time when the first byte was taken, and the time when the last was taken or the attempt began.
    first: Option<Instant>,
    last: Instant,
}

impl Attempt {
    fn begin(operation: Operation, now: Instant) -> Self {
        Self { operation, sent: Mutex::new(Sent { bytes: 0, first: None, last: now }) }
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        let now = Instant::now();
        Self::begin(Operation::begin(PATIENCE, Duration::ZERO, now), now)
    }

    /// Notes that the HTTP client has taken `bytes` more of the request's body.
    pub(super) fn advance(&self, bytes: u64, now: Instant) {
        let mut sent = locked(&self.sent);
        sent.bytes += bytes;
        sent.last = now;
        if now - *sent.first.get_or_insert(now) >= FILLING {
            *locked(&self.operation.moved) = now;
        }
    }

    /// The time at which the attempt counts as failed unless there is progress before.
    fn end(&self) -> Instant {
        let sent = locked(&self.sent);
        let draining = Duration::from_secs_f64(sent.bytes.min(BUFFERED) as f64 / SLOW_LINE as f64);
        (sent.last + self.operation.attempt + draining).min(self.operation.end())
    }

    fn stalled(&self) -> Stalled {
        Stalled { waited: locked(&self.sent).last.elapsed() }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Assigns each operation its [`Operation`]: attempts share it, and the HTTP client finds it at the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) read_timeout: Duration,
    /// Additional time for the work of the store.
    pub(crate) allowance: Duration,
}

#[dyn_dispatch_hint]
impl Intercept for Patience {
    fn name(&self) -> &'static str {
        "Patience"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config.interceptor_state().store_put(Operation::begin(self.read_timeout, self.allowance, Instant::now()));
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(operation) = config.load::<Operation>() {
            let name = config.load::<Metadata>().map_or("", |operation| operation.name());
            let (streams, may_be_page) = (name == "GetObject", web_page::may_be_missed(name));
            context.request_mut().add_extension(Operation { streams, may_be_page, ..operation.clone() });
        }
        Ok(())
    }
}

/// An HTTP client that ends attempts without progress.
#[derive(Clone, Debug)]
pub(crate) struct WatchedClient {
    inner: SharedHttpClient,
    read_timeout: Duration,
    ids: Arc<AnswerIds>,
}

impl WatchedClient {
    /// Requests to other servers, for example for credentials, have `read_timeout` for each attempt.
    pub(super) fn new(inner: SharedHttpClient, read_timeout: Duration) -> Self {
        Self { inner, read_timeout, ids: Arc::default() }
    }
}

impl HttpClient for WatchedClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(WatchedConnector { inner, read_timeout: self.read_timeout, ids: self.ids.clone() })
    }
}

#[derive(Debug)]
struct WatchedConnector {
    inner: SharedHttpConnector,
    read_timeout: Duration,
    ids: Arc<AnswerIds>,
}

impl HttpConnector for WatchedConnector {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        tell_length(&mut request);
        let signed = Signed::of(&request);
        let (inner, read_timeout, ids) = (self.inner.clone(), self.read_timeout, self.ids.clone());
        HttpConnectorFuture::new(async move {
            let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let operation = request.extensions_mut().remove::<Operation>();
            let operation = operation.unwrap_or_else(|| Operation::begin(read_timeout, Duration::ZERO, Instant::now()));
            let attempt = Arc::new(Attempt::begin(operation, Instant::now()));
            let mut sending = None;
            let request = request.map(|body| {
                let (body, progress) = Pieces::watched(body, attempt.clone());
                sending = progress;
                body
            });
            let request = HttpRequest::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
            let mut answer = answered(Request::new(inner.call(request), sending.clone()), &attempt).await?;
            // As after any other failure of a connection, the SDK does not use it again and retries.
            ids.note(answer.headers()).map_err(|error| ConnectorError::io(Box::new(error)))?;
            if attempt.operation.may_be_page {
                web_page::check(&answer).map_err(|error| ConnectorError::io(Box::new(error)))?;
            }
            if let Some(signed) = signed {
                signed.mark(&mut answer);
            }
            let body = std::mem::replace(answer.body_mut(), SdkBody::taken());
            let is_success = answer.status().is_success();
            let is_object = attempt.operation.streams && is_success;
            let most = if is_object { u64::MAX } else { LONGEST_ANSWER };
            let body = Answered::new(body, read_timeout, most).refusing(sending.filter(|_| !is_success));
            let body = if is_success && !is_object { body.checking_its_end() } else { body };
            *answer.body_mut() = SdkBody::from_body_1_x(body);
            Ok(answer)
        })
    }
}

/// Sets the length of an empty body, which hyper leaves out. Google, Ceph and some firewalls refuse a request without it
/// (411) if its method is one that has a body; RFC 9110, section 8.6, asks for it.
fn tell_length(request: &mut HttpRequest) {
    let is_empty = request.body().content_length() == Some(0);
    if is_empty && matches!(request.method(), "PUT" | "POST") && request.headers().get("content-length").is_none() {
        request.headers_mut().insert("content-length", "0");
    }
}

/// Waits for the head of the answer as long as the attempt makes progress.
async fn answered(mut request: Request, attempt: &Attempt) -> Result<HttpResponse, ConnectorError> {
    loop {
        let end = attempt.end();
        tokio::select! {
            biased;
            answer = &mut request => return answer,
            () = tokio::time::sleep_until(end) => {}
        }
        if attempt.end() > Instant::now() {
            continue;
        }
        let stalled = Box::new(attempt.stalled());
        let over = attempt.operation.end() <= Instant::now();
        // The SDK retries timeouts, but not errors without a kind.
        return Err(if over { ConnectorError::other(stalled, None) } else { ConnectorError::timeout(stalled) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_operation_without_progress_ends_even_if_its_attempts_fill_buffers() {
        let begin = Instant::now();
        let operation = Operation::begin(20 * SECOND, Duration::ZERO, begin);
        for seconds in [0, 20, 40] {
            let now = begin + seconds * SECOND;
            let attempt = Attempt::begin(operation.clone(), now);
            attempt.advance(BUFFERED, now);
            attempt.advance(BUFFERED, now + SECOND);
            assert_eq!(operation.end(), begin + PATIENCE);
            assert!(attempt.end() <= begin + PATIENCE);
        }
        let now = begin + 45 * SECOND;
        let attempt = Attempt::begin(operation.clone(), now);
        attempt.advance(BUFFERED, now);
        attempt.advance(1, now + 3 * SECOND);
        assert_eq!(operation.end(), now + 3 * SECOND + PATIENCE, "it moves");
    }

    #[test]
    fn a_body_of_any_size_has_no_time_limit_while_it_progresses() {
        let mut now = Instant::now();
        let attempt = Attempt::begin(Operation::begin(20 * SECOND, Duration::ZERO, now), now);
        // 5 GiB at 1 Mbit/s: eleven hours.
        for _ in 0..5 * 1024 * 16 {
            now += SECOND / 2;
            assert!(attempt.end() > now);
            attempt.advance(64 * 1024, now);
        }
        assert!(attempt.end() <= now + PATIENCE);
    }

    #[test]
    fn the_time_limit_of_a_copy_grows_with_its_size() {
        assert_eq!(copying(0), Duration::ZERO);
        assert_eq!(copying(5 << 30), Duration::from_secs(640));
    }
}

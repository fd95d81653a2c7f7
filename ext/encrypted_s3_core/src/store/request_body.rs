//! The body of a request while it is sent.
//!
//! hyper closes a connection only after it has written everything that it holds of a request (since 1.11,
//! hyperium/hyper#4018). If the store has stopped reading, the connection of a request that was given up would stay
//! open for ever. Only an error of the body makes hyper close the connection at once. So hyper gets small pieces, never
//! as many as its buffer holds, and the last piece only after it has written all others. While a body is under way,
//! hyper therefore waits for its next piece, and that can be an error.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::patience::Attempt;

/// Maximum bytes of one piece. The progress of a body in one piece could not be measured.
const PIECE: u64 = 64 * 1024;
/// Maximum bytes that hyper holds. Its own limit is 408 KiB, at which it stops reading.
const HELD: u64 = 4 * PIECE;
/// Bytes of the last piece. It is small, so that the system has room for it: hyper must write it to close the
/// connection.
const LAST: u64 = 1024;
/// Time for closing the connection of a request that was given up. Nothing waits for the store during it.
const CLOSING: Duration = Duration::from_secs(5);

/// The progress of a body from the request to the connection.
#[derive(Debug)]
pub(super) struct Sending(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Bytes that the HTTP client has not taken yet.
    left: u64,
    /// Bytes that it has taken and not written yet.
    held: u64,
    begun: bool,
    given_up: bool,
    /// The task of the connection, while it waits for the next piece.
    waiting: Option<Waker>,
}

impl Sending {
    fn new(left: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { left, held: 0, begun: false, given_up: false, waiting: None })))
    }

    /// Makes the rest of the body an error, so that the HTTP client closes the connection. Does nothing when the HTTP
    /// client has not begun with the body, or has all of it.
    ///
    /// # Returns
    /// Whether the body was under way.
    pub(super) fn give_up(&self) -> bool {
        let mut state = self.state();
        let under_way = state.begun && state.left > 0;
        state.given_up |= under_way;
        let waiting = state.waiting.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
        under_way
    }

    /// Waits until the HTTP client may take a piece. Returns its maximum length in bytes.
    fn poll_turn(&self, context: &Context<'_>) -> Poll<Result<u64, BodyError>> {
        let mut state = self.state();
        state.waiting = Some(context.waker().clone());
        if state.given_up {
            return Poll::Ready(Err("the request was given up".into()));
        }
        let before_last = state.left.saturating_sub(LAST);
        let length = if before_last > 0 { before_last.min(PIECE) } else { LAST };
        let most_held = if before_last > 0 { HELD - PIECE } else { 0 };
        if state.held > most_held { Poll::Pending } else { Poll::Ready(Ok(length)) }
    }

    /// Notes that the HTTP client takes a piece.
    fn take(&self, length: u64) {
        let mut state = self.state();
        state.begun = true;
        state.left = state.left.saturating_sub(length);
        state.held = state.held.saturating_add(length);
        state.waiting = None;
    }

    /// Notes that the HTTP client has written a piece, or has dropped it.
    fn let_go(&self, length: u64) {
        let mut state = self.state();
        state.held = state.held.saturating_sub(length);
        let waiting = state.waiting.take();
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn left(&self) -> u64 {
        self.state().left
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece of a body. The HTTP client drops it once it is written.
struct Piece {
    bytes: Bytes,
    sending: Arc<Sending>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.sending.let_go(self.bytes.len() as u64);
    }
}

/// The body of a request, in pieces that are counted when they are taken.
pub(super) struct Pieces {
    inner: SdkBody,
    /// Bytes of the inner body that were not taken yet.
    rest: Bytes,
    sending: Arc<Sending>,
    attempt: Arc<Attempt>,
}

impl Pieces {
    /// Wraps `body`. A small body, or one of unknown length, is returned unchanged and without its progress: the
    /// system has room for it.
    pub(super) fn watched(body: SdkBody, attempt: Arc<Attempt>) -> (SdkBody, Option<Arc<Sending>>) {
        match body.content_length() {
            Some(length) if length > PIECE => {
                let sending = Sending::new(length);
                let pieces = Self { inner: body, rest: Bytes::new(), sending: sending.clone(), attempt };
                (SdkBody::from_body_1_x(pieces), Some(sending))
            }
            _ => (body, None),
        }
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let most = match ready!(self.sending.poll_turn(context)) {
            Ok(most) => usize::try_from(most).unwrap_or(usize::MAX),
            Err(given_up) => return Poll::Ready(Some(Err(given_up))),
        };
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(most);
        let bytes = self.rest.split_to(length);
        self.sending.take(length as u64);
        self.attempt.advance(length as u64, Instant::now());
        let piece = Bytes::from_owner(Piece { bytes, sending: self.sending.clone() });
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.sending.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.sending.left())
    }
}

/// A request that waits for its answer. When it is dropped before, the body is given up and the connection is closed.
pub(super) struct Request {
    answer: Option<HttpConnectorFuture>,
    sending: Option<Arc<Sending>>,
}

impl Request {
    pub(super) fn new(answer: HttpConnectorFuture, sending: Option<Arc<Sending>>) -> Self {
        Self { answer: Some(answer), sending }
    }
}

impl Future for Request {
    type Output = Result<HttpResponse, ConnectorError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(answer) = &mut self.answer else { return Poll::Pending };
        let answer = ready!(Pin::new(answer).poll(context));
        self.answer = None;
        Poll::Ready(answer)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let (Some(answer), Some(sending)) = (self.answer.take(), &self.sending) else { return };
        // Hyper stops reading the body when the future of the answer is dropped. So the future is kept until hyper has
        // received the error.
        if let (true, Ok(runtime)) = (sending.give_up(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(CLOSING, answer));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const PIECES_HELD: usize = (HELD / PIECE) as usize;

    /// A body of `length` bytes, its progress, and what it has to contain.
    fn body(length: usize) -> (SdkBody, Arc<Sending>, Vec<u8>) {
        let content: Vec<u8> = (0..length).map(|n| (n % 251) as u8).collect();
        let (body, sending) = Pieces::watched(SdkBody::from(content.clone()), Arc::new(Attempt::for_tests()));
        let Some(sending) = sending else { unreachable!("a body of {length} bytes is watched") };
        (body, sending, content)
    }

    fn poll(body: &mut SdkBody) -> Poll<Option<Result<Bytes, BodyError>>> {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(body).poll_frame(&mut context).map_ok(|frame| frame.into_data().unwrap_or_default())
    }

    /// Takes pieces until the body ends or lets the client wait.
    fn take(body: &mut SdkBody, held: &mut VecDeque<Bytes>) {
        while let Poll::Ready(Some(Ok(piece))) = poll(body) {
            held.push_back(piece);
        }
    }

    #[test]
    fn a_body_arrives_whole_however_slowly_it_is_written() {
        for length in [PIECE + 1, PIECE + LAST, 3 * PIECE, 10 * PIECE + LAST - 1, 10 * PIECE + LAST + 1] {
            let (mut body, sending, content) = body(length as usize);
            let (mut held, mut written) = (VecDeque::new(), Vec::new());
            take(&mut body, &mut held);
            while let Some(piece) = held.pop_front() {
                assert!(held.len() < PIECES_HELD, "no more than the client's buffer takes");
                written.extend_from_slice(&piece);
                drop(piece);
                take(&mut body, &mut held);
            }
            assert_eq!(written, content);
            assert!(body.is_end_stream());
            assert!(!sending.give_up(), "all of it was written");
        }
    }

    #[test]
    fn the_end_of_a_body_waits_until_the_rest_is_written() {
        let (mut body, _, _) = body(2 * PIECE as usize);
        let mut held = VecDeque::new();
        take(&mut body, &mut held);
        let taken: usize = held.iter().map(Bytes::len).sum();
        assert_eq!(taken as u64, 2 * PIECE - LAST);
        held.clear();
        take(&mut body, &mut held);
        assert_eq!(held.iter().map(Bytes::len).collect::<Vec<_>>(), [LAST as usize]);
    }

    #[test]
    fn a_body_that_is_given_up_ends_with_an_error() {
        let (mut body, sending, _) = body(10 * PIECE as usize);
        assert!(!sending.give_up(), "it was not begun");
        let mut held = VecDeque::new();
        take(&mut body, &mut held);
        assert!(poll(&mut body).is_pending());
        assert!(sending.give_up());
        assert!(matches!(poll(&mut body), Poll::Ready(Some(Err(_)))));
    }

    #[test]
    fn a_small_body_is_not_watched() {
        let attempt = Arc::new(Attempt::for_tests());
        assert!(Pieces::watched(SdkBody::from(vec![0; PIECE as usize]), attempt).1.is_none());
    }
}

//! Bodies of requests and answers that are watched while they move.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::patience::{Attempt, Stalled};

/// Bytes of one frame. In one piece, a body would be handed over all at once, and nobody would see it move.
const FRAME: usize = 64 * 1024;

/// The body of a request, in frames that are counted as they are taken.
pub(super) struct Frames {
    inner: SdkBody,
    /// What the inner body gave and was not taken yet.
    rest: Bytes,
    left: u64,
    attempt: Arc<Attempt>,
}

impl Frames {
    /// `body`, watched. A body of few bytes or of unknown length, as none is here, stays as it is.
    pub(super) fn watched(body: SdkBody, attempt: Arc<Attempt>) -> SdkBody {
        match body.content_length() {
            Some(left) if left > FRAME as u64 => {
                SdkBody::from_body_1_x(Self { inner: body, rest: Bytes::new(), left, attempt })
            }
            _ => body,
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(FRAME);
        let frame = self.rest.split_to(length);
        self.left = self.left.saturating_sub(length as u64);
        self.attempt.advance(length as u64, Instant::now());
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The body of an answer, which fails when it brings nothing for too long. The time in which nobody reads does not
/// count.
pub(super) struct Answered {
    inner: SdkBody,
    limit: Duration,
    /// Runs while a reader waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Answered {
    /// `inner`, with at most `limit` between two frames.
    pub(super) fn new(inner: SdkBody, limit: Duration) -> Self {
        Self { inner, limit, deadline: None }
    }
}

impl Body for Answered {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) {
            self.deadline = None;
            return Poll::Ready(frame);
        }
        let limit = self.limit;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + limit)));
        match deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Box::new(Stalled { waited: limit })))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

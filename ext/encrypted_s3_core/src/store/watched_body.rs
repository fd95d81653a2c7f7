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

/// Bytes of one frame. The progress of a body in one piece could not be measured.
const FRAME: usize = 64 * 1024;

/// The body of a request, in frames that are counted when they are taken.
pub(super) struct Frames {
    inner: SdkBody,
    /// Bytes of the inner body that were not taken yet.
    rest: Bytes,
    left: u64,
    attempt: Arc<Attempt>,
}

impl Frames {
    /// Wraps `body`. A small body, or one of unknown length, is returned unchanged.
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

/// The body of an answer. Reading fails when nothing arrives for too long; only the time during which a reader waits
/// counts.
pub(super) struct Answered {
    inner: SdkBody,
    limit: Duration,
    /// Bytes that may still arrive.
    left: u64,
    /// Runs while a reader waits.
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Answered {
    /// Wraps `inner`, with at most `limit` between two frames and at most `most` bytes in all of them.
    pub(super) fn new(inner: SdkBody, limit: Duration, most: u64) -> Self {
        Self { inner, limit, left: most, deadline: None }
    }

    fn counted(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Err("the answer is too long".into()),
        }
        Ok(frame)
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
            return Poll::Ready(frame.map(|frame| self.counted(frame?)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body of 3 MiB with a limit of `most` bytes. Returns the number of bytes, and whether it ended without an
    /// error.
    async fn read(most: u64) -> (usize, bool) {
        let mut body = Answered::new(SdkBody::from(vec![1; 3 << 20]), Duration::from_secs(9), most);
        let mut arrived = 0;
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame {
                Ok(frame) => arrived += frame.data_ref().map_or(0, Bytes::len),
                Err(_) => return (arrived, false),
            }
        }
        (arrived, true)
    }

    #[tokio::test]
    async fn an_answer_ends_with_an_error_at_its_limit() {
        assert_eq!(read(u64::MAX).await, (3 << 20, true));
        assert_eq!(read(3 << 20).await, (3 << 20, true));
        assert_eq!(read((3 << 20) - 1).await, (0, false));
    }
}

//! The body of an answer while it arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use aws_smithy_types::body::{Error as BodyError, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::patience::Stalled;
use super::request_body::Sending;
use super::whole_answer::Ends;

/// The body of an answer. Reading fails when nothing arrives for too long; only the time during which a reader waits
/// counts.
pub(super) struct Answered {
    inner: SdkBody,
    limit: Duration,
    /// Bytes that may still arrive.
    left: u64,
    /// Runs while a reader waits.
    deadline: Option<Pin<Box<Sleep>>>,
    /// The body of the request, if the store has answered with an error before it has read all of it.
    refused: Option<Arc<Sending>>,
    /// The ends of an answer that must be whole.
    ends: Option<Ends>,
}

impl Answered {
    /// Wraps `inner`, with at most `limit` between two frames and at most `most` bytes in all of them.
    pub(super) fn new(inner: SdkBody, limit: Duration, most: u64) -> Self {
        Self { inner, limit, left: most, deadline: None, refused: None, ends: None }
    }

    /// Reading fails at the end of XML that was cut off.
    pub(super) fn checking_its_end(mut self) -> Self {
        self.ends = Some(Ends::default());
        self
    }

    /// Gives up the body of the refused request when this answer is dropped.
    pub(super) fn refusing(mut self, request: Option<Arc<Sending>>) -> Self {
        self.refused = request;
        self
    }

    fn counted(&mut self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return Err("the answer is too long".into()),
        }
        if let (Some(ends), Some(data)) = (&mut self.ends, frame.data_ref()) {
            ends.take(data);
        }
        Ok(frame)
    }

    /// The end of the answer.
    fn ended(&self) -> Option<Result<Frame<Bytes>, BodyError>> {
        let checked = self.ends.as_ref().map_or(Ok(()), Ends::check);
        checked.err().map(|error| Err(error.into()))
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if let Some(request) = &self.refused {
            request.give_up();
        }
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
            return Poll::Ready(match frame {
                Some(frame) => Some(frame.and_then(|frame| self.counted(frame))),
                None => self.ended(),
            });
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

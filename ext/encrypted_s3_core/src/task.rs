//! Work on the runtime that ends with whoever waits for it.

use tokio::task::JoinHandle;

use crate::{Error, ErrorKind, Result};

/// A spawned future. Dropping the task cancels it.
///
/// Requests to the store run in tasks because what waits for them is dropped outside the runtime when the waiting Ruby
/// thread is interrupted, and the connections of an HTTP client must not be.
#[derive(Debug)]
pub struct Task<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Task<T> {
    /// Starts `work`. Must be called within a tokio runtime.
    pub fn spawn(work: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Waits for the result, once. May be dropped and called again before that.
    ///
    /// # Errors
    /// What the work returned; `Internal` when it panicked.
    pub async fn join(&mut self) -> Result<T> {
        (&mut self.0).await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "a task of the transfer ended early").with_source(error))
        })
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

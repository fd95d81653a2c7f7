//! Tasks on the runtime that are cancelled when the code that waits for them is dropped.
//!
//! Requests to the store run in tasks. The future that waits for a request is dropped outside the runtime when its Ruby
//! thread is interrupted, and the connections of an HTTP client must not be dropped there.

use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

use crate::{Error, ErrorKind, Result};

/// A spawned future with its result. Dropping the task cancels the future.
pub type Task<T> = AbortOnDropHandle<Result<T>>;

/// Starts `work`. Must be called within a tokio runtime.
pub fn spawn<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Task<T> {
    AbortOnDropHandle::new(tokio::spawn(work))
}

/// Waits for the result, once. May be dropped and called again before that.
///
/// # Errors
/// The error of the work; `Internal` when it panicked.
pub async fn join<T>(task: &mut Task<T>) -> Result<T> {
    finished(task.await)
}

/// The result of a task that has ended.
///
/// # Errors
/// The errors of [`join`].
pub(crate) fn finished<T>(ended: std::result::Result<Result<T>, JoinError>) -> Result<T> {
    ended.unwrap_or_else(|error| Err(ended_early(error)))
}

/// Runs `work` in a task and waits for it.
///
/// # Errors
/// The errors of [`join`].
pub async fn run<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    join(&mut spawn(work)).await
}

/// The error for a task that panicked.
pub(crate) fn ended_early(error: JoinError) -> Error {
    Error::new(ErrorKind::Internal, "a task of the transfer ended early").with_source(error)
}

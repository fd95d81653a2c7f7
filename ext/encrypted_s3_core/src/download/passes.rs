//! How many large objects are fetched into temporary files at once.
//!
//! Each needs as much disk as the object has bytes, and all of it even for a range of one byte. Without a limit, a page
//! with as many films as the server has threads would fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most objects that all clients of a process fetch into files at once. The others wait.
pub const FIRST_PASSES: usize = 4;

/// The permits by runtime, of which a process has one. A forked child has a runtime of its own, and with it new
/// permits: those that the parent's tasks hold are never returned in the child. The pid would not do: it can come
/// again.
static PERMITS: LazyLock<Mutex<HashMap<Id, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

/// Waits for a permit and holds it until it is dropped. Must be called within a tokio runtime. `None` cannot happen:
/// the semaphore is never closed.
pub(super) async fn turn() -> Option<OwnedSemaphorePermit> {
    permits().acquire_owned().await.ok()
}

fn permits() -> Arc<Semaphore> {
    let mut permits = PERMITS.lock().unwrap_or_else(PoisonError::into_inner);
    permits.entry(Handle::current().id()).or_insert_with(|| Arc::new(Semaphore::new(FIRST_PASSES))).clone()
}

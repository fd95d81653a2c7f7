//! A limit on the number of large objects that are fetched into temporary files at the same time.
//!
//! Each needs as much disk space as the object has bytes, even if only one byte of it is wanted. Without a limit, a
//! page with as many films as the server has threads would fill the disk.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest number of objects that all clients of a process fetch into files at the same time. Further objects wait.
pub const FIRST_PASSES: usize = 4;

/// The permits of each runtime. A process has one runtime. A forked child has its own runtime and therefore new
/// permits: permits that tasks of the parent hold are never returned in the child. The process id is not a suitable
/// key, because the system can use it again.
static PERMITS: LazyLock<Mutex<HashMap<Id, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

/// Waits for a permit, which is held until it is dropped. Must be called within a tokio runtime. Never returns `None`,
/// because the semaphore is never closed.
pub(super) async fn turn() -> Option<OwnedSemaphorePermit> {
    permits().acquire_owned().await.ok()
}

fn permits() -> Arc<Semaphore> {
    let mut permits = PERMITS.lock().unwrap_or_else(PoisonError::into_inner);
    permits.entry(Handle::current().id()).or_insert_with(|| Arc::new(Semaphore::new(FIRST_PASSES))).clone()
}

//! How many large objects are fetched into temporary files at once.
//!
//! Each needs as much disk as the object has bytes, and all of it even for a range of one byte. Without a limit, a page
//! with as many films as the server has threads would fill the disk.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Objects that are fetched into files at once, by all clients of a process together. The others wait.
pub const FIRST_PASSES: usize = 4;

/// The process's permits. A forked child has its own: whoever holds those of the parent lives there.
static PERMITS: Mutex<Option<(u32, Arc<Semaphore>)>> = Mutex::new(None);

/// Waits for its turn; it is over when the permit is dropped. `None` cannot happen: nobody closes the semaphore.
pub(super) async fn turn() -> Option<OwnedSemaphorePermit> {
    permits().acquire_owned().await.ok()
}

fn permits() -> Arc<Semaphore> {
    let process = std::process::id();
    let mut permits = PERMITS.lock().unwrap_or_else(PoisonError::into_inner);
    match &*permits {
        Some((owner, permits)) if *owner == process => permits.clone(),
        _ => permits.insert((process, Arc::new(Semaphore::new(FIRST_PASSES)))).1.clone(),
    }
}

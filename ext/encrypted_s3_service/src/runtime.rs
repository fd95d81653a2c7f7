//! One tokio runtime per process.
//!
//! It is created on first use, never when the gem is loaded or a service is built: Puma, Spring and Solid Queue do both
//! before they fork, and threads do not survive a fork. A runtime that was inherited from a parent process has no
//! threads; it is neither used nor dropped, and the child creates its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use magnus::{Error, Ruby};
use tokio::runtime::{Builder, Runtime};

use crate::process;

static RUNTIME: Mutex<Option<(process::Id, &'static Runtime)>> = Mutex::new(None);

/// Threads that must be possible besides the workers: for the names of hosts and for folders.
const SPARE: usize = 2;

/// How long the system may need until an ended thread no longer counts towards its limits.
const RELEASE: Duration = Duration::from_millis(10);

/// The most worker threads. More do not help: they only wait for sockets and move bytes.
const MAX_WORKERS: usize = 4;

/// Returns this process's runtime and creates it if necessary.
///
/// # Errors
/// `EncryptedS3Service::InternalError` when the system cannot start threads.
pub fn get(ruby: &Ruby) -> Result<&'static Runtime, Error> {
    // The error is built after the lock is released: it allocates Ruby objects, the garbage collector may run and free
    // clients, and freeing a client needs the runtime.
    started_or_built().map_err(|error| {
        let problem = format!(
            "Cannot start threads for transfers ({error}). Raise the limit of processes: `ulimit -u`, TasksMax of \
             systemd, or pids.max of the container."
        );
        crate::error::named(ruby, "InternalError", &problem)
    })
}

fn started_or_built() -> std::io::Result<&'static Runtime> {
    let process = process::id();
    let mut slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    match *slot {
        Some((owner, runtime)) if owner == process => Ok(runtime),
        _ => {
            let runtime: &'static Runtime = Box::leak(Box::new(build()?));
            *slot = Some((process, runtime));
            Ok(runtime)
        }
    }
}

/// Returns this process's runtime if it has been created.
pub fn started() -> Option<&'static Runtime> {
    let slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    slot.filter(|(owner, _)| *owner == process::id()).map(|(_, runtime)| runtime)
}

fn build() -> std::io::Result<Runtime> {
    let workers = thread::available_parallelism().map_or(2, usize::from).min(MAX_WORKERS);
    try_threads(workers + SPARE)?;
    Builder::new_multi_thread().worker_threads(workers).thread_name("encrypted_s3").enable_all().build()
}

/// Starts and ends as many threads. If the system refuses one to tokio, tokio panics and then waits for the ones that
/// it has started, for ever and with Ruby's lock held.
fn try_threads(count: usize) -> std::io::Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
    let threads: std::io::Result<Vec<_>> = (0..count)
        .map(|_| {
            let gate = Arc::clone(&gate);
            thread::Builder::new().spawn(move || drop(gate.lock()))
        })
        .collect();
    drop(closed);
    for thread in threads? {
        // It has nothing that could panic.
        let _ = thread.join();
    }
    thread::sleep(RELEASE);
    Ok(())
}

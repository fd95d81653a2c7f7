//! One tokio runtime per process.
//!
//! It is made on first use, never when the gem is loaded or a service is built: Puma, Spring and Solid Queue do both
//! before they fork, and threads do not survive a fork. A runtime inherited from a parent has none; it is left alone,
//! neither used nor dropped, and the child makes its own.

use std::sync::{Mutex, PoisonError};

use magnus::{Error, Ruby};
use tokio::runtime::{Builder, Runtime};

use crate::process;

static RUNTIME: Mutex<Option<(process::Id, &'static Runtime)>> = Mutex::new(None);

/// More threads than this do not help: they only wait for sockets and move bytes.
const MAX_WORKERS: usize = 4;

/// This process's runtime, made if need be.
///
/// # Errors
/// `EncryptedS3Service::InternalError` when the system gives no threads.
pub fn get(ruby: &Ruby) -> Result<&'static Runtime, Error> {
    // Raising makes Ruby objects, which may run the garbage collector, which frees clients, which ask for the runtime:
    // not while it is locked.
    started_or_built().map_err(|error| {
        crate::error::named(ruby, "InternalError", &format!("no threads for transfers: {}", error.kind()))
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

/// This process's runtime if it has one.
pub fn started() -> Option<&'static Runtime> {
    let slot = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    slot.filter(|(owner, _)| *owner == process::id()).map(|(_, runtime)| runtime)
}

fn build() -> std::io::Result<Runtime> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(MAX_WORKERS);
    Builder::new_multi_thread().worker_threads(workers).thread_name("encrypted_s3").enable_all().build()
}

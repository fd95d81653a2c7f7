//! The identity of this process.
//!
//! It is not the pid: in a container with few processes, a grandchild may get the pid of an ancestor that has ended,
//! and would use the threads of that process as its own.

#![allow(unsafe_code, reason = "only the C library reports forks")]

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of forks between the process that loaded the extension and this one. Only meaningful in this process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Id(u64);

static FORKS: AtomicU64 = AtomicU64::new(0);

unsafe extern "C" fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// Starts counting forks.
pub fn watch() {
    // SAFETY: the handler is a function of this extension, which Ruby never unloads. It runs in the child with one
    // thread and only adds to an atomic number. A failure (no memory) leaves children with the id of their parent.
    unsafe { libc::pthread_atfork(None, None, Some(forked)) };
}

/// Returns the identity of this process.
pub fn id() -> Id {
    Id(FORKS.load(Ordering::Relaxed))
}

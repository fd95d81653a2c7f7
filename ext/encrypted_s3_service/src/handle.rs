//! A value of the core inside a Ruby object. One thread uses it at a time, and only in the process that made it.

use std::sync::{Mutex, MutexGuard, TryLockError};

use magnus::{Error, Ruby};

use crate::{error, process};

/// A value of the core inside a Ruby object.
pub struct Handle<T> {
    process: process::Id,
    value: Mutex<Option<T>>,
}

impl<T> Handle<T> {
    /// Makes a handle that belongs to this process.
    pub fn new(value: T) -> Self {
        Self { process: process::id(), value: Mutex::new(Some(value)) }
    }

    /// Locks the value for one call. Never blocks: waiting here for another thread, with the GVL held, would stop every
    /// thread.
    ///
    /// # Errors
    /// `ForkError` in another process, `ThreadError` while another thread uses the value.
    pub fn lock(&self, ruby: &Ruby) -> Result<MutexGuard<'_, Option<T>>, Error> {
        if self.process != process::id() {
            return Err(error::named(
                ruby,
                "ForkError",
                "a transfer cannot be used after a fork; start it again in the child process",
            ));
        }
        match self.value.try_lock() {
            Ok(guard) => Ok(guard),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Err(error::busy(ruby)),
        }
    }

    /// Reads the value if no other thread is using it; for `ObjectSpace.memsize_of`.
    pub fn peek<R>(&self, look: impl FnOnce(&T) -> R) -> Option<R> {
        self.value.try_lock().ok().and_then(|guard| guard.as_ref().map(look))
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // Dropping would wake tasks of a runtime whose threads, and the locks they held, are in another process.
        if self.process != process::id()
            && let Ok(slot) = self.value.get_mut()
        {
            std::mem::forget(slot.take());
        }
    }
}

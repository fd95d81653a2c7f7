//! The parts of one transfer that are being sent.
//!
//! All transfers of a process share a limit, because each part needs memory: otherwise eight large uploads at once
//! would have 80 parts in flight, far more than a few connections need for full speed.

use std::sync::{Arc, OnceLock};

use tokio::runtime::{Handle, Id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::Command;
use crate::store::StoredPart;
use crate::{Result, task};

/// Parts that each transfer may always have in flight, so that no transfer waits for another.
pub const OWN_PARTS: usize = 2;

/// Additional parts that all transfers of a process share. Two dozen connections carry some 480 MB/s.
pub const SHARED_PARTS: usize = 24;

/// The permits of each runtime. A process has one runtime, and a forked child has its own: permits that tasks of the
/// parent hold are never returned in the child.
///
/// It is a list without a lock, because the process may be forked at any moment: a lock that a thread of the runtime
/// holds then stays locked in the child.
static PERMITS: OnceLock<Box<Permits>> = OnceLock::new();

/// The permits of a runtime, and those of the runtimes that began later.
struct Permits {
    runtime: Id,
    semaphore: Arc<Semaphore>,
    later: OnceLock<Box<Permits>>,
}

/// The permission to have one more part in flight.
pub(super) type Permit = Option<OwnedSemaphorePermit>;

/// The parts in flight, and those that have arrived.
#[derive(Default)]
pub(super) struct InFlight {
    requests: JoinSet<Result<StoredPart>>,
    arrived: Vec<StoredPart>,
}

impl InFlight {
    /// Waits until one more part may be sent.
    ///
    /// # Errors
    /// The error of a part that failed meanwhile.
    pub(super) async fn turn(&mut self) -> Result<Permit> {
        let permits = permits();
        while self.requests.len() >= OWN_PARTS {
            tokio::select! {
                biased;
                Ok(permit) = permits.clone().acquire_owned() => return Ok(Some(permit)),
                Some(joined) = self.requests.join_next() => self.arrived.push(task::finished(joined)?),
            }
        }
        Ok(None)
    }

    /// Sends a part. Its permit is released when the store has received the part.
    pub(super) fn send(&mut self, part: impl Future<Output = Result<StoredPart>> + Send + 'static, permit: Permit) {
        self.requests.spawn(async move {
            let _held = permit;
            part.await
        });
    }

    /// Waits until no more than `allowed` parts are in flight.
    ///
    /// # Errors
    /// The error of a part that failed.
    pub(super) async fn settle(&mut self, allowed: usize) -> Result<()> {
        while self.requests.len() > allowed {
            if let Some(joined) = self.requests.join_next().await {
                self.arrived.push(task::finished(joined)?);
            }
        }
        Ok(())
    }

    /// Waits for the caller's next command. A part that fails meanwhile is noticed at once, not with the next part.
    ///
    /// # Errors
    /// The error of that part.
    pub(super) async fn next_command(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<Option<Command>> {
        loop {
            tokio::select! {
                command = commands.recv() => return Ok(command),
                Some(joined) = self.requests.join_next() => self.arrived.push(task::finished(joined)?),
            }
        }
    }

    /// The parts that have arrived, in order.
    pub(super) fn arrived(&mut self) -> Vec<StoredPart> {
        let mut parts = std::mem::take(&mut self.arrived);
        parts.sort_by_key(|part| part.number);
        parts
    }

    /// Ends all requests, and waits until they have ended.
    pub(super) async fn shutdown(&mut self) {
        self.requests.shutdown().await;
    }
}

fn permits() -> Arc<Semaphore> {
    let runtime = Handle::current().id();
    let new =
        || Box::new(Permits { runtime, semaphore: Arc::new(Semaphore::new(SHARED_PARTS)), later: OnceLock::new() });
    let mut permits = PERMITS.get_or_init(new);
    while permits.runtime != runtime {
        permits = permits.later.get_or_init(new);
    }
    permits.semaphore.clone()
}

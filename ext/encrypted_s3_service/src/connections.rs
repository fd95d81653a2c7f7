//! The connections that all clients of this process share.

use std::sync::{Arc, Mutex, PoisonError};

use encrypted_s3_core::store::Connections;

use crate::process;

static CONNECTIONS: Mutex<Option<(process::Id, Arc<Connections>)>> = Mutex::new(None);

/// Returns the connections of `process`, which is this one. Connections that were inherited from a parent process are
/// neither used nor closed, because the parent uses the same sockets.
pub fn of(process: process::Id) -> Arc<Connections> {
    let mut slot = CONNECTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some((owner, connections)) if *owner == process => connections.clone(),
        _ => {
            let connections = Arc::new(Connections::new());
            std::mem::forget(slot.replace((process, connections.clone())));
            connections
        }
    }
}

//! The connections that all clients of this process share.

use std::sync::{Arc, Mutex, PoisonError};

use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::kms::KmsSettings;
use encrypted_s3_core::store::{ConnectionSettings, Connections};

use crate::process;

static CONNECTIONS: Mutex<Option<(process::Id, Arc<Connections>)>> = Mutex::new(None);

/// Returns the connections of `process`, which is this one. Connections inherited from a parent process are neither
/// used nor closed, because the parent uses the same sockets.
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

/// Returns `envelopes` with the service for its keys in KMS, over connections of `process`, which is this one.
pub fn with_kms(
    mut envelopes: Envelopes,
    process: process::Id,
    connection: &ConnectionSettings,
    kms: &KmsSettings,
) -> Envelopes {
    if envelopes.keyring.needs_kms() {
        let service = of(process).kms(connection.clone(), kms.clone());
        envelopes.keyring = envelopes.keyring.with_kms(Arc::new(service));
    }
    envelopes
}

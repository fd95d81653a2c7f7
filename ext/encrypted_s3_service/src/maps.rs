//! The segment maps that all clients of this process share.

use std::sync::{Arc, Mutex, PoisonError};

use encrypted_s3_core::download::{MAP_MEMORY, Maps};

use crate::process;

static MAPS: Mutex<Option<(process::Id, Arc<Maps>)>> = Mutex::new(None);

/// Returns the maps of this process. Maps inherited from a parent process are not used: a thread of the parent may have
/// held one of their locks during the fork. They are not freed either, because that needs the lock too.
pub fn shared() -> Arc<Maps> {
    let process = process::id();
    let mut slot = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some((owner, maps)) if *owner == process => maps.clone(),
        _ => {
            let maps = Arc::new(Maps::new(MAP_MEMORY));
            std::mem::forget(slot.replace((process, maps.clone())));
            maps
        }
    }
}

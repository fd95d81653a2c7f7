//! The segment maps that the downloads of a process share: a cache, and one pass at a time for each version of an
//! object.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedMutexGuard, Semaphore, SemaphorePermit};

use crate::envelope::ContentKey;
use crate::segments::{Map, MapCache, Version};

/// The default memory limit for the maps of a process, in bytes. It is enough for objects of 32 GiB in total. For a
/// larger object, only parts of its stored map are fetched.
pub const MAP_MEMORY: usize = 8 * 1024 * 1024;

/// The largest number of objects that are read whole at the same time only to make their maps. Further objects wait.
/// Otherwise a page with many videos would use the whole bandwidth.
pub const FIRST_PASSES: usize = 4;

/// The data that the downloads of a process share. A forked child needs its own: a task of the parent that makes a map
/// does not exist in the child.
#[derive(Debug)]
pub struct Maps {
    cache: MapCache,
    /// The versions whose map is being made or in use.
    making: Mutex<HashMap<Version, Weak<Slot>>>,
    turns: Semaphore,
}

/// The last map that was made of a version. It may be too large for the cache, but all callers that waited for it get
/// it.
type Slot = tokio::sync::Mutex<Weak<Map>>;

/// The exclusive right to make the map of a version, until this is dropped.
pub(super) struct Making(OwnedMutexGuard<Weak<Map>>);

impl Maps {
    /// Creates an empty cache for maps of `memory` bytes in total; 0 keeps no maps.
    pub fn new(memory: usize) -> Self {
        Self { cache: MapCache::new(memory), making: Mutex::default(), turns: Semaphore::new(FIRST_PASSES) }
    }

    /// The memory limit of the maps, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.cache.limit()
    }

    /// Returns the map of this version, if there is one and it belongs to the object that `key` was opened from.
    pub(super) fn cached(&self, version: &Version, key: &ContentKey, text_len: u64) -> Option<Arc<Map>> {
        self.cache.get(version, key, text_len)
    }

    /// Whether there is a map of any version of this object.
    pub(super) fn knows(&self, store: &str, bucket: &str, key: &str) -> bool {
        self.cache.knows(store, bucket, key)
    }

    /// Keeps a map for later downloads.
    pub(super) fn keep(&self, version: Version, map: Arc<Map>) {
        self.cache.insert(version, map);
    }

    /// Drops the map of a version.
    pub(super) fn forget(&self, version: &Version) {
        self.cache.remove(version);
    }

    /// Waits until no other task makes a map of this version.
    pub(super) async fn alone(&self, version: &Version) -> Making {
        let slot = {
            let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            making.retain(|_, slot| slot.strong_count() > 0);
            let slot = making.get(version).and_then(Weak::upgrade).unwrap_or_default();
            making.insert(version.clone(), Arc::downgrade(&slot));
            slot
        };
        Making(slot.lock_owned().await)
    }

    /// Waits until fewer than [`FIRST_PASSES`] passes are under way. Never returns `None`, because the semaphore is
    /// never closed.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }
}

impl Making {
    /// Returns the map that was made while this caller waited, if it is still in use and belongs to the object that
    /// `key` was opened from.
    pub(super) fn map(&self, key: &ContentKey, text_len: u64) -> Option<Arc<Map>> {
        self.0.upgrade().filter(|map| map.is_of(key, text_len))
    }

    /// Passes the map to the callers that wait for it.
    pub(super) fn made(&mut self, map: &Arc<Map>) {
        *self.0 = Arc::downgrade(map);
    }
}

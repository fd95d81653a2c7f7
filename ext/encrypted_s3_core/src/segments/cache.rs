//! Maps that were used lately, for the next reading of the same version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::Map;
use crate::envelope::ContentKey;

/// Which version of which object a map is of. None of it is authenticated; see [`MapCache::get`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// What tells one store from another: its endpoint, or its region.
    pub store: String,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The entity tag, as the store gives it. Without one nothing is kept.
    pub etag: String,
}

/// Keeps the maps that were used last, up to a limit of memory. To be shared by all that read.
#[derive(Debug)]
pub struct MapCache {
    /// Bytes of memory that the maps may take.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    maps: LruCache<Version, Arc<Map>>,
    bytes: usize,
}

impl MapCache {
    /// An empty cache for maps of `limit` bytes together; 256 KiB are enough for an object of 1 GiB. 0 keeps none.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::new(State { maps: LruCache::unbounded(), bytes: 0 }) }
    }

    /// The map of a version, if there is one and if it is of the object that `key` was opened from just now, with
    /// `text_len` bytes of ciphertext. One that is not, is dropped: somebody has put another envelope before the same
    /// body, or the store gives one entity tag to two bodies.
    pub fn get(&self, version: &Version, key: &ContentKey, text_len: u64) -> Option<Arc<Map>> {
        let map = self.state().maps.get(version)?.clone();
        // Outside of the lock: it derives keys.
        if map.is_of(key, text_len) {
            return Some(map);
        }
        self.remove_same(version, &map);
        None
    }

    /// Keeps a map and drops those that were not used for the longest time. A map that is not whole or exceeds the limit
    /// is not kept.
    pub fn insert(&self, version: Version, map: Arc<Map>) {
        let cost = cost(&version, &map);
        if !map.is_whole() || cost > self.limit || version.etag.is_empty() {
            return;
        }
        let mut state = self.state();
        if let Some((version, map)) = state.maps.push(version, map) {
            state.bytes = state.bytes.saturating_sub(self::cost(&version, &map));
        }
        state.bytes = state.bytes.saturating_add(cost);
        while state.bytes > self.limit {
            let Some((version, map)) = state.maps.pop_lru() else { break };
            state.bytes = state.bytes.saturating_sub(self::cost(&version, &map));
        }
    }

    /// Drops the map of a version, after a segment did not fit it.
    pub fn remove(&self, version: &Version) {
        let mut state = self.state();
        if let Some((version, map)) = state.maps.pop_entry(version) {
            state.bytes = state.bytes.saturating_sub(cost(&version, &map));
        }
    }

    /// How many bytes of memory the maps take.
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Drops `map` unless another has taken its place meanwhile.
    fn remove_same(&self, version: &Version, map: &Arc<Map>) {
        let is_there = self.state().maps.peek(version).is_some_and(|kept| Arc::ptr_eq(kept, map));
        if is_there {
            self.remove(version);
        }
    }

    /// A thread that panicked has left at worst a wrong count.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The memory that an entry takes; the table's own share is estimated.
fn cost(version: &Version, map: &Map) -> usize {
    const TABLE: usize = 128;
    let names = version.store.len() + version.bucket.len() + version.key.len() + version.etag.len();
    TABLE + size_of::<Version>() + names + map.bytes()
}

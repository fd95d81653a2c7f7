//! Recently used maps, kept for the next reading of the same version.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::Map;
use crate::envelope::ContentKey;

/// Identifies the version of the object that a map belongs to. None of these values is authenticated; see
/// [`MapCache::get`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// Identifies the store: its endpoint, or its region.
    pub store: String,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The entity tag, exactly as the store returns it. If it is empty, no map is kept.
    pub etag: String,
}

/// Keeps the most recently used maps, up to a memory limit. All readers share one cache.
#[derive(Debug)]
pub struct MapCache {
    /// The largest number of bytes of memory for all maps.
    limit: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    maps: LruCache<Version, Arc<Map>>,
    bytes: usize,
}

impl MapCache {
    /// Creates an empty cache for maps of `limit` bytes in total. An object of 1 GiB needs some 256 KiB. 0 keeps no
    /// maps.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::new(State { maps: LruCache::unbounded(), bytes: 0 }) }
    }

    /// The largest number of bytes of memory for all maps.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Returns the map of a version, if there is one and it belongs to the object that `key` was just opened from, with
    /// `text_len` bytes of ciphertext. A map that does not belong to it is dropped: the same body was given another
    /// envelope, or the store uses one entity tag for two bodies.
    pub fn get(&self, version: &Version, key: &ContentKey, text_len: u64) -> Option<Arc<Map>> {
        let map = self.state().maps.get(version)?.clone();
        // Checked without the lock, because this derives keys.
        if map.is_of(key, text_len) {
            return Some(map);
        }
        self.remove_same(version, &map);
        None
    }

    /// Whether there is a map of any version of the object `key`.
    pub fn knows(&self, store: &str, bucket: &str, key: &str) -> bool {
        let state = self.state();
        state.maps.iter().any(|(version, _)| version.key == key && version.bucket == bucket && version.store == store)
    }

    /// Keeps a map, and drops the least recently used maps when the limit is exceeded. A map that alone exceeds the
    /// limit replaces all others: making it took a pass over an object of more than 32 GiB, and no map has more than 16
    /// MiB. A partial map is not kept.
    pub fn insert(&self, version: Version, map: Arc<Map>) {
        let cost = cost(&version, &map);
        if !map.is_whole() || self.limit == 0 || version.etag.is_empty() {
            return;
        }
        let mut state = self.state();
        if let Some((version, map)) = state.maps.push(version, map) {
            state.bytes = state.bytes.saturating_sub(self::cost(&version, &map));
        }
        state.bytes = state.bytes.saturating_add(cost);
        while state.bytes > self.limit && state.maps.len() > 1 {
            let Some((version, map)) = state.maps.pop_lru() else { break };
            state.bytes = state.bytes.saturating_sub(self::cost(&version, &map));
        }
    }

    /// Drops the map of a version. Call it after a segment did not match the map.
    pub fn remove(&self, version: &Version) {
        let mut state = self.state();
        if let Some((version, map)) = state.maps.pop_entry(version) {
            state.bytes = state.bytes.saturating_sub(cost(&version, &map));
        }
    }

    /// The number of bytes of memory that the maps use.
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Drops `map`, unless another map has replaced it meanwhile.
    fn remove_same(&self, version: &Version, map: &Arc<Map>) {
        let is_there = self.state().maps.peek(version).is_some_and(|kept| Arc::ptr_eq(kept, map));
        if is_there {
            self.remove(version);
        }
    }

    /// Acquires the lock, even if a thread panicked while holding it: the worst result of that is a wrong count of
    /// bytes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of bytes of memory of an entry. The share of the table itself is estimated.
fn cost(version: &Version, map: &Map) -> usize {
    const TABLE: usize = 128;
    let names = version.store.len() + version.bucket.len() + version.key.len() + version.etag.len();
    TABLE + size_of::<Version>() + names + map.bytes()
}

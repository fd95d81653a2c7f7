//! Authenticated reading of any part of a large object, with the segment map of `docs/format.md`, section 3.
//!
//! GCM authenticates an object as a whole, with one tag at its end. A [`Map`] authenticates each 64 KiB segment of its
//! ciphertext. A caller that has the map fetches the segments that it needs, in any order, and opens them with a
//! [`SegmentReader`].
//!
//! There are two ways to get a map. The first is a pass over the whole ciphertext, [`Sealing`] or [`Checking`]: it
//! returns a map only if the object's own tag was made or successfully checked in that pass, and the types allow no
//! other way. The second is to read the map that is stored beside the object ([`Map::read`]); its header authenticates
//! it. A map is valid for one data key and object id only. Every use requires both again, because the entity tag and
//! the metadata that a store returns may be wrong.

mod builder;
mod cache;
mod header;
mod layout;
mod map;
mod pass;
mod reader;

use crate::gcm::{MAX_PLAINTEXT, NONCE_LEN, Nonce, TAG_LEN};

pub use cache::{MapCache, Version};
pub use header::{HEADER_LEN, NoMap};
pub(crate) use header::{MARK_LEN, is_sidecar, may_be_replaced};
pub use layout::Layout;
pub use map::Map;
pub use pass::{Checking, Purpose, Sealing};
pub use reader::SegmentReader;

/// The number of bytes of ciphertext in a segment; the last segment of an object may have fewer.
pub const SEGMENT_LEN: usize = 64 * 1024;

/// The suffix that is appended to an object's key to get the key of its stored map.
pub const SIDECAR_SUFFIX: &str = ".segments";

/// Bytes of the largest stored map, that of an object of 64 GiB less 32 bytes. Read at most one byte more: a larger
/// object is not a map.
pub const MAX_SIDECAR_LEN: u64 = HEADER_LEN as u64 + MAX_PLAINTEXT.div_ceil(SEGMENT_LEN as u64) * TAG_LEN as u64;

/// The longest key of S3, in bytes of UTF-8.
const MAX_KEY_LEN: usize = 1024;

/// Returns the key under which the map of the object `key` is stored. `None` when that key would be longer than S3
/// allows; such an object has no stored map, and a request for it would be an error.
pub fn sidecar_key(key: &str) -> Option<String> {
    (key.len() + SIDECAR_SUFFIX.len() <= MAX_KEY_LEN).then(|| format!("{key}{SIDECAR_SUFFIX}"))
}

/// Whether an object with `text_len` bytes of ciphertext gets a stored map, and a reader looks for one. `memory_limit`
/// is the size, in bytes, up to which objects are read whole and need no map.
pub fn wants_sidecar(text_len: u64, memory_limit: u64) -> bool {
    text_len > memory_limit
}

/// Whether `key` is the key of a stored map, and not of an object of the application.
pub fn is_sidecar_key(key: &str) -> bool {
    key.len() > SIDECAR_SUFFIX.len() && key.ends_with(SIDECAR_SUFFIX)
}

/// Returns the nonce of the segment with this number: the number in 64 bits (`docs/format.md`, 3.3). With 32 bits a
/// nonce would repeat, and a repeated nonce reveals the hash key.
pub fn segment_nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    let (_, low) = nonce.split_at_mut(NONCE_LEN - 8);
    low.copy_from_slice(&number.to_be_bytes());
    nonce
}

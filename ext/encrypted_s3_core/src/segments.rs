//! Reading any part of a large object, and nothing of it unauthenticated: the segment map of `docs/format.md`, 3.
//!
//! GCM vouches for an object as a whole, with one tag at its end. A [`Map`] vouches for each 64 KiB of its ciphertext.
//! Whoever has one fetches the segments that are wanted, in any order, and opens them by a [`SegmentReader`].
//!
//! A map comes out of a pass over the whole ciphertext, [`Sealing`] or [`Checking`], and only when the object's own tag
//! was made or found right in that pass: the types leave no other way. Or it was stored beside the object
//! ([`Map::read`]), where its header authenticates itself. A map is good for one data key and object id only, and every
//! use asks for them anew, because a store's entity tag and metadata may lie.

mod builder;
mod cache;
mod header;
mod layout;
mod map;
mod pass;
mod reader;

use crate::gcm::{NONCE_LEN, Nonce};

pub use cache::{MapCache, Version};
pub use header::{HEADER_LEN, NoMap};
pub use layout::Layout;
pub use map::Map;
pub use pass::{Checking, Purpose, Sealing};
pub use reader::SegmentReader;

/// Bytes of ciphertext in a segment; the last one of an object may have fewer.
pub const SEGMENT_LEN: usize = 64 * 1024;

/// What follows an object's key in the key of its stored map.
pub const SIDECAR_SUFFIX: &str = ".segments";

/// Where the map of the object under `key` is stored.
pub fn sidecar_key(key: &str) -> String {
    format!("{key}{SIDECAR_SUFFIX}")
}

/// Whether `key` names a stored map and no object of the application's.
pub fn is_sidecar_key(key: &str) -> bool {
    key.len() > SIDECAR_SUFFIX.len() && key.ends_with(SIDECAR_SUFFIX)
}

/// The nonce of the segment with this number: the number itself, in 64 bits (`docs/format.md`, 3.3). Cut to 32 bits it
/// would come again, and one nonce for two texts gives away the key of the hash.
pub fn segment_nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    let (_, low) = nonce.split_at_mut(NONCE_LEN - 8);
    low.copy_from_slice(&number.to_be_bytes());
    nonce
}

//! How long an object's plaintext is, as far as that shows without reading it.

use super::metadata::{Entries, names};
use crate::cbc;
use crate::gcm;

/// The bytes of plaintext in an object of `body_len` bytes, from its metadata (as [`Envelopes::open`] takes it) alone;
/// `None` when it cannot be told.
///
/// Nothing of this is authenticated. In the GCM formats the length follows from the body's. Under CBC, where padding
/// hides it, the writer's own note is taken if it fits.
///
/// [`Envelopes::open`]: super::Envelopes::open
pub fn plaintext_len<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>, body_len: u64) -> Option<u64> {
    let authenticated = || gcm::plaintext_len(body_len).ok();
    let Ok(entries) = Entries::from_metadata(metadata) else { return authenticated() };
    let is_cbc = entries.holds(names::V1_KEY)
        || entries.get(names::CONTENT_ALGORITHM).is_some_and(|algorithm| algorithm.contains("CBC"));
    let noted: Option<u64> = entries.get(names::PLAINTEXT_LENGTH).and_then(|length| length.parse().ok());
    let padded = noted.filter(|length| padded_len(*length) == Some(body_len));
    let is_known = entries.holds_any(&names::WRAPPED_KEYS) || entries.holds_any(&names::V3_CONTENT);
    match padded {
        _ if is_cbc => padded,
        // The envelope is in an instruction file.
        Some(length) if !is_known => Some(length),
        _ => authenticated(),
    }
}

/// The length of the CBC body of a plaintext.
fn padded_len(length: u64) -> Option<u64> {
    length.checked_add(1)?.checked_next_multiple_of(cbc::BLOCK_LEN as u64)
}

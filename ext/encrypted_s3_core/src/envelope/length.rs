//! The length of an object's plaintext, as far as it is known without reading the object.

use super::metadata::{Entries, names};
use crate::cbc;
use crate::gcm;

/// Returns the number of bytes of plaintext in an object of `body_len` bytes, from its metadata alone (in the form that
/// [`Envelopes::open`] accepts); `None` when it is unknown.
///
/// None of this is authenticated. In the GCM formats the length follows from the length of the body. CBC hides it by
/// padding, so the length noted by the writer is used if it is plausible.
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

/// The length of the CBC body for `length` bytes of plaintext.
fn padded_len(length: u64) -> Option<u64> {
    length.checked_add(1)?.checked_next_multiple_of(cbc::BLOCK_LEN as u64)
}

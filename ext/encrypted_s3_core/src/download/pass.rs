//! One pass over a whole object that checks it and makes its map.

use super::ranges::Ranges;
use super::trailer::Cut;
use crate::Result;
use crate::envelope::ContentKey;
use crate::segments::{Checking, Map, Purpose};

/// Reads the whole body, checks it and returns its map. `ranges` begin with the first byte of the body and end with the
/// last; `size` is the number of bytes of ciphertext without the trailer.
///
/// # Errors
/// `Auth`, or `Cbc`, when the object was changed after it was encrypted; the errors of reading it.
pub(crate) async fn checked(mut ranges: Ranges, key: &ContentKey, size: u64, purpose: Purpose) -> Result<Map> {
    let mut checking = Checking::start(key, purpose)?;
    let mut cut = Cut::after(size);
    while let Some(mut bytes) = ranges.next().await? {
        cut.apply(&mut bytes);
        // The plaintext is dropped. Only the check and the map are needed.
        checking.update(bytes.bytes_from(0))?;
    }
    let (map, _padding) = checking.finish(cut.trailer())?;
    Ok(map)
}

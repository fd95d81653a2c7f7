//! The V3 format: AES-256-GCM under a key derived from the data key, with a commitment to the data key.
//!
//! This version recognises V3 objects, so that mixed or broken envelopes are told apart from whole ones, and decrypts
//! none.

use super::metadata::{Entries, names};
use super::{confusion, unsupported};
use crate::error::Result;

/// AES-256-GCM with HKDF-SHA512 and key commitment; the only suite that is ever stored.
const SUITE: &str = "115";
/// `AES/GCM`, `kms+context` and `RSA-OAEP-SHA1`; V3 knows these short names only.
const WRAPS: [&str; 3] = ["02", "12", "22"];

/// Length of the message id and of the commitment in bytes.
const ID_LEN: usize = 28;

/// Checks that the entries are a whole V3 envelope.
pub(super) fn check(entries: &Entries) -> Result<()> {
    if entries.holds_any(&names::OLDER) {
        return Err(confusion("V2 entries beside a V3 wrapped data key"));
    }
    let wrapped_key = [names::V3_KEY, names::V3_WRAP_ALGORITHM];
    wrapped_key.iter().chain(&names::V3_CONTENT).try_for_each(|name| entries.require(name).map(drop))?;
    one_of(entries, names::V3_SUITE, &[SUITE])?;
    one_of(entries, names::V3_WRAP_ALGORITHM, &WRAPS)?;
    entries.base64(names::V3_KEY)?;
    entries.bytes::<ID_LEN>(names::V3_MESSAGE_ID)?;
    entries.bytes::<ID_LEN>(names::V3_COMMITMENT)?;
    Ok(())
}

fn one_of(entries: &Entries, name: &str, allowed: &[&str]) -> Result<()> {
    let value = entries.require(name)?;
    if allowed.contains(&value) { Ok(()) } else { Err(unsupported(name, value)) }
}

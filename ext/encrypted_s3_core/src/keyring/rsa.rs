//! RSA keys, which wrap data keys. A writer that has only the public key cannot read.
//!
//! RSA needs aws-lc, whose RSA runs in constant time; the pure Rust implementation does not (RUSTSEC-2023-0071).

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(feature = "aws-lc")]
#[allow(unsafe_code, reason = "calls aws-lc's C functions; every other module is safe Rust")]
mod oaep_sha256;
#[cfg(not(feature = "aws-lc"))]
mod without;

use subtle::ConstantTimeEq;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DATA_KEY_LEN, DataKey};

#[cfg(feature = "aws-lc")]
pub use aws_lc::RsaKey;
#[cfg(not(feature = "aws-lc"))]
pub use without::RsaKey;

/// The smallest modulus in bits. Smaller ones can be broken.
pub const MIN_BITS: usize = 2048;
/// The largest modulus in bits: the wrapped key must fit into the 2 KB of metadata that S3 stores for an object.
pub const MAX_BITS: usize = 4096;

/// The length of a fingerprint in bytes.
pub(crate) const FINGERPRINT_LEN: usize = 8;

/// The plaintext of `RSA-OAEP-SHA1` (S3 Encryption Client specification, RSA keyring): the data key's length in one
/// byte, the data key, and the content algorithm's name.
#[cfg_attr(not(feature = "aws-lc"), allow(dead_code, reason = "used where there is RSA"))]
fn parse_payload(payload: &[u8], bind: &str) -> Result<DataKey> {
    match payload.split_first() {
        Some((&length, rest)) if usize::from(length) == DATA_KEY_LEN && rest.len() >= DATA_KEY_LEN => {
            let (data_key, bound) = rest.split_at(DATA_KEY_LEN);
            if bool::from(bound.ct_eq(bind.as_bytes())) {
                DataKey::from_bytes(data_key)
            } else {
                Err(other_algorithm())
            }
        }
        _ => Err(Error::new(ErrorKind::Malformed, "the RSA-wrapped data key does not have 32 bytes")),
    }
}

pub(super) fn other_algorithm() -> Error {
    Error::new(
        ErrorKind::AlgMismatch,
        "the data key was wrapped for another content algorithm than the envelope names: the envelope was changed",
    )
}

fn refused(problem: &str) -> Error {
    Error::new(ErrorKind::Configuration, format!("an RSA encryption key {problem}"))
}

#[cfg_attr(not(feature = "aws-lc"), allow(dead_code, reason = "used where there is RSA"))]
fn check_bits(bits: usize) -> Result<()> {
    if (MIN_BITS..=MAX_BITS).contains(&bits) {
        return Ok(());
    }
    Err(refused(&format!("must have {MIN_BITS} to {MAX_BITS} bits; this one has {bits}")))
}

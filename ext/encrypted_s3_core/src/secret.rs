//! Types for keys, so that a key is never mistaken for other bytes, printed, copied by accident or left in memory.
//!
//! The bytes are on the heap: moving a key moves a pointer and leaves no unwiped copy on the stack.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// Length of a data key in bytes.
pub const DATA_KEY_LEN: usize = 32;

/// The key of one object: 32 bytes for AES-256, used for nothing else.
///
/// Wiped when dropped; neither `Clone` nor comparable nor printable.
pub struct DataKey(Box<Zeroizing<[u8; DATA_KEY_LEN]>>);

impl DataKey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the source fails or returns only zeros.
    pub fn generate() -> Result<Self> {
        let mut key = Box::new(Zeroizing::new([0; DATA_KEY_LEN]));
        fill_random(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// An unwrapped or derived key; `bytes` are the raw 32 bytes.
    ///
    /// The caller wipes its own copy.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for any other length. The format allows AES-256 only (S3 Encryption Client
    /// specification, algorithm suites), for any size of the wrapping key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut key = Box::new(Zeroizing::new([0; DATA_KEY_LEN]));
        if bytes.len() != key.len() {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("a data key must have {DATA_KEY_LEN} bytes; this one has {}", bytes.len()),
            ));
        }
        key.copy_from_slice(bytes);
        Ok(Self(key))
    }

    /// The raw key; for ciphers, key derivation and wrapping only.
    pub(crate) fn expose(&self) -> &[u8; DATA_KEY_LEN] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([redacted])")
    }
}

/// The user's long-term AES key, which wraps data keys: 16, 24 or 32 bytes.
///
/// Wiped when dropped; neither `Clone` nor comparable nor printable.
pub struct WrappingKey(Zeroizing<Box<[u8]>>);

impl WrappingKey {
    /// A wrapping key from its raw bytes: 16, 24 or 32 of them for AES-128, AES-192 or AES-256.
    ///
    /// The caller wipes its own copy.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(Zeroizing::new(bytes.into()))),
            length => Err(Error::new(
                ErrorKind::Configuration,
                format!("an encryption key must have 16, 24 or 32 bytes; this one has {length}"),
            )),
        }
    }

    /// Whether both have the same bytes. The time does not depend on where they differ.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The raw key; for the wrapping ciphers only.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrappingKey([redacted])")
    }
}

/// Fills `buffer`, which is not empty, from the operating system's random source; with the feature `fips` from the
/// generator of aws-lc's module, which the operating system seeds.
///
/// # Errors
/// [`ErrorKind::Internal`] when the source fails or returns only zeros. With such a source every object would be
/// encrypted with the same key and nonce, without any sign of it.
pub(crate) fn fill_random(buffer: &mut [u8]) -> Result<()> {
    #[cfg(feature = "fips")]
    return fill_from(buffer, aws_lc_rs::rand::fill);
    #[cfg(not(feature = "fips"))]
    fill_from(buffer, getrandom::fill)
}

fn fill_from<E: std::error::Error + Send + Sync + 'static>(
    buffer: &mut [u8],
    source: impl FnOnce(&mut [u8]) -> std::result::Result<(), E>,
) -> Result<()> {
    source(buffer).map_err(|error| {
        Error::new(ErrorKind::Internal, "the operating system's random source failed").with_source(error)
    })?;
    // No early exit, so that the time does not depend on the position of the first non-zero byte.
    if buffer.iter().fold(0, |all, byte| all | byte) == 0 {
        return Err(Error::new(ErrorKind::Internal, "the operating system's random source returned zeros only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_source_that_returns_zeros_is_refused() {
        let error = fill_from(&mut [7; 12], |buffer| {
            buffer.fill(0);
            Ok::<_, getrandom::Error>(())
        });
        assert!(matches!(error, Err(error) if error.kind() == ErrorKind::Internal));
    }

    #[test]
    fn a_random_source_that_fails_is_reported() {
        let error = fill_from(&mut [7; 12], |_| Err(getrandom::Error::UNSUPPORTED));
        assert!(matches!(error, Err(error) if error.kind() == ErrorKind::Internal));
    }
}

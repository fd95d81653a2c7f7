//! The `AES/GCM` wrap of a data key (S3 Encryption Client specification, AES keyring):
//! 12-byte random nonce, 32-byte ciphertext, 16-byte tag; AES-GCM under the wrapping key with the content algorithm's
//! name as additional data.

#[cfg(feature = "fips")]
mod aws_lc;
#[cfg(not(feature = "fips"))]
mod rust_crypto;

use crate::error::{Error, ErrorKind, Result};
use crate::gcm::{NONCE_LEN, Nonce, TAG_LEN};
use crate::secret::{DATA_KEY_LEN, DataKey, WrappingKey};

#[cfg(feature = "fips")]
use aws_lc::{open, seal};
#[cfg(not(feature = "fips"))]
use rust_crypto::{open, seal};

/// Length of a wrapped key in bytes.
const WRAPPED_LEN: usize = NONCE_LEN + DATA_KEY_LEN + TAG_LEN;

/// Wraps `data_key` under `key`, bound to the text `bind`.
pub(super) fn wrap(key: &WrappingKey, data_key: &DataKey, bind: &str) -> Result<Vec<u8>> {
    let (nonce, ciphertext) = seal(key, data_key.expose(), bind.as_bytes())?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

/// A wrapped key of the right length.
pub(super) struct Wrapped<'a> {
    nonce: &'a Nonce,
    ciphertext: &'a [u8],
}

impl<'a> Wrapped<'a> {
    /// Splits a wrapped key into its parts.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for any length but 60 bytes.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        match bytes.split_first_chunk() {
            Some((nonce, ciphertext)) if bytes.len() == WRAPPED_LEN => Ok(Self { nonce, ciphertext }),
            _ => Err(Error::new(
                ErrorKind::Malformed,
                format!("a data key wrapped by AES/GCM must have {WRAPPED_LEN} bytes; this one has {}", bytes.len()),
            )),
        }
    }

    /// Returns the data key, or `None` when it was wrapped with another `key` or `bind`.
    pub(super) fn unwrap(&self, key: &WrappingKey, bind: &str) -> Result<Option<DataKey>> {
        let plaintext = open(key, self.nonce, self.ciphertext, bind.as_bytes())?;
        plaintext.map(|bytes| DataKey::from_bytes(&bytes)).transpose()
    }
}

pub(super) fn internal() -> Error {
    Error::new(ErrorKind::Internal, "the cipher that wraps data keys refused its key")
}

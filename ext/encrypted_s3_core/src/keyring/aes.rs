//! The `AES/GCM` wrap of a data key (S3 Encryption Client specification, AES keyring):
//! 12-byte random nonce, 32-byte ciphertext, 16-byte tag; AES-GCM under the wrapping key with the content algorithm's
//! name as additional data.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, AeadCore, KeyInit, Payload};
use aes_gcm::aes::{Aes192, cipher};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::gcm::{NONCE_LEN, Nonce, TAG_LEN};
use crate::secret::{DATA_KEY_LEN, DataKey, WrappingKey, fill_random};

type Aes192Gcm = AesGcm<Aes192, cipher::consts::U12>;

/// Length of a wrapped key in bytes.
const WRAPPED_LEN: usize = NONCE_LEN + DATA_KEY_LEN + TAG_LEN;

/// Wraps `data_key` under `key`, bound to the text `bind`.
pub(super) fn wrap(key: &WrappingKey, data_key: &DataKey, bind: &str) -> Result<Vec<u8>> {
    let mut nonce: Nonce = [0; NONCE_LEN];
    fill_random(&mut nonce)?;
    let payload = Payload { msg: data_key.expose(), aad: bind.as_bytes() };
    let ciphertext = match key.expose().len() {
        16 => cipher_for::<Aes128Gcm>(key)?.encrypt(&nonce.into(), payload),
        24 => cipher_for::<Aes192Gcm>(key)?.encrypt(&nonce.into(), payload),
        _ => cipher_for::<Aes256Gcm>(key)?.encrypt(&nonce.into(), payload),
    };
    let ciphertext = ciphertext.map_err(|_| internal())?;
    Ok([nonce.as_slice(), &ciphertext].concat())
}

/// A wrapped key of the right length.
pub(super) struct Wrapped<'a> {
    nonce: &'a Nonce,
    ciphertext: &'a [u8],
}

impl<'a> Wrapped<'a> {
    /// Takes a wrapped key apart.
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
        let nonce = (*self.nonce).into();
        let payload = Payload { msg: self.ciphertext, aad: bind.as_bytes() };
        let plaintext = match key.expose().len() {
            16 => cipher_for::<Aes128Gcm>(key)?.decrypt(&nonce, payload),
            24 => cipher_for::<Aes192Gcm>(key)?.decrypt(&nonce, payload),
            _ => cipher_for::<Aes256Gcm>(key)?.decrypt(&nonce, payload),
        };
        plaintext.ok().map(Zeroizing::new).map(|bytes| DataKey::from_bytes(&bytes)).transpose()
    }
}

fn cipher_for<C: KeyInit + AeadCore<NonceSize = U12>>(key: &WrappingKey) -> Result<C> {
    C::new_from_slice(key.expose()).map_err(|_| internal())
}

pub(super) fn internal() -> Error {
    Error::new(ErrorKind::Internal, "the cipher that wraps data keys refused its key")
}

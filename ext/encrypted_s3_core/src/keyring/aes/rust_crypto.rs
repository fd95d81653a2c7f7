//! AES-GCM of one short message by RustCrypto.

use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, AeadCore, KeyInit, Payload};
use aes_gcm::aes::{Aes192, cipher};
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use zeroize::Zeroizing;

use super::internal;
use crate::error::Result;
use crate::gcm::{NONCE_LEN, Nonce};
use crate::secret::{WrappingKey, fill_random};

type Aes192Gcm = AesGcm<Aes192, cipher::consts::U12>;

/// Encrypts under a new nonce. Returns the nonce, and the ciphertext with the tag.
pub(super) fn seal(key: &WrappingKey, plaintext: &[u8], aad: &[u8]) -> Result<(Nonce, Vec<u8>)> {
    let mut nonce: Nonce = [0; NONCE_LEN];
    fill_random(&mut nonce)?;
    let payload = Payload { msg: plaintext, aad };
    let ciphertext = match key.expose().len() {
        16 => cipher_for::<Aes128Gcm>(key)?.encrypt(&nonce.into(), payload),
        24 => cipher_for::<Aes192Gcm>(key)?.encrypt(&nonce.into(), payload),
        _ => cipher_for::<Aes256Gcm>(key)?.encrypt(&nonce.into(), payload),
    };
    Ok((nonce, ciphertext.map_err(|_| internal())?))
}

/// Decrypts; `None` when the tag does not match.
pub(super) fn open(
    key: &WrappingKey,
    nonce: &Nonce,
    ciphertext: &[u8],
    aad: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let nonce = (*nonce).into();
    let payload = Payload { msg: ciphertext, aad };
    let plaintext = match key.expose().len() {
        16 => cipher_for::<Aes128Gcm>(key)?.decrypt(&nonce, payload),
        24 => cipher_for::<Aes192Gcm>(key)?.decrypt(&nonce, payload),
        _ => cipher_for::<Aes256Gcm>(key)?.decrypt(&nonce, payload),
    };
    Ok(plaintext.ok().map(Zeroizing::new))
}

fn cipher_for<C: KeyInit + AeadCore<NonceSize = U12>>(key: &WrappingKey) -> Result<C> {
    C::new_from_slice(key.expose()).map_err(|_| internal())
}

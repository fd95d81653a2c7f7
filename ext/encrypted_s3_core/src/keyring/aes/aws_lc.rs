//! AES-GCM of one short message by aws-lc.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, RandomizedNonceKey, UnboundKey};
use aws_lc_rs::aead::{Algorithm, Nonce as Once};
use zeroize::Zeroizing;

use super::internal;
use crate::error::Result;
use crate::gcm::{NONCE_LEN, Nonce, TAG_LEN};
use crate::secret::{WrappingKey, fill_random};

/// Encrypts under a new nonce. Returns the nonce, and the ciphertext with the tag.
///
/// The module generates the nonce, as FIPS 140 requires (NIST SP 800-38D, section 8.2.2). It has no such operation for
/// keys of 192 bits; their nonces come from its random generator.
pub(super) fn seal(key: &WrappingKey, plaintext: &[u8], aad: &[u8]) -> Result<(Nonce, Vec<u8>)> {
    // With room for the tag, so that the plaintext is not moved and no copy is left in memory.
    let mut text = Vec::with_capacity(plaintext.len().saturating_add(TAG_LEN));
    text.extend_from_slice(plaintext);
    let aad = Aad::from(aad);
    let algorithm = algorithm(key);
    if algorithm == &AES_192_GCM {
        let mut nonce: Nonce = [0; NONCE_LEN];
        fill_random(&mut nonce)?;
        let once = Once::assume_unique_for_key(nonce);
        less_safe(algorithm, key)?.seal_in_place_append_tag(once, aad, &mut text).map_err(|_| internal())?;
        return Ok((nonce, text));
    }
    let cipher = RandomizedNonceKey::new(algorithm, key.expose()).map_err(|_| internal())?;
    let nonce = cipher.seal_in_place_append_tag(aad, &mut text).map_err(|_| internal())?;
    Ok((*nonce.as_ref(), text))
}

/// Decrypts; `None` when the tag does not match.
pub(super) fn open(
    key: &WrappingKey,
    nonce: &Nonce,
    ciphertext: &[u8],
    aad: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let mut text = Zeroizing::new(ciphertext.to_vec());
    let once = Once::assume_unique_for_key(*nonce);
    let length = match less_safe(algorithm(key), key)?.open_in_place(once, Aad::from(aad), text.as_mut_slice()) {
        Ok(plaintext) => plaintext.len(),
        Err(_) => return Ok(None),
    };
    text.truncate(length);
    Ok(Some(text))
}

fn algorithm(key: &WrappingKey) -> &'static Algorithm {
    match key.expose().len() {
        16 => &AES_128_GCM,
        24 => &AES_192_GCM,
        _ => &AES_256_GCM,
    }
}

fn less_safe(algorithm: &'static Algorithm, key: &WrappingKey) -> Result<LessSafeKey> {
    UnboundKey::new(algorithm, key.expose()).map(LessSafeKey::new).map_err(|_| internal())
}

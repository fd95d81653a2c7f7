//! Unwraps data keys that older clients wrapped under an AES key; read only.

use aes::cipher::{Array, BlockCipherDecrypt, KeyInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};
use aes_kw::AesKw;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::aes::internal;
use crate::error::Result;
use crate::secret::{DATA_KEY_LEN, DataKey, WrappingKey};

/// PKCS#7 padding of a data key: a block of its own, because the key fills its blocks.
const PADDING: [u8; 16] = [16; 16];

/// Undoes V1's wrap: AES-ECB with PKCS#7 padding. `None` when the padding shows that `key` is the wrong key.
pub(super) fn unwrap_ecb(key: &WrappingKey, wrapped: &[u8]) -> Result<Option<DataKey>> {
    match key.expose().len() {
        16 => ecb(&cipher::<Aes128>(key)?, wrapped),
        24 => ecb(&cipher::<Aes192>(key)?, wrapped),
        _ => ecb(&cipher::<Aes256>(key)?, wrapped),
    }
}

/// Undoes `AESWrap` (RFC 3394), whose own check detects a wrong `key`.
pub(super) fn unwrap_kw(key: &WrappingKey, wrapped: &[u8]) -> Result<Option<DataKey>> {
    if wrapped.len() != DATA_KEY_LEN + aes_kw::IV_LEN {
        return Ok(None);
    }
    let mut unwrapped = Zeroizing::new([0; DATA_KEY_LEN]);
    let opened = match key.expose().len() {
        16 => kw::<Aes128>(key)?.unwrap_key(wrapped, unwrapped.as_mut_slice()).is_ok(),
        24 => kw::<Aes192>(key)?.unwrap_key(wrapped, unwrapped.as_mut_slice()).is_ok(),
        _ => kw::<Aes256>(key)?.unwrap_key(wrapped, unwrapped.as_mut_slice()).is_ok(),
    };
    if opened { DataKey::from_bytes(unwrapped.as_slice()).map(Some) } else { Ok(None) }
}

fn ecb<C: BlockCipherDecrypt<BlockSize = U16>>(cipher: &C, wrapped: &[u8]) -> Result<Option<DataKey>> {
    let mut text = Zeroizing::new(wrapped.to_vec());
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut text);
    let whole = rest.is_empty();
    cipher.decrypt_blocks(blocks);
    match text.split_at_checked(DATA_KEY_LEN) {
        Some((key, padding)) if whole && bool::from(padding.ct_eq(&PADDING)) => DataKey::from_bytes(key).map(Some),
        _ => Ok(None),
    }
}

fn kw<C: KeyInit>(key: &WrappingKey) -> Result<AesKw<C>>
where
    AesKw<C>: KeyInit,
{
    AesKw::new_from_slice(key.expose()).map_err(|_| internal())
}

fn cipher<C: KeyInit>(key: &WrappingKey) -> Result<C> {
    C::new_from_slice(key.expose()).map_err(|_| internal())
}

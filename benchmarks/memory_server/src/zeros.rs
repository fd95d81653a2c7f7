//! Discarded bodies that can be generated again: those of objects that a client encrypted from zeros with a known
//! wrapping key. So an object of 64 GiB can be written and read without storing it.

use std::collections::HashMap;
use std::ops::Range;

use aes::Aes256;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Key, Nonce};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ctr::Ctr32BE;
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
use futures::{Stream, stream};
use s3s::{S3Result, s3_error};

/// Bytes that are generated at once.
const STEP: u64 = 256 * 1024;
/// The content algorithm of format V2, to which its wrapped keys are bound.
const ALGORITHM: &str = "AES/GCM/NoPadding";

/// The wrapping key of the client.
pub struct Zeros(Aes256Gcm);

impl std::fmt::Debug for Zeros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Zeros")
    }
}

impl Zeros {
    /// `key` is in Base64.
    pub fn new(key: &str) -> Result<Self, String> {
        let bytes: [u8; 32] = decode(key).and_then(|key| key.try_into().ok()).ok_or("a key has 32 bytes in Base64")?;
        Ok(Self(Aes256Gcm::new(&Key::<Aes256Gcm>::from(bytes))))
    }

    /// The bytes in `range` of an object of format V2 with this `metadata`. It ends with `tag`, at `length`.
    pub fn read(
        &self,
        metadata: &HashMap<String, String>,
        tag: Bytes,
        length: u64,
        range: Range<u64>,
    ) -> S3Result<impl Stream<Item = Result<Bytes, std::io::Error>> + use<>> {
        let cipher = self.cipher(metadata).ok_or_else(|| s3_error!(InvalidObjectState, "not of format V2"))?;
        let text = length - tag.len() as u64;
        let mut cipher = cipher;
        cipher.try_seek(range.start.min(text)).map_err(|_| s3_error!(InternalError))?;
        Ok(stream::unfold((cipher, range.start), move |(mut cipher, position)| {
            let tag = tag.clone();
            async move {
                if position >= range.end {
                    return None;
                }
                if position >= text {
                    let part = tag.slice((position - text) as usize..(range.end - text) as usize);
                    return Some((Ok(part), (cipher, range.end)));
                }
                let end = range.end.min(text).min(position + STEP);
                let mut bytes = vec![0; (end - position) as usize];
                cipher.apply_keystream(&mut bytes);
                Some((Ok(Bytes::from(bytes)), (cipher, end)))
            }
        }))
    }

    /// The keystream of an object from its first byte on. GCM uses the block before for the tag.
    fn cipher(&self, metadata: &HashMap<String, String>) -> Option<Ctr32BE<Aes256>> {
        let entry = |name: &str| metadata.get(name).and_then(|value| decode(value));
        let (wrapped, nonce) = (entry("x-amz-key-v2")?, entry("x-amz-iv")?);
        let (iv, sealed) = wrapped.split_at_checked(12)?;
        let payload = Payload { msg: sealed, aad: ALGORITHM.as_bytes() };
        let key = self.0.decrypt(&Nonce::try_from(iv).ok()?, payload).ok()?;
        let counter: Vec<u8> = nonce.into_iter().chain([0, 0, 0, 2]).collect();
        Ctr32BE::<Aes256>::new_from_slices(&key, &counter).ok()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

//! AES-256-CBC with PKCS#7 padding, for reading legacy objects.
//!
//! **CBC does not authenticate.** Anybody who can write to the bucket can change an object so that it still decrypts,
//! to other bytes. These objects are therefore read only if the configuration allows it. This module guarantees only
//! that no plaintext is returned before the padding of the whole object was checked, and that all failures look the
//! same, so that repeated attempts reveal nothing about the plaintext (CVE-2020-8911).

use std::fmt;

use aes::Aes256;
use cbc::Decryptor;
use cbc::cipher::{Array, BlockModeDecrypt, KeyIvInit};
use subtle::{ConditionallySelectable, ConstantTimeEq, ConstantTimeGreater};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;

/// Length of a block and of the initialisation vector in bytes.
pub const BLOCK_LEN: usize = 16;

/// The initialisation vector.
pub type Iv = [u8; BLOCK_LEN];

/// Decrypts one message, whole blocks at a time.
#[must_use]
pub struct Opener {
    /// The key schedule; on the heap, like all keys.
    cipher: Box<Decryptor<Aes256>>,
    /// The last block of plaintext so far, which has the padding if no other follows.
    last: Zeroizing<[u8; BLOCK_LEN]>,
    /// Whether the key is the unwrapped data key, and not a random substitute.
    genuine: bool,
}

impl Opener {
    /// Starts decrypting a message. If `genuine` is false, the data key could not be unwrapped, and
    /// [`finish`](Self::finish) reports broken padding: the two failures must not be distinguishable.
    pub(crate) fn new(key: &DataKey, iv: &Iv, genuine: bool) -> Self {
        let cipher = Box::new(Decryptor::new(key.expose().into(), iv.into()));
        Self { cipher, last: Zeroizing::new([0; BLOCK_LEN]), genuine }
    }

    /// Decrypts the next blocks in place. The result is unchecked until [`Opener::finish`] has returned `Ok`.
    ///
    /// # Errors
    /// [`ErrorKind::Cbc`] when `data` is not a whole number of blocks.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        if !rest.is_empty() {
            return Err(failed());
        }
        self.cipher.decrypt_blocks(blocks);
        if let Some(last) = blocks.last() {
            self.last.copy_from_slice(last);
        }
        Ok(())
    }

    /// Checks the padding, in constant time, and returns its length: the last 1 to 16 bytes of the message are padding.
    ///
    /// # Errors
    /// [`ErrorKind::Cbc`].
    pub fn finish(self) -> Result<usize> {
        let [.., padding] = *self.last;
        let mut valid = u8::from(self.genuine).ct_eq(&1) & padding.ct_gt(&0) & !padding.ct_gt(&(BLOCK_LEN as u8));
        for (distance, byte) in (1u8..).zip(self.last.iter().rev()) {
            let is_padding = !distance.ct_gt(&padding);
            valid &= u8::conditional_select(&padding, byte, is_padding).ct_eq(&padding);
        }
        if valid.into() { Ok(padding.into()) } else { Err(failed()) }
    }
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener([redacted])")
    }
}

/// The only error of this format, for every kind of failure.
pub(crate) fn failed() -> Error {
    Error::new(ErrorKind::Cbc, "cannot decrypt the legacy object (AES-CBC): the key is wrong or the object was changed")
}

//! AES-256-CBC with PKCS#7 padding, for reading legacy objects.
//!
//! **CBC authenticates nothing.** Whoever can write to the bucket can change an object so that it still decrypts, to
//! other bytes; that is why these objects are read only where the configuration says so. What is promised here is less:
//! nothing is handed out before the padding of the whole was checked, and every failure looks the same, so that asking
//! again and again tells nothing about the plaintext (CVE-2020-8911).

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

/// The vector that the first block is decrypted with.
pub type Iv = [u8; BLOCK_LEN];

/// Decrypts one message, whole blocks at a time.
#[must_use]
pub struct Opener {
    /// The key schedule, on the heap as keys are.
    cipher: Box<Decryptor<Aes256>>,
    /// The last block of plaintext so far, which holds the padding if no other follows.
    last: Zeroizing<[u8; BLOCK_LEN]>,
    /// Whether `key` is what the wrapped key stood for.
    genuine: bool,
}

impl Opener {
    /// Starts reading a message. With `genuine` false it ends as one with broken padding does, whatever is in it: for a
    /// key that could not be unwrapped, which must not be told apart.
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

    /// Checks the padding, in constant time, and returns its length: the last 1 to 16 bytes of the message are no
    /// plaintext.
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

/// The one error of this format, whatever happened.
pub(crate) fn failed() -> Error {
    Error::new(
        ErrorKind::Cbc,
        "the legacy object (AES-CBC) cannot be decrypted: a wrong key, or the object is not what was encrypted",
    )
}

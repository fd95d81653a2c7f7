//! Decrypts a GCM message from any block: GCM encrypts in counter mode, so the keystream can begin at any block.
//! **Nothing is authenticated here**; [`crate::segments`] does that first.

use std::fmt;

use super::{DefaultBackend, MAX_PLAINTEXT, NONCE_LEN, Nonce, too_large};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;

/// Length of a block in bytes.
pub const BLOCK_LEN: usize = 16;

/// The cipher's input for one block of the keystream.
pub type CounterBlock = [u8; BLOCK_LEN];

/// Counter 0 is not used, and counter 1 hides the tag (NIST SP 800-38D, 7.1).
const FIRST_COUNTER: u64 = 2;

/// The counter block of block number `block` of a message, counted from 0; `None` beyond the longest message, where the
/// 32-bit counter would wrap and the keystream would repeat.
pub fn counter_block(nonce: &Nonce, block: u64) -> Option<CounterBlock> {
    let counter = u32::try_from(block.checked_add(FIRST_COUNTER)?).ok()?;
    let mut bytes = [0; BLOCK_LEN];
    let (head, tail) = bytes.split_at_mut(NONCE_LEN);
    head.copy_from_slice(nonce);
    tail.copy_from_slice(&counter.to_be_bytes());
    Some(bytes)
}

/// The keystream of one message.
#[must_use]
pub struct Keystream<B: super::Backend = DefaultBackend> {
    backend: B::Keystream,
    nonce: Nonce,
}

impl<B: super::Backend> Keystream<B> {
    /// The keystream of the message that was sealed under `key` and `nonce`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library refuses.
    pub fn with_backend(key: &DataKey, nonce: &Nonce) -> Result<Self> {
        Ok(Self { backend: B::Keystream::keyed(key)?, nonce: *nonce })
    }

    /// Encrypts or decrypts, in place, the bytes at `offset` in the message, a multiple of 16.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when they reach beyond the longest message; [`ErrorKind::Internal`] when `offset` is
    /// within a block or the library refuses. The bytes are left as they were.
    pub fn apply(&mut self, offset: u64, data: &mut [u8]) -> Result<()> {
        if !offset.is_multiple_of(BLOCK_LEN as u64) {
            return Err(Error::new(ErrorKind::Internal, "a keystream begins with a whole block"));
        }
        let end = u64::try_from(data.len()).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > MAX_PLAINTEXT) {
            return Err(too_large());
        }
        if data.is_empty() {
            return Ok(());
        }
        let first = counter_block(&self.nonce, offset / BLOCK_LEN as u64).ok_or_else(too_large)?;
        self.backend.apply(&first, data)
    }
}

impl<B: super::Backend> fmt::Debug for Keystream<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keystream([redacted])")
    }
}

/// An implementation of AES-256 in counter mode, for the two backend modules only. The caller ensures that the counter
/// does not wrap.
pub trait Backend: Sized + Send {
    /// Sets up the key.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library refuses.
    fn keyed(key: &DataKey) -> Result<Self>;

    /// Applies the keystream that begins with `first` to `data`, in place.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library refuses.
    fn apply(&mut self, first: &CounterBlock, data: &mut [u8]) -> Result<()>;
}

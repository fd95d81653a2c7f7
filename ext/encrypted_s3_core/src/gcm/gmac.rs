//! AES-256-GMAC: the authentication of GCM without a plaintext (NIST SP 800-38D, 3), over messages that arrive in
//! pieces.

use std::fmt;

use subtle::ConstantTimeEq;

use super::{DefaultBackend, Nonce, Tag, failed, wrong_tag};
use crate::error::Result;
use crate::secret::DataKey;

/// A key that only authenticates.
///
/// Wiped when dropped; neither `Clone` nor comparable nor printable.
pub struct MacKey(DataKey);

impl MacKey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the source fails or returns only zeros.
    pub fn generate() -> Result<Self> {
        DataKey::generate().map(Self)
    }

    /// A derived key; `bytes` are the raw 32 bytes. The caller wipes its own copy.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for any other length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        DataKey::from_bytes(bytes).map(Self)
    }

    /// The key for the underlying cipher.
    pub(super) fn key(&self) -> &DataKey {
        &self.0
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([redacted])")
    }
}

/// Authenticates many messages under one key, one after the other; setting up a key costs more than a short message.
///
/// A nonce must not be used for two different messages under one key: their tags reveal the key of the hash, and with
/// it the tag of any other message.
#[must_use]
pub struct Gmac<B: super::Backend = DefaultBackend> {
    backend: B::Mac,
    /// Whether a message is in progress. A tag under the previous nonce would reveal the key.
    begun: bool,
}

impl<B: super::Backend> Gmac<B> {
    /// Sets up `key`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the library refuses.
    pub fn with_backend(key: &MacKey) -> Result<Self> {
        B::Mac::keyed(key).map(|backend| Self { backend, begun: false })
    }

    /// Begins a message and forgets an unfinished one.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the library refuses.
    pub fn start(&mut self, nonce: &Nonce) -> Result<()> {
        self.begun = false;
        self.backend.start(nonce)?;
        self.begun = true;
        Ok(())
    }

    /// Adds the next piece of the message; pieces may have any length.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when no message was begun, or the library refuses.
    pub fn update(&mut self, data: &[u8]) -> Result<()> {
        if self.begun { self.backend.update(data) } else { Err(failed()) }
    }

    /// Ends the message and returns its tag.
    ///
    /// # Errors
    /// The errors of [`Gmac::update`].
    pub fn finish(&mut self) -> Result<Tag> {
        if !std::mem::take(&mut self.begun) {
            return Err(failed());
        }
        self.backend.tag()
    }

    /// Compares the tag of a whole message with `tag` in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) when they differ.
    pub fn verify(&mut self, nonce: &Nonce, message: &[u8], tag: &Tag) -> Result<()> {
        self.start(nonce)?;
        self.update(message)?;
        if bool::from(self.finish()?.ct_eq(tag)) { Ok(()) } else { Err(wrong_tag()) }
    }
}

impl<B: super::Backend> fmt::Debug for Gmac<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gmac([redacted])")
    }
}

/// An implementation of GMAC, for the two backend modules only. [`Gmac`] ensures that `start`, `update` and `tag` are
/// called in this order.
pub trait Backend: Sized + Send {
    /// Sets up the key.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the library refuses.
    fn keyed(key: &MacKey) -> Result<Self>;

    /// Begins a message.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the library refuses.
    fn start(&mut self, nonce: &Nonce) -> Result<()>;

    /// Adds the next piece.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the library refuses.
    fn update(&mut self, data: &[u8]) -> Result<()>;

    /// Ends the message.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the library refuses.
    fn tag(&mut self) -> Result<Tag>;
}

//! HKDF and HMAC by RustCrypto.

use hmac::{KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};

use super::{MAC_LEN, internal};
use crate::error::Result;

/// HKDF with SHA-512.
pub(crate) struct Hkdf(hkdf::Hkdf<Sha512>);

impl Hkdf {
    /// Extracts from `secret` with a salt that is not empty.
    pub(crate) fn new(salt: &[u8], secret: &[u8]) -> Self {
        Self(hkdf::Hkdf::new(Some(salt), secret))
    }

    /// Fills `output` for the concatenated pieces of `info`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) for more than 255 hashes.
    pub(crate) fn expand(&self, info: &[&[u8]], output: &mut [u8]) -> Result<()> {
        self.0.expand_multi_info(info, output).map_err(|_| internal())
    }
}

/// HMAC with SHA-256, in steps.
pub(crate) struct Hmac(hmac::Hmac<Sha256>);

impl Hmac {
    /// Starts with no bytes.
    ///
    /// # Errors
    /// None; the other implementation may fail.
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        hmac::Hmac::new_from_slice(key).map(Self).map_err(|_| internal())
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag of all bytes.
    pub(crate) fn finish(self) -> [u8; MAC_LEN] {
        self.0.finalize().into_bytes().into()
    }
}

//! HKDF and HMAC by aws-lc.

use aws_lc_rs::{hkdf, hmac};

use super::{MAC_LEN, internal};
use crate::error::Result;

/// HKDF with SHA-512.
pub(crate) struct Hkdf(hkdf::Prk);

impl Hkdf {
    /// Extracts from `secret` with a salt that is not empty: FIPS 140 requires one.
    pub(crate) fn new(salt: &[u8], secret: &[u8]) -> Self {
        Self(hkdf::Salt::new(hkdf::HKDF_SHA512, salt).extract(secret))
    }

    /// Fills `output` for the concatenated pieces of `info`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) for more than 255 hashes.
    pub(crate) fn expand(&self, info: &[&[u8]], output: &mut [u8]) -> Result<()> {
        self.0.expand(info, Length(output.len())).and_then(|key| key.fill(output)).map_err(|_| internal())
    }
}

/// The requested length in bytes.
struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HMAC with SHA-256, in steps.
pub(crate) struct Hmac(hmac::Context);

impl Hmac {
    /// Starts with no bytes.
    ///
    /// # Errors
    /// None; the other implementation may fail.
    pub(crate) fn new(key: &[u8]) -> Result<Self> {
        Ok(Self(hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key))))
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The tag of all bytes.
    pub(crate) fn finish(self) -> [u8; MAC_LEN] {
        let mut tag = [0; MAC_LEN];
        tag.iter_mut().zip(self.0.sign().as_ref()).for_each(|(slot, byte)| *slot = *byte);
        tag
    }
}

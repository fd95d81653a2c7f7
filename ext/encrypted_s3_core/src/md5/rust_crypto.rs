//! MD5 by RustCrypto.

use ::md5::Digest;

use super::DIGEST_LEN;

/// Computes an MD5.
pub(crate) struct Md5(::md5::Md5);

impl Md5 {
    /// Starts with no bytes.
    pub(crate) fn new() -> Self {
        Self(::md5::Md5::new())
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub(crate) fn finish(self) -> [u8; DIGEST_LEN] {
        self.0.finalize().into()
    }
}

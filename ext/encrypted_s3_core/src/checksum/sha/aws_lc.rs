//! SHA-2 by aws-lc.

use aws_lc_rs::digest::{Context, SHA256, SHA512};

/// Computes a digest.
pub(crate) struct Sha(Context);

impl Sha {
    /// Starts a SHA-256 with no bytes.
    pub(crate) fn sha256() -> Self {
        Self(Context::new(&SHA256))
    }

    /// Starts a SHA-512 with no bytes.
    pub(crate) fn sha512() -> Self {
        Self(Context::new(&SHA512))
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

//! SHA-2 by RustCrypto.

use sha2::{Digest, Sha256, Sha512};

/// Computes a digest.
pub(crate) enum Sha {
    /// SHA-256.
    Sha256(Sha256),
    /// SHA-512.
    Sha512(Sha512),
}

impl Sha {
    /// Starts a SHA-256 with no bytes.
    pub(crate) fn sha256() -> Self {
        Self::Sha256(Sha256::new())
    }

    /// Starts a SHA-512 with no bytes.
    pub(crate) fn sha512() -> Self {
        Self::Sha512(Sha512::new())
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(sha) => sha.update(bytes),
            Self::Sha512(sha) => sha.update(bytes),
        }
    }

    /// The digest of all bytes.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Self::Sha256(sha) => sha.finalize().to_vec(),
            Self::Sha512(sha) => sha.finalize().to_vec(),
        }
    }
}

//! The checksum that the caller announced for the plaintext.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::{Checksum, Digester};
use crate::{Error, ErrorKind, Result};

/// Computes the digest of the plaintext and compares it before the object becomes visible.
pub(crate) struct Expected {
    digest: Vec<u8>,
    digester: Digester,
}

impl Expected {
    /// Decodes the announced checksum.
    ///
    /// # Errors
    /// `ChecksumMismatch` when it is not the base64 of a digest of its algorithm.
    pub(crate) fn new(checksum: &Checksum) -> Result<Self> {
        let algorithm = checksum.algorithm;
        let digest = STANDARD.decode(&checksum.base64).ok().filter(|digest| digest.len() == algorithm.digest_len());
        let digest = digest.ok_or_else(|| {
            let message = format!("the given checksum is not base64 of a digest by {}", algorithm.name());
            Error::new(ErrorKind::ChecksumMismatch, message)
        })?;
        Ok(Self { digest, digester: Digester::new(algorithm) })
    }

    /// Adds the next plaintext bytes.
    pub(crate) async fn update(&mut self, plaintext: &[u8]) {
        self.digester.update(plaintext).await;
    }

    /// Compares the digest of all bytes with the announced one.
    ///
    /// # Errors
    /// `ChecksumMismatch` when they differ.
    pub(crate) async fn finish(self) -> Result<()> {
        if bool::from(self.digester.finish().await?.ct_eq(&self.digest)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ChecksumMismatch,
            "the uploaded bytes do not have the announced checksum; nothing was stored",
        ))
    }
}

impl std::fmt::Debug for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Expected")
    }
}

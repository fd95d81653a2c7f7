//! The checksum that the caller announced for the plaintext.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use crate::md5::{DIGEST_LEN, Digester};
use crate::{Error, ErrorKind, Result};

/// Computes the MD5 of the plaintext and compares it before the object becomes visible.
pub(super) struct ExpectedMd5 {
    expected: [u8; DIGEST_LEN],
    digester: Digester,
}

impl ExpectedMd5 {
    /// Takes the announced digest in base64, as Active Storage stores it.
    pub(super) fn new(base64: &str) -> Result<Self> {
        let unusable = || Error::new(ErrorKind::ChecksumMismatch, "the given checksum is not an MD5 in base64");
        let bytes = STANDARD.decode(base64).map_err(|_| unusable())?;
        let expected = bytes.try_into().map_err(|_| unusable())?;
        Ok(Self { expected, digester: Digester::new() })
    }

    /// Takes a copy of the next plaintext bytes.
    pub(super) async fn update(&mut self, plaintext: &[u8]) {
        self.digester.update(plaintext).await;
    }

    /// Compares the digest of all bytes with the announced one.
    pub(super) async fn finish(self) -> Result<()> {
        if bool::from(self.digester.finish().await?.ct_eq(&self.expected)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ChecksumMismatch,
            "the uploaded bytes do not have the announced checksum; nothing was stored",
        ))
    }
}

impl std::fmt::Debug for ExpectedMd5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectedMd5")
    }
}

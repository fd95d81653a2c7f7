//! The checksum that the caller announced for the plaintext.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::{Error, ErrorKind, Result};

/// Computes the MD5 of what is uploaded and compares it, before the object becomes visible.
pub(super) struct ExpectedMd5 {
    expected: [u8; 16],
    state: Md5,
}

impl ExpectedMd5 {
    /// Expects the digest given as base64, the form Active Storage keeps it in.
    pub(super) fn new(base64: &str) -> Result<Self> {
        let unusable = || Error::new(ErrorKind::ChecksumMismatch, "the given checksum is not the base64 of an MD5");
        let bytes = STANDARD.decode(base64).map_err(|_| unusable())?;
        let expected = bytes.try_into().map_err(|_| unusable())?;
        Ok(Self { expected, state: Md5::new() })
    }

    /// Takes the next plaintext bytes.
    pub(super) fn update(&mut self, plaintext: &[u8]) {
        self.state.update(plaintext);
    }

    /// Says whether all bytes together are what was announced.
    pub(super) fn finish(self) -> Result<()> {
        let digest: [u8; 16] = self.state.finalize().into();
        if bool::from(digest.ct_eq(&self.expected)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ChecksumMismatch,
            "what was uploaded does not have the announced checksum; nothing was stored",
        ))
    }
}

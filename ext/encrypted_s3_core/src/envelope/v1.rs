//! The V1 format: AES-CBC without integrity. The envelope does not name the wrapping algorithm. Read only.

use super::metadata::{Entries, names};
use super::{ContentKey, Format, refuse_v3_entries};
use crate::cbc::Iv;
use crate::error::Result;
use crate::keyring::{Keyring, Wrap, WrappedKey};

/// A data key wrapped by AES-ECB has at most this many bytes, one wrapped by RSA has more. Java's client uses the same
/// rule.
const MAX_AES_WRAPPED: usize = 48;

/// A complete V1 envelope.
pub(super) struct Envelope {
    wrapped_key: Vec<u8>,
    iv: Iv,
    material_description: String,
}

impl Envelope {
    /// Reads the entries and checks that they are complete.
    pub(super) fn read(entries: &Entries) -> Result<Self> {
        refuse_v3_entries(entries)?;
        Ok(Self {
            wrapped_key: entries.base64(names::V1_KEY)?,
            iv: entries.bytes(names::IV)?,
            material_description: entries.get(names::MATERIAL_DESCRIPTION).unwrap_or("{}").to_owned(),
        })
    }

    /// Unwraps the data key. A failure is not reported here: with PKCS#1 v1.5 and ECB padding, a visible failure would
    /// reveal information about the wrapping key (Bleichenbacher). The body then fails like a damaged one.
    pub(super) fn open(&self, keyring: &Keyring) -> Result<ContentKey> {
        let (data_key, genuine) = keyring.unwrap_quietly(WrappedKey {
            wrap: if self.wrapped_key.len() > MAX_AES_WRAPPED { Wrap::RsaPkcs1 } else { Wrap::AesEcb },
            bytes: &self.wrapped_key,
            bind: "",
            material_description: &self.material_description,
            kms_key: None,
        })?;
        Ok(ContentKey::legacy(data_key, Format::V1, self.iv, genuine))
    }
}

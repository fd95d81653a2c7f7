//! The V2 format: AES-256-GCM under the data key itself, whose wrap is bound to the content algorithm's name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::metadata::{Entries, names};
use super::{malformed, refuse_v3_entries, unsupported};
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::{NONCE_LEN, Nonce, Opener, Sealer, TAG_LEN};
use crate::keyring::Keyring;
use crate::secret::{DataKey, fill_random};

/// The content algorithm, and the text that its name binds into the wrapped key.
const GCM: &str = "AES/GCM/NoPadding";
/// Java's name for AES-CBC and the one Ruby reads as well; the padding is the same.
const CBC: [&str; 2] = ["AES/CBC/PKCS5Padding", "AES/CBC/PKCS7Padding"];
const AES_GCM_WRAP: &str = "AES/GCM";
/// The tag's length, in bits as the entry states it.
const TAG_BITS: &str = "128";
const _: () = assert!(TAG_LEN * 8 == 128, "TAG_BITS says another length");

/// V2 authenticates nothing besides the body.
const NO_AAD: &[u8] = b"";

/// Starts an object under a fresh data key; the metadata entries are the whole envelope.
pub(super) fn seal(keyring: &Keyring) -> Result<(Sealer, Vec<(String, String)>)> {
    let data_key = DataKey::generate()?;
    let mut nonce: Nonce = [0; NONCE_LEN];
    fill_random(&mut nonce)?;
    let wrapped = keyring.wrap_aes_gcm(&data_key, GCM)?;
    let entries = [
        (names::V2_KEY, STANDARD.encode(wrapped)),
        (names::IV, STANDARD.encode(nonce)),
        (names::CONTENT_ALGORITHM, GCM.to_owned()),
        (names::WRAP_ALGORITHM, AES_GCM_WRAP.to_owned()),
        (names::TAG_LENGTH, TAG_BITS.to_owned()),
        (names::MATERIAL_DESCRIPTION, keyring.material_description()),
    ];
    let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok((Sealer::new(&data_key, &nonce, NO_AAD)?, entries))
}

/// A V2 envelope that is whole, whether or not this version reads its algorithms.
pub(super) struct Envelope {
    content: Content,
    wrap: Wrap,
    wrapped_key: Vec<u8>,
    material_description: String,
}

enum Content {
    Gcm(Nonce),
    Cbc,
}

#[derive(Clone, Copy)]
enum Wrap {
    AesGcm,
    RsaOaepSha1,
    KmsContext,
    /// Binds nothing to the key, so that a bucket writer may name another content algorithm (CVE-2020-8912).
    Legacy,
}

impl Wrap {
    fn read(entries: &Entries) -> Result<Self> {
        match entries.require(names::WRAP_ALGORITHM)? {
            AES_GCM_WRAP => Ok(Self::AesGcm),
            "RSA-OAEP-SHA1" => Ok(Self::RsaOaepSha1),
            "kms+context" => Ok(Self::KmsContext),
            "AESWrap" | "kms" | "RSA/ECB/OAEPWithSHA-256AndMGF1Padding" => Ok(Self::Legacy),
            other => Err(unsupported(names::WRAP_ALGORITHM, other)),
        }
    }
}

impl Envelope {
    /// Reads the entries and checks that they are whole and agree with each other.
    pub(super) fn read(entries: &Entries) -> Result<Self> {
        refuse_v3_entries(entries)?;
        for name in [names::V2_KEY, names::IV, names::CONTENT_ALGORITHM, names::WRAP_ALGORITHM] {
            entries.require(name)?;
        }
        let algorithm = entries.require(names::CONTENT_ALGORITHM)?;
        if algorithm != GCM && !CBC.contains(&algorithm) {
            return Err(unsupported(names::CONTENT_ALGORITHM, algorithm));
        }
        let wrap = Wrap::read(entries)?;
        let content = if algorithm == GCM { gcm(entries)? } else { cbc(entries, wrap)? };
        Ok(Self {
            content,
            wrap,
            wrapped_key: entries.base64(names::V2_KEY)?,
            // Copying tools lose it; Java's client takes that for an empty one.
            material_description: entries.get(names::MATERIAL_DESCRIPTION).unwrap_or("{}").to_owned(),
        })
    }

    /// Unwraps the data key, if this version reads such objects at all.
    pub(super) fn open(&self, keyring: &Keyring) -> Result<Opener> {
        let nonce = match &self.content {
            Content::Gcm(nonce) => nonce,
            Content::Cbc => return Err(legacy("is encrypted by AES-CBC, without integrity")),
        };
        match self.wrap {
            Wrap::Legacy => Err(legacy("has its data key wrapped in a way that does not bind the content algorithm")),
            Wrap::RsaOaepSha1 => Err(mismatch("an RSA key")),
            Wrap::KmsContext => Err(mismatch("AWS KMS")),
            Wrap::AesGcm => {
                let data_key = keyring.unwrap_aes_gcm(&self.wrapped_key, GCM, &self.material_description)?;
                Opener::new(&data_key, nonce, NO_AAD)
            }
        }
    }
}

fn gcm(entries: &Entries) -> Result<Content> {
    if entries.get(names::TAG_LENGTH) != Some(TAG_BITS) {
        return Err(malformed(names::TAG_LENGTH, "is not 128"));
    }
    entries.bytes(names::IV).map(Content::Gcm)
}

/// The current wraps never went with CBC: whoever sees that sees a downgrade.
fn cbc(entries: &Entries, wrap: Wrap) -> Result<Content> {
    match wrap {
        Wrap::Legacy => entries.bytes::<16>(names::IV).map(|_| Content::Cbc),
        Wrap::AesGcm | Wrap::RsaOaepSha1 | Wrap::KmsContext => {
            Err(unsupported(names::CONTENT_ALGORITHM, entries.require(names::CONTENT_ALGORITHM)?))
        }
    }
}

fn legacy(what: &str) -> Error {
    Error::new(ErrorKind::LegacyDisabled, format!("the object {what}; this version does not read legacy objects"))
}

fn mismatch(what: &str) -> Error {
    Error::new(
        ErrorKind::KeyMismatch,
        format!("the object's data key was wrapped by {what}; this service has an AES key"),
    )
}

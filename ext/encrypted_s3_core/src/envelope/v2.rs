//! The V2 format: AES-256-GCM under the data key itself, whose wrap is bound to the content algorithm's name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::metadata::{Entries, names};
use super::rewrap::Changed;
use super::{ContentKey, Format, malformed, refuse_v3_entries, unsupported};
use crate::cbc::Iv;
use crate::error::Result;
use crate::gcm::{NONCE_LEN, Nonce, TAG_LEN};
use crate::keyring::{KeyUse, Keyring, Wrap, WrappedKey, Wrapping};
use crate::secret::{DataKey, fill_random};

/// The content algorithm. Its name is bound into the wrapped key.
const GCM: &str = "AES/GCM/NoPadding";
/// Java's name for AES-CBC, and a second name that Ruby's client accepts. The padding is the same.
const CBC: [&str; 2] = ["AES/CBC/PKCS5Padding", "AES/CBC/PKCS7Padding"];
/// The length of the tag in bits, as in the entry.
const TAG_BITS: &str = "128";
const _: () = assert!(TAG_LEN * 8 == 128, "TAG_BITS is not the length of the tag");

/// V2 authenticates only the body.
pub(super) const NO_AAD: &[u8] = b"";

/// Starts an object under a new data key; the metadata entries are the whole envelope.
pub(super) async fn seal(keyring: &Keyring) -> Result<(ContentKey, Vec<(String, String)>)> {
    let mut nonce: Nonce = [0; NONCE_LEN];
    fill_random(&mut nonce)?;
    let (data_key, wrapping) = keyring.new_data_key(GCM).await?;
    let content = [
        (names::IV, STANDARD.encode(nonce)),
        (names::CONTENT_ALGORITHM, GCM.to_owned()),
        (names::TAG_LENGTH, TAG_BITS.to_owned()),
    ];
    let wrapped = wrapped_entries(wrapping).into_iter().filter_map(|(name, value)| Some((name, value?)));
    let entries = wrapped.chain(content).map(|(name, value)| (name.to_owned(), value)).collect();
    Ok((ContentKey::v2(data_key, nonce), entries))
}

/// The entries that belong to the wrapped key; `None` for an entry that must not exist.
pub(super) fn wrapped_entries(wrapping: Wrapping) -> Vec<Changed> {
    vec![
        (names::V2_KEY, Some(STANDARD.encode(wrapping.bytes))),
        (names::WRAP_ALGORITHM, Some(wrapping.wrap.v2_name().to_owned())),
        (names::MATERIAL_DESCRIPTION, Some(wrapping.description)),
        (names::KMS_KEY, wrapping.kms_key),
    ]
}

/// A complete V2 envelope.
pub(super) struct Envelope {
    cipher: Cipher,
    wrap: Wrap,
    wrapped_key: Vec<u8>,
    material_description: String,
    kms_key: Option<String>,
}

#[derive(Clone, Copy)]
enum Cipher {
    Gcm(Nonce),
    Cbc(Iv),
}

impl Envelope {
    /// Reads the entries and checks that they are complete and consistent.
    pub(super) fn read(entries: &Entries) -> Result<Self> {
        refuse_v3_entries(entries)?;
        for name in [names::V2_KEY, names::IV, names::CONTENT_ALGORITHM, names::WRAP_ALGORITHM] {
            entries.require(name)?;
        }
        let algorithm = entries.require(names::CONTENT_ALGORITHM)?;
        if algorithm != GCM && !CBC.contains(&algorithm) {
            return Err(unsupported(names::CONTENT_ALGORITHM, algorithm));
        }
        let wrap = entries.require(names::WRAP_ALGORITHM)?;
        let wrap = Wrap::from_v2_name(wrap).ok_or_else(|| unsupported(names::WRAP_ALGORITHM, wrap))?;
        let cipher = if algorithm == GCM { gcm(entries)? } else { cbc(entries, wrap)? };
        Ok(Self {
            cipher,
            wrap,
            wrapped_key: entries.base64(names::V2_KEY)?,
            // Tools that copy objects lose this entry; Java's client reads a missing one as empty.
            material_description: entries.get(names::MATERIAL_DESCRIPTION).unwrap_or("{}").to_owned(),
            kms_key: entries.get(names::KMS_KEY).map(str::to_owned),
        })
    }

    /// The reason why the object counts as legacy, if it does.
    pub(super) fn legacy(&self) -> Option<&'static str> {
        match self.cipher {
            Cipher::Cbc(_) => Some("is encrypted by AES-CBC, without integrity"),
            Cipher::Gcm(_) if self.wrap.is_legacy() => {
                Some("has its data key wrapped in a way that does not bind the content algorithm")
            }
            Cipher::Gcm(_) => None,
        }
    }

    /// Unwraps the data key.
    pub(super) async fn open(&self, keyring: &Keyring) -> Result<(ContentKey, KeyUse)> {
        let (data_key, used) = keyring.unwrap(self.wrapped()).await?;
        Ok((self.content_key(data_key), used))
    }

    /// Derives the key of the content from the data key.
    pub(super) fn content_key(&self, data_key: DataKey) -> ContentKey {
        match self.cipher {
            Cipher::Gcm(nonce) => ContentKey::v2(data_key, nonce),
            Cipher::Cbc(iv) => ContentKey::legacy(data_key, Format::V2, iv, true),
        }
    }

    /// The wrapped data key.
    pub(super) fn wrapped(&self) -> WrappedKey<'_> {
        WrappedKey {
            wrap: self.wrap,
            bytes: &self.wrapped_key,
            bind: GCM,
            material_description: &self.material_description,
            kms_key: self.kms_key.as_deref(),
        }
    }
}

fn gcm(entries: &Entries) -> Result<Cipher> {
    if entries.get(names::TAG_LENGTH) != Some(TAG_BITS) {
        return Err(malformed(names::TAG_LENGTH, "is not 128"));
    }
    entries.bytes(names::IV).map(Cipher::Gcm)
}

/// The current wraps were never used with CBC: an object with both was downgraded.
fn cbc(entries: &Entries, wrap: Wrap) -> Result<Cipher> {
    if wrap.is_legacy() {
        return entries.bytes(names::IV).map(Cipher::Cbc);
    }
    Err(unsupported(names::CONTENT_ALGORITHM, entries.require(names::CONTENT_ALGORITHM)?))
}

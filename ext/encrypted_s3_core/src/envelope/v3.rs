//! The V3 format: AES-256-GCM under a key derived from the data key, with a commitment to the data key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::commitment::{Derivation, ID_LEN, Id};
use super::metadata::{Entries, names};
use super::rewrap::Changed;
use super::{ContentKey, confusion, unsupported};
use crate::error::Result;
use crate::gcm::{NONCE_LEN, Nonce};
use crate::keyring::{KeyUse, Keyring, Wrap, WrappedKey, Wrapping, WritingWrap};
use crate::secret::{DataKey, fill_random};

/// AES-256-GCM with HKDF-SHA512 and key commitment: the only suite that is ever stored. Its number is bound into the
/// wrapped key.
const SUITE: &str = "115";

/// The content key is derived for one object, so the nonce can be constant.
pub(super) const NONCE: Nonce = [1; NONCE_LEN];

/// Starts an object under a new data key and message id; the metadata entries are the whole envelope.
pub(super) async fn seal(keyring: &Keyring) -> Result<(ContentKey, Vec<(String, String)>)> {
    let mut message_id: Id = [0; ID_LEN];
    fill_random(&mut message_id)?;
    let (data_key, wrapping) = keyring.new_data_key(SUITE).await?;
    let commitment = Derivation::new(&data_key, &message_id).commitment()?;
    let content = [
        (names::V3_SUITE, SUITE.to_owned()),
        (names::V3_COMMITMENT, STANDARD.encode(commitment)),
        (names::V3_MESSAGE_ID, STANDARD.encode(message_id)),
    ];
    let wrapped = wrapped_entries(wrapping).into_iter().filter_map(|(name, value)| Some((name, value?)));
    let entries = wrapped.chain(content).map(|(name, value)| (name.to_owned(), value)).collect();
    Ok((ContentKey::v3(data_key, message_id)?, entries))
}

/// The entries that belong to the wrapped key; `None` for an entry that must not exist.
pub(super) fn wrapped_entries(wrapping: Wrapping) -> Vec<Changed> {
    let (description, context) = match wrapping.wrap {
        WritingWrap::KmsContext => (None, Some(wrapping.description)),
        WritingWrap::AesGcm | WritingWrap::RsaOaepSha1 => (Some(wrapping.description), None),
    };
    vec![
        (names::V3_KEY, Some(STANDARD.encode(wrapping.bytes))),
        (names::V3_WRAP_ALGORITHM, Some(wrapping.wrap.v3_name().to_owned())),
        (names::V3_MATERIAL_DESCRIPTION, description),
        (names::V3_ENCRYPTION_CONTEXT, context),
        (names::KMS_KEY, wrapping.kms_key),
    ]
}

/// A complete V3 envelope.
pub(super) struct Envelope {
    wrap: Wrap,
    wrapped_key: Vec<u8>,
    commitment: Id,
    message_id: Id,
    material_description: String,
    kms_key: Option<String>,
}

impl Envelope {
    /// Reads the entries and checks that they are complete and consistent.
    pub(super) fn read(entries: &Entries) -> Result<Self> {
        if entries.holds_any(&names::OLDER) {
            return Err(confusion("V2 entries beside a V3 wrapped data key"));
        }
        let wrapped_key = [names::V3_KEY, names::V3_WRAP_ALGORITHM];
        wrapped_key.iter().chain(&names::V3_CONTENT).try_for_each(|name| entries.require(name).map(drop))?;
        let suite = entries.require(names::V3_SUITE)?;
        if suite != SUITE {
            return Err(unsupported(names::V3_SUITE, suite));
        }
        let wrap = entries.require(names::V3_WRAP_ALGORITHM)?;
        let wrap = Wrap::from_v3_name(wrap).ok_or_else(|| unsupported(names::V3_WRAP_ALGORITHM, wrap))?;
        // Go's client writes both entries, the unused one empty.
        let by_kms = wrap == Wrap::KmsContext;
        let description = if by_kms { names::V3_ENCRYPTION_CONTEXT } else { names::V3_MATERIAL_DESCRIPTION };
        Ok(Self {
            wrap,
            wrapped_key: entries.base64(names::V3_KEY)?,
            message_id: entries.bytes(names::V3_MESSAGE_ID)?,
            commitment: entries.bytes(names::V3_COMMITMENT)?,
            material_description: entries.get(description).unwrap_or("{}").to_owned(),
            kms_key: entries.get(names::KMS_KEY).map(str::to_owned),
        })
    }

    /// Unwraps the data key.
    pub(super) async fn open(&self, keyring: &Keyring) -> Result<(ContentKey, KeyUse)> {
        let (data_key, used) = keyring.unwrap(self.wrapped()).await?;
        Ok((self.content_key(data_key)?, used))
    }

    /// Derives the key of the content from the data key. First checks that the object commits to the data key.
    pub(super) fn content_key(&self, data_key: DataKey) -> Result<ContentKey> {
        Derivation::new(&data_key, &self.message_id).verify(&self.commitment)?;
        ContentKey::v3(data_key, self.message_id)
    }

    /// The wrapped data key.
    pub(super) fn wrapped(&self) -> WrappedKey<'_> {
        WrappedKey {
            wrap: self.wrap,
            bytes: &self.wrapped_key,
            bind: SUITE,
            material_description: &self.material_description,
            kms_key: self.kms_key.as_deref(),
        }
    }
}

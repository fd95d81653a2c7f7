//! Break glass: lets the owners of recovery keys open an object without the application's keys, by the metadata entry
//! of `docs/format.md`, section 7. The data key is wrapped once more under each public recovery key.
//!
//! Readers with the application's own keys do not use the entry, so a wrong entry cannot change their results.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::envelope::{ContentKey, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::kdf::{Hkdf, Hmac};
use crate::keyring::{FINGERPRINT_LEN, RsaKey};
use crate::secret::DataKey;

/// The name of the metadata entry, without the `x-amz-meta-` prefix.
pub const ENTRY: &str = "encrypted-s3-recovery";

/// Maximum number of recovery keys of an object.
pub const MAX_KEYS: usize = 8;

/// Longer than a V3 message id, which anybody who can write to the bucket may choose; see [`place`](crate::place).
const SALT: &[u8] = b"encrypted_s3_service/recovery/v1";
const RECOVERY_KEY: &[u8] = b"recovery key";

const VERSION: u8 = 1;
const TAG_LEN: usize = 32;
/// The object id is padded to the length of V3's message id.
const ID_LEN: usize = 28;

/// The first bytes of the SHA-256 of a key's `SubjectPublicKeyInfo`.
pub type Fingerprint = [u8; FINGERPRINT_LEN];

/// The recovery keys of new objects, and the private key that reads instead of the application's keys.
///
/// Clones share the keys.
#[derive(Clone, Default)]
pub struct Recovery {
    writing: Arc<[RsaKey]>,
    reading: Option<Arc<RsaKey>>,
}

impl Recovery {
    /// Wraps the data keys of new objects under these public `keys`.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there are more than [`MAX_KEYS`].
    pub fn for_writing(keys: Vec<RsaKey>) -> Result<Self> {
        if keys.len() > MAX_KEYS {
            return Err(Error::new(ErrorKind::Configuration, format!("more than {MAX_KEYS} recovery keys")));
        }
        Ok(Self { writing: keys.into(), reading: None })
    }

    /// Reads with a private recovery `key` instead of the keyring.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a public key.
    pub fn for_reading(key: RsaKey) -> Result<Self> {
        if !key.is_private() {
            return Err(Error::new(
                ErrorKind::Configuration,
                "the recovery key is a public key, which cannot open objects",
            ));
        }
        Ok(Self { writing: Arc::default(), reading: Some(Arc::new(key)) })
    }

    /// The private key that reads instead of the keyring.
    pub(crate) fn reading(&self) -> Option<&RsaKey> {
        self.reading.as_deref()
    }

    /// The entry of a new object, name and value; `None` without recovery keys.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when wrapping fails.
    pub(crate) fn entry(&self, content_key: &ContentKey) -> Result<Option<(&'static str, String)>> {
        if self.writing.is_empty() || content_key.is_legacy() {
            return Ok(None);
        }
        let data_key = content_key.data_key();
        let mut value = vec![VERSION, u8::try_from(self.writing.len()).map_err(|_| internal())?];
        for key in &*self.writing {
            let wrapped = key.wrap_for_recovery(data_key)?;
            value.extend_from_slice(&key.fingerprint());
            value.extend_from_slice(&u16::try_from(wrapped.len()).map_err(|_| internal())?.to_be_bytes());
            value.extend_from_slice(&wrapped);
        }
        let tag = tag(data_key, content_key, &value)?;
        value.extend_from_slice(&tag);
        Ok(Some((ENTRY, STANDARD.encode(value))))
    }

    /// Whether the metadata of an object names the configured recovery keys, as far as this is visible without the data
    /// key. Without configured recovery keys any entry is accepted and kept.
    pub(crate) fn is_named<'a>(&self, metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        let wanted = || self.writing.iter().map(RsaKey::fingerprint);
        self.writing.is_empty()
            || matches!(Entry::read(metadata), Ok(Some(entry)) if entry.records().map(|(name, _)| name).eq(wanted()))
    }

    /// The entry that an object with this `metadata` needs, name and value; `None` when its entry is correct.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when wrapping fails.
    pub(crate) fn update<'a>(
        &self,
        content_key: &ContentKey,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Result<Option<(&'static str, String)>> {
        let is_right =
            || Entry::read(metadata.clone()).is_ok_and(|entry| entry.is_some_and(|e| e.check(content_key).is_ok()));
        if self.writing.is_empty() || (self.is_named(metadata.clone()) && is_right()) {
            return Ok(None);
        }
        self.entry(content_key)
    }
}

impl fmt::Debug for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recovery({} public, reading: {})", self.writing.len(), self.reading.is_some())
    }
}

/// The recovery entry of an object. It is not authenticated before [`check`](Self::check).
pub(crate) struct Entry(Vec<u8>);

impl Entry {
    /// Reads the entry from an object's own metadata; `None` when there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for a malformed entry, and for two entries.
    pub(crate) fn read<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Option<Self>> {
        let mut entries = metadata.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(ENTRY));
        let Some((_, value)) = entries.next() else { return Ok(None) };
        if entries.next().is_some() {
            return Err(changed());
        }
        let entry = Self(STANDARD.decode(value).map_err(|_| changed())?);
        let records = entry.records().map(|(_, wrapped)| FINGERPRINT_LEN + 2 + wrapped.len());
        let (count, length) = records.fold((0, 2 + TAG_LEN), |(count, length), record| (count + 1, length + record));
        let whole = entry.0.first() == Some(&VERSION) && entry.0.len() == length;
        let counted = entry.0.get(1).is_some_and(|said| usize::from(*said) == count && (1..=MAX_KEYS).contains(&count));
        if whole && counted { Ok(Some(entry)) } else { Err(changed()) }
    }

    /// The keys and their wrapped data keys.
    fn records(&self) -> impl Iterator<Item = (Fingerprint, &[u8])> {
        let end = self.0.len().saturating_sub(TAG_LEN);
        let mut rest = self.0.get(2..end).unwrap_or_default();
        std::iter::from_fn(move || {
            let (name, after) = rest.split_first_chunk::<FINGERPRINT_LEN>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let (wrapped, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
            rest = after;
            Some((*name, wrapped))
        })
    }

    /// Unwraps the data key with a private recovery key. Check the result with [`check`](Self::check).
    ///
    /// # Errors
    /// [`ErrorKind::Unwrap`] when the entry is not for this key, or this key does not open it.
    pub(crate) fn unwrap(&self, key: &RsaKey) -> Result<DataKey> {
        let fingerprint = key.fingerprint();
        let Some((_, wrapped)) = self.records().find(|(name, _)| *name == fingerprint) else {
            let named: Vec<_> = self.records().map(|(name, _)| hex(&name)).collect();
            let message = format!(
                "the object is not for the recovery key {}; it is for: {}",
                hex(&fingerprint),
                named.join(", ")
            );
            return Err(Error::new(ErrorKind::Unwrap, message));
        };
        key.unwrap_for_recovery(wrapped)?.ok_or_else(|| {
            Error::new(ErrorKind::Unwrap, "the recovery key does not open the object's recovery entry: it was changed")
        })
    }

    /// Checks, in constant time, that the entry was made for this object.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when the entry was changed, or belongs to another object.
    pub(crate) fn check(&self, content_key: &ContentKey) -> Result<()> {
        let (statement, stored) = self.0.split_at_checked(self.0.len().saturating_sub(TAG_LEN)).ok_or_else(changed)?;
        let tag = tag(content_key.data_key(), content_key, statement)?;
        if bool::from(tag.as_slice().ct_eq(stored)) { Ok(()) } else { Err(changed()) }
    }
}

/// The fingerprints of the recovery keys that an object's metadata names, in hexadecimal digits; empty when it has no
/// entry or a malformed one. They are not authenticated.
pub fn fingerprints<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let entry = Entry::read(metadata).ok().flatten();
    entry.map(|entry| entry.records().map(|(name, _)| hex(&name)).collect()).unwrap_or_default()
}

fn tag(data_key: &DataKey, content_key: &ContentKey, statement: &[u8]) -> Result<[u8; TAG_LEN]> {
    let mut recovery_key = Zeroizing::new([0; 32]);
    Hkdf::new(SALT, data_key.expose()).expand(&[RECOVERY_KEY], recovery_key.as_mut_slice())?;
    let mut id = [0; ID_LEN];
    let object_id = content_key.object_id();
    id.get_mut(..object_id.len()).ok_or_else(internal)?.copy_from_slice(object_id);
    let format = match content_key.format() {
        Format::V1 => 1,
        Format::V2 => 2,
        Format::V3 => 3,
    };
    let mut mac = Hmac::new(recovery_key.as_slice())?;
    mac.update(&[format]);
    mac.update(&id);
    mac.update(statement);
    Ok(mac.finish())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error for an object without an entry.
pub(crate) fn missing() -> Error {
    let message = format!(
        "the object has no metadata entry `{ENTRY}`, so no recovery key opens it: it was stored without `recovery_keys`. \
         `rails encrypted_s3_service:rotate` adds the entry as long as the application has its keys"
    );
    Error::new(ErrorKind::KeyMismatch, message)
}

fn changed() -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the object's metadata entry `{ENTRY}` was changed, or belongs to another object"),
    )
}

fn internal() -> Error {
    Error::new(ErrorKind::Internal, "a recovery entry could not be made")
}

//! The configured wrapping keys. The first one wraps new data keys, and all of them unwrap.
//!
//! The material description of every object holds the id of its key, so that after a key rotation the right key is
//! tried first. The description is not authenticated: it decides the order of the keys, never whether a key may be
//! used.

mod aes;
mod aes_legacy;
mod kms;
mod rsa;
mod wrap;

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::kms::{KeyService, KmsKey};
use crate::secret::{DataKey, WrappingKey};
use wrap::Kind;

pub(crate) use kms::ReEncrypted;
pub(crate) use rsa::FINGERPRINT_LEN;
pub use rsa::{MAX_BITS as MAX_RSA_BITS, MIN_BITS as MIN_RSA_BITS, RsaKey};
pub(crate) use wrap::{Wrap, WritingWrap};

/// Maximum characters of a key id; S3 holds 2 KB of metadata for an object in total.
pub const MAX_ID_LEN: usize = 128;

/// The entry of the material description that holds the key id.
const ID_ENTRY: &str = "key_id";

/// One wrapping key and its id.
#[derive(Debug)]
pub struct Key {
    /// Stored with every object written under this key: 1 to 128 printable ASCII characters. `None` stores nothing, as
    /// the official clients do by default. Not for keys in KMS, which have their own ids.
    pub id: Option<String>,
    /// The key itself.
    pub key: KeyMaterial,
}

/// A wrapping key of any kind.
#[derive(Debug)]
pub enum KeyMaterial {
    /// An AES key, which wraps and unwraps.
    Aes(WrappingKey),
    /// An RSA key, whose public half wraps and whose private half unwraps.
    Rsa(RsaKey),
    /// A key in AWS KMS, which wraps and unwraps there.
    Kms(KmsKey),
}

impl From<WrappingKey> for KeyMaterial {
    fn from(key: WrappingKey) -> Self {
        Self::Aes(key)
    }
}

impl From<RsaKey> for KeyMaterial {
    fn from(key: RsaKey) -> Self {
        Self::Rsa(key)
    }
}

impl From<KmsKey> for KeyMaterial {
    fn from(key: KmsKey) -> Self {
        Self::Kms(key)
    }
}

impl Key {
    /// The name of the key.
    fn name(&self) -> Option<&str> {
        match &self.key {
            KeyMaterial::Kms(key) => key.id(),
            _ => self.id.as_deref(),
        }
    }
}

impl KeyMaterial {
    /// Whether both are the same key; either may be the public half only.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Aes(one), Self::Aes(other)) => one.is(other),
            (Self::Rsa(one), Self::Rsa(other)) => one.is(other),
            (Self::Kms(one), Self::Kms(other)) => one == other,
            _ => false,
        }
    }

    /// Whether this key could unwrap data keys that a key of `kind` wrapped.
    fn reads(&self, kind: Kind) -> bool {
        match self {
            Self::Aes(_) => kind == Kind::Aes,
            Self::Rsa(key) => kind == Kind::Rsa && key.is_private(),
            Self::Kms(_) => kind == Kind::Kms,
        }
    }

    /// Unwraps the data key; `None` when this is not the right key. Not for keys in KMS, which need requests.
    fn unwrap(&self, wrapped: &WrappedKey<'_>) -> Result<Option<DataKey>> {
        let bytes = wrapped.bytes;
        match (self, wrapped.wrap) {
            (Self::Aes(key), Wrap::AesGcm) => aes::Wrapped::parse(bytes)?.unwrap(key, wrapped.bind),
            (Self::Aes(key), Wrap::AesKw) => aes_legacy::unwrap_kw(key, bytes),
            (Self::Aes(key), Wrap::AesEcb) => aes_legacy::unwrap_ecb(key, bytes),
            (Self::Rsa(key), Wrap::RsaOaepSha1) => key.unwrap_oaep_sha1(bytes, wrapped.bind),
            (Self::Rsa(key), Wrap::RsaOaepSha256) => key.unwrap_oaep_sha256(bytes),
            (Self::Rsa(key), Wrap::RsaPkcs1) => key.unwrap_pkcs1(bytes),
            _ => Ok(None),
        }
    }
}

/// The wrapped data key of an envelope.
#[derive(Clone, Copy)]
pub(crate) struct WrappedKey<'a> {
    pub(crate) wrap: Wrap,
    pub(crate) bytes: &'a [u8],
    /// The text that binds it to the content algorithm, for wraps that do so.
    pub(crate) bind: &'a str,
    /// The material description of the envelope; for a key in KMS the encryption context. A description that cannot be
    /// parsed names no key.
    pub(crate) material_description: &'a str,
    /// The ARN of the KMS key that the object names. It only decides which key is tried first.
    pub(crate) kms_key: Option<&'a str>,
}

impl<'a> WrappedKey<'a> {
    /// A data key that was just wrapped.
    fn of(wrapping: &'a Wrapping, bind: &'a str) -> Self {
        Self {
            wrap: wrapping.wrap.read(),
            bytes: &wrapping.bytes,
            bind,
            material_description: &wrapping.description,
            kms_key: wrapping.kms_key.as_deref(),
        }
    }
}

/// A data key, wrapped for an envelope.
#[derive(Debug)]
pub(crate) struct Wrapping {
    /// The wrapping algorithm.
    pub(crate) wrap: WritingWrap,
    /// The wrapped key.
    pub(crate) bytes: Vec<u8>,
    /// The material description, or the encryption context: compact JSON in ASCII, because S3 returns non-ASCII
    /// metadata in another encoding.
    pub(crate) description: String,
    /// The ARN of the KMS key that wrapped it.
    pub(crate) kms_key: Option<String>,
}

/// The key that opened an object's data key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The id under which the key is configured; the ARN of a key in KMS that is not configured by name.
    pub id: Option<String>,
    /// Whether new objects are written under this key, even if by its public half or under another id.
    pub is_writing: bool,
}

/// One or more wrapping keys; the first is the writing key.
///
/// Clones share the keys.
#[derive(Clone, Debug)]
pub struct Keyring {
    writing: Arc<Key>,
    further: Arc<[Key]>,
    kms: Option<Arc<dyn KeyService>>,
}

impl Keyring {
    /// Creates a keyring of `keys`. Objects are written under the first one and read under any of them.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no key, when two keys have one id, or when an id is empty, longer
    /// than [`MAX_ID_LEN`] or holds anything but printable ASCII.
    pub fn new(keys: Vec<Key>) -> Result<Self> {
        check_ids(&keys)?;
        let mut keys = keys.into_iter();
        let writing =
            keys.next().ok_or_else(|| Error::new(ErrorKind::Configuration, "no `encryption_key` is configured"))?;
        if matches!(&writing.key, KeyMaterial::Kms(key) if key.id().is_none()) {
            return Err(Error::new(
                ErrorKind::Configuration,
                "new objects need a KMS key of their own: set `kms_key_id`",
            ));
        }
        Ok(Self { writing: Arc::new(writing), further: keys.collect(), kms: None })
    }

    /// The same keyring with a service for the keys in KMS.
    #[must_use]
    pub fn with_kms(self, service: Arc<dyn KeyService>) -> Self {
        Self { kms: Some(service), ..self }
    }

    /// Whether there are keys in KMS, which need [`with_kms`](Self::with_kms).
    pub fn needs_kms(&self) -> bool {
        self.keys().any(|key| matches!(key.key, KeyMaterial::Kms(_)))
    }

    /// Generates a data key, and wraps it by the writing key. `bind` is the text that binds it to the content
    /// algorithm.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the random source fails; for a key in KMS the errors of [`KeyService`].
    pub(crate) async fn new_data_key(&self, bind: &str) -> Result<(DataKey, Wrapping)> {
        if let KeyMaterial::Kms(key) = &self.writing.key {
            return self.generate_by_kms(key, bind).await;
        }
        let data_key = DataKey::generate()?;
        let wrapping = self.wrap(&data_key, bind).await?;
        Ok((data_key, wrapping))
    }

    /// Wraps `data_key` by the writing key. `bind` is the text that binds it to the content algorithm.
    ///
    /// # Errors
    /// The errors of [`new_data_key`](Self::new_data_key).
    pub(crate) async fn wrap(&self, data_key: &DataKey, bind: &str) -> Result<Wrapping> {
        let (wrap, bytes) = match &self.writing.key {
            KeyMaterial::Aes(key) => (WritingWrap::AesGcm, aes::wrap(key, data_key, bind)?),
            KeyMaterial::Rsa(key) => (WritingWrap::RsaOaepSha1, key.wrap(data_key, bind)?),
            KeyMaterial::Kms(key) => return self.wrap_by_kms(key, data_key, bind).await,
        };
        Ok(Wrapping { wrap, bytes, description: self.material_description(), kms_key: None })
    }

    fn material_description(&self) -> String {
        match &self.writing.id {
            Some(id) => json!({ ID_ENTRY: id }).to_string(),
            None => "{}".to_owned(),
        }
    }

    /// Whether an envelope describes its key as this keyring would write it.
    pub(crate) fn describes_writing_key(&self, wrapped: &WrappedKey<'_>) -> bool {
        match &self.writing.key {
            KeyMaterial::Kms(key) => wrapped.kms_key.is_some_and(|arn| key.has_arn(arn) == Some(true)),
            _ => wanted_id(wrapped.material_description) == self.writing.id,
        }
    }

    /// Unwraps a data key and returns the key that opened it. The key that the material description names is tried
    /// first, then the others.
    ///
    /// # Errors
    /// [`ErrorKind::KeyMismatch`] when there is no key of the kind that wrapped it, [`ErrorKind::Malformed`] when its
    /// length is not that of such a wrapped key, [`ErrorKind::Unwrap`] when no key opens it, and
    /// [`ErrorKind::AlgMismatch`] when a key does and it was wrapped for another content algorithm. For a key in KMS
    /// also [`ErrorKind::ContextMismatch`] when its encryption context is not the configured one, and the errors of
    /// [`KeyService`].
    pub(crate) async fn unwrap(&self, wrapped: WrappedKey<'_>) -> Result<(DataKey, KeyUse)> {
        self.check_kind(wrapped.wrap.kind())?;
        if wrapped.wrap.kind() == Kind::Kms {
            return self.unwrap_by_kms(&wrapped).await;
        }
        let wanted = wanted_id(wrapped.material_description);
        for key in self.in_order(wrapped.wrap.kind(), wanted.as_deref()) {
            if let Some(data_key) = key.key.unwrap(&wrapped)? {
                let used = KeyUse { id: key.id.clone(), is_writing: key.key.is(&self.writing.key) };
                return Ok((data_key, used));
            }
        }
        Err(self.no_key_fits(wanted.as_deref()))
    }

    /// Unwraps a data key of a legacy wrap. A failure must not be visible, so it returns a random key and `false` then.
    /// All keys are tried even after one fits, so that the time reveals nothing either.
    ///
    /// # Errors
    /// [`ErrorKind::KeyMismatch`] when there is no key of the kind that wrapped it.
    pub(crate) fn unwrap_quietly(&self, wrapped: WrappedKey<'_>) -> Result<(DataKey, bool)> {
        self.check_kind(wrapped.wrap.kind())?;
        let mut found = (DataKey::generate()?, false);
        let wanted = wanted_id(wrapped.material_description);
        for key in self.in_order(wrapped.wrap.kind(), wanted.as_deref()) {
            let opened = key.key.unwrap(&wrapped)?;
            if let (Some(data_key), false) = (opened, found.1) {
                found = (data_key, true);
            }
        }
        Ok(found)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&*self.writing).chain(&*self.further)
    }

    /// The keys that can unwrap data keys of this kind, the `wanted` one first.
    fn in_order(&self, kind: Kind, wanted: Option<&str>) -> impl Iterator<Item = &Key> {
        let named = move |key: &&Key| wanted.is_some() && key.id.as_deref() == wanted;
        let reading = move |key: &&Key| key.key.reads(kind);
        self.keys().filter(named).chain(self.keys().filter(move |key| !named(key))).filter(reading)
    }

    /// Refuses a data key that none of the configured kinds of key can unwrap.
    fn check_kind(&self, kind: Kind) -> Result<()> {
        if self.keys().any(|key| key.key.reads(kind)) {
            return Ok(());
        }
        let problem = match kind {
            Kind::Kms => {
                "but this service has no KMS key: set `kms_key_id`, or add `kms:` and the key's ARN to `decryption_keys`"
            }
            Kind::Rsa if self.keys().any(|key| matches!(key.key, KeyMaterial::Rsa(_))) => {
                "but this service has public RSA keys only, which can write but not read: set the private key as \
                 `encryption_key`, or add it to `decryption_keys`"
            }
            Kind::Rsa | Kind::Aes => "but this service has no such key: add it to `decryption_keys`",
        };
        Err(Error::new(ErrorKind::KeyMismatch, format!("the object's data key was wrapped by {kind}, {problem}")))
    }

    fn no_key_fits(&self, wanted: Option<&str>) -> Error {
        let message = match wanted.map(|id| (id, self.keys().find(|key| key.id.as_deref() == Some(id)))) {
            Some((id, Some(Key { key: KeyMaterial::Rsa(key), .. }))) if !key.is_private() => format!(
                "the key {id:?} is a public RSA key, which can write but not read, and no other key opens \
                 the object's data key: set the private key as `encryption_key`, or add it to `decryption_keys`"
            ),
            Some((id, Some(_))) => format!(
                "the key {id:?} does not open the object's data key: the key is wrong or the envelope was changed"
            ),
            Some((id, None)) if is_valid_id(id) => {
                format!("its key id {id:?} is not in `decryption_keys`, and no other key opens its data key")
            }
            Some(_) | None => {
                "no configured key opens its data key: the key is missing or the envelope was changed".to_owned()
            }
        };
        Error::new(ErrorKind::Unwrap, message)
    }
}

/// Returns the key id in a material description. The description may be any text: it is not authenticated.
pub(crate) fn wanted_id(material_description: &str) -> Option<String> {
    match serde_json::from_str::<Value>(material_description).ok()?.get_mut(ID_ENTRY)?.take() {
        Value::String(id) => Some(id),
        _ => None,
    }
}

fn check_ids(keys: &[Key]) -> Result<()> {
    let mut seen = HashSet::new();
    let own = keys.iter().filter(|key| !matches!(key.key, KeyMaterial::Kms(_)));
    for id in own.filter_map(|key| key.id.as_deref()) {
        if !is_valid_id(id) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!("the key id {id:?} is not valid; use 1 to {MAX_ID_LEN} printable ASCII characters"),
            ));
        }
        if !seen.insert(id) {
            return Err(Error::new(ErrorKind::Configuration, format!("two keys have the id {id:?}")));
        }
    }
    Ok(())
}

fn is_valid_id(id: &str) -> bool {
    (1..=MAX_ID_LEN).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

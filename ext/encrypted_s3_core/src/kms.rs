//! Keys in AWS KMS: what data keys need of them.
//!
//! A KMS key never leaves KMS. KMS makes data keys and opens them, by one request each, and checks the encryption
//! context: the text that an object has instead of a material description (S3 Encryption Client specification, KMS
//! keyring).

mod aws;
mod aws_error;
mod context;
#[cfg(any(test, feature = "testing"))]
mod memory;

use std::future::Future;
use std::pin::Pin;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;

pub use aws::{AwsKms, KmsSettings};
pub use context::{CONTEXT_ALGORITHM, Context, MAX_CONTEXT_LEN};
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryKms;

/// The most characters that the id of a KMS key may have; the ARN of an alias has less than 400.
pub const MAX_KMS_ID_LEN: usize = 512;

/// An answer of KMS, to be awaited or spawned.
pub type KmsFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A KMS key of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    id: Option<String>,
    context: Context,
}

impl KmsKey {
    /// The key `id`: a key id, the ARN of a key, `alias/…` or the ARN of an alias. `context` is what the encryption
    /// context of its objects must hold besides the reserved entry.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for an id that is empty, longer than [`MAX_KMS_ID_LEN`] or not printable ASCII.
    pub fn new(id: &str, context: Context) -> Result<Self> {
        let valid = (1..=MAX_KMS_ID_LEN).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !valid {
            let what = "the id of a KMS key must be a key id, an ARN or an alias in printable ASCII";
            return Err(Error::new(ErrorKind::Configuration, what));
        }
        Ok(Self { id: Some(id.to_owned()), context })
    }

    /// Whatever key a wrapped data key names. It reads and does not write.
    pub fn any(context: Context) -> Self {
        Self { id: None, context }
    }

    /// The id as it is configured; `None` for any key.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What the encryption context holds besides the reserved entry.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The region in the ARN, if the id is one.
    pub fn region(&self) -> Option<&str> {
        let id = self.id.as_deref().filter(|id| id.starts_with("arn:"))?;
        id.split(':').nth(3).filter(|region| !region.is_empty() && is_host_label(region))
    }

    /// Whether the key has this ARN; `None` when that cannot be told, because the id is an alias or stands for any key.
    /// Replicas of a multi-Region key count as one key, as they do for KMS.
    pub fn has_arn(&self, arn: &str) -> Option<bool> {
        let id = self.id.as_deref()?;
        if id.starts_with("alias/") || id.contains(":alias/") {
            return None;
        }
        Some(resource(id) == resource(arn))
    }
}

/// Whether a text may be a part of a host name.
fn is_host_label(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The key id in the ARN of a key; anything else as it is.
fn resource(id: &str) -> &str {
    match id.strip_prefix("arn:") {
        Some(rest) => rest.rsplit_once(":key/").map_or(id, |(_, key_id)| key_id),
        None => id,
    }
}

/// A data key as KMS wrapped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsWrapped {
    /// KMS's ciphertext.
    pub blob: Vec<u8>,
    /// The ARN of the key that wrapped it.
    pub key_arn: String,
}

/// A data key that KMS wrapped by another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsRewrapped {
    /// The new one.
    pub wrapped: KmsWrapped,
    /// The ARN of the key that had wrapped it.
    pub source_arn: String,
}

/// What KMS says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsDescription {
    /// The key's ARN.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// Whether the key is made to encrypt and decrypt under a symmetric key. Others do not make data keys.
    pub is_symmetric: bool,
}

/// Uses keys in KMS. Futures own what they need and may be spawned.
///
/// # Errors
/// All: [`ErrorKind::Access`] when a permission is missing, [`ErrorKind::KeyDisabled`] when the key is disabled or its
/// deletion is pending, [`ErrorKind::KeyDestroyed`] when there is no such key, [`ErrorKind::Transport`] when KMS is not
/// reached or has too many requests, [`ErrorKind::Configuration`] and [`ErrorKind::Rejected`] for the rest.
pub trait KeyService: std::fmt::Debug + Send + Sync + 'static {
    /// A new data key of 32 bytes and the same wrapped by `key` in `context`.
    fn generate_data_key(&self, key: &KmsKey, context: &Context) -> KmsFuture<(DataKey, KmsWrapped)>;

    /// Wraps a data key that exists.
    fn encrypt(&self, key: &KmsKey, context: &Context, data_key: &DataKey) -> KmsFuture<KmsWrapped>;

    /// Unwraps a data key, and tells the ARN of the key that did it; `None` when another key than `key` wrapped it.
    ///
    /// # Errors
    /// Also [`ErrorKind::Unwrap`] when it was wrapped in another context or was changed.
    fn decrypt(&self, key: &KmsKey, context: &Context, blob: &[u8]) -> KmsFuture<Option<(DataKey, String)>>;

    /// Wraps a data key, wrapped by `from.0` in the context `from.1`, by `to.0` in the context `to.1` without letting
    /// it out of KMS; `None` when another key than `from.0` wrapped it. Both keys are of one region.
    ///
    /// # Errors
    /// As [`decrypt`](Self::decrypt).
    fn re_encrypt(
        &self,
        from: (&KmsKey, &Context),
        to: (&KmsKey, &Context),
        blob: &[u8],
    ) -> KmsFuture<Option<KmsRewrapped>>;

    /// The region in which `key` is used, as far as the settings say it.
    fn region(&self, key: &KmsKey) -> Option<String>;

    /// What KMS says of `key`, which is not any key.
    fn describe(&self, key: &KmsKey) -> KmsFuture<KmsDescription>;
}

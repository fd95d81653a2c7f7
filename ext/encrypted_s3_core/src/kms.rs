//! Keys in AWS KMS: the operations that data keys need.
//!
//! A KMS key never leaves KMS. KMS generates and decrypts data keys, with one request each, and checks the encryption
//! context, which an object has instead of a material description (S3 Encryption Client specification, KMS keyring).

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

/// Maximum characters of a KMS key id; the ARN of an alias has less than 400.
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
    /// The key `id`: a key id, the ARN of a key, `alias/…` or the ARN of an alias. `context` holds the required entries
    /// of its objects' encryption context, without the reserved entry.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for an id that is empty, longer than [`MAX_KMS_ID_LEN`] or not printable ASCII.
    pub fn new(id: &str, context: Context) -> Result<Self> {
        let valid = (1..=MAX_KMS_ID_LEN).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !valid {
            let message = "the id of a KMS key must be a key id, an ARN or an alias in printable ASCII";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        Ok(Self { id: Some(id.to_owned()), context })
    }

    /// Stands for any key that a wrapped data key names. It only unwraps.
    pub fn any(context: Context) -> Self {
        Self { id: None, context }
    }

    /// The configured id; `None` for any key.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The entries of the encryption context, without the reserved one.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The region in the ARN, if the id is one.
    pub fn region(&self) -> Option<&str> {
        let id = self.id.as_deref().filter(|id| id.starts_with("arn:"))?;
        id.split(':').nth(3).filter(|region| !region.is_empty() && is_host_label(region))
    }

    /// Whether the key has this ARN; `None` when that is unknown, because the id is an alias or stands for any key.
    /// Replicas of a multi-Region key count as one key, as in KMS.
    pub fn has_arn(&self, arn: &str) -> Option<bool> {
        let id = self.id.as_deref()?;
        if id.starts_with("alias/") || id.contains(":alias/") {
            return None;
        }
        Some(resource(id) == resource(arn))
    }
}

/// Whether a text may be a label of a host name.
fn is_host_label(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The key id in the ARN of a key; any other text unchanged.
fn resource(id: &str) -> &str {
    match id.strip_prefix("arn:") {
        Some(rest) => rest.rsplit_once(":key/").map_or(id, |(_, key_id)| key_id),
        None => id,
    }
}

/// A data key wrapped by KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsWrapped {
    /// KMS's ciphertext.
    pub blob: Vec<u8>,
    /// The ARN of the key that wrapped it.
    pub key_arn: String,
}

/// A data key that KMS rewrapped under another key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsRewrapped {
    /// The new wrapped key.
    pub wrapped: KmsWrapped,
    /// The ARN of the key that had wrapped it before.
    pub source_arn: String,
}

/// KMS's description of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsDescription {
    /// The key's ARN.
    pub arn: String,
    /// `Enabled`, `Disabled`, `PendingDeletion`, …
    pub state: String,
    /// Whether the key is for encryption and decryption under a symmetric key. Other keys cannot generate data keys.
    pub is_symmetric: bool,
}

/// The operations of KMS on its keys. Futures own their data and may be spawned.
///
/// # Errors
/// For all methods: [`ErrorKind::Access`] when a permission is missing, [`ErrorKind::KeyDisabled`] when the key is
/// disabled or its deletion is pending, [`ErrorKind::KeyDestroyed`] when there is no such key, [`ErrorKind::Transport`]
/// when KMS cannot be reached or throttles requests, [`ErrorKind::Configuration`] and [`ErrorKind::Rejected`]
/// otherwise.
pub trait KeyService: std::fmt::Debug + Send + Sync + 'static {
    /// Generates a data key of 32 bytes, and wraps it by `key` in `context`.
    fn generate_data_key(&self, key: &KmsKey, context: &Context) -> KmsFuture<(DataKey, KmsWrapped)>;

    /// Wraps an existing data key.
    fn encrypt(&self, key: &KmsKey, context: &Context, data_key: &DataKey) -> KmsFuture<KmsWrapped>;

    /// Unwraps a data key and returns the ARN of the key that unwrapped it; `None` when another key than `key` wrapped
    /// it.
    ///
    /// # Errors
    /// Also [`ErrorKind::Unwrap`] when it was wrapped in another context or was changed.
    fn decrypt(&self, key: &KmsKey, context: &Context, blob: &[u8]) -> KmsFuture<Option<(DataKey, String)>>;

    /// Rewraps a data key, wrapped by `from.0` in the context `from.1`, by `to.0` in the context `to.1` inside of KMS;
    /// `None` when another key than `from.0` wrapped it. Both keys are in one region.
    ///
    /// # Errors
    /// The errors of [`decrypt`](Self::decrypt).
    fn re_encrypt(
        &self,
        from: (&KmsKey, &Context),
        to: (&KmsKey, &Context),
        blob: &[u8],
    ) -> KmsFuture<Option<KmsRewrapped>>;

    /// The region in which `key` is used, if the settings determine it.
    fn region(&self, key: &KmsKey) -> Option<String>;

    /// KMS's description of `key`, which must not stand for any key.
    fn describe(&self, key: &KmsKey) -> KmsFuture<KmsDescription>;
}

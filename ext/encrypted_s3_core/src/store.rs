//! The interface of an object store, and its implementations.
//!
//! Futures own their data and may be spawned. A body is [`Bytes`], so a retry resends the same ciphertext.

mod answer_body;
mod aws;
pub(crate) mod aws_cause;
pub(crate) mod aws_connection;
mod aws_copy;
mod aws_credentials;
mod aws_delete;
pub(crate) mod aws_environment;
pub(crate) mod aws_error;
mod aws_immovable;
mod aws_instance;
mod aws_profile_error;
pub(crate) mod aws_proxy;
mod aws_read;
mod aws_retry;
pub(crate) mod aws_settings;
mod aws_survey;
mod aws_trust;
mod file;
mod folder;
#[cfg(any(test, feature = "testing"))]
mod memory;
mod object_settings;
pub(crate) mod patience;
mod repeated_answer;
mod request_body;
mod web_page;
mod whole_answer;
mod wrong_clock;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;

pub use aws::AwsStore;
pub use aws_connection::Connections;
pub use aws_settings::{AwsStoreSettings, ChecksumUse, ConnectionSettings, Credentials, RetryMode, SecretText};
pub use aws_survey::{Answer, BucketState, Version};
pub use file::FileStore;
pub use folder::FolderStore;
#[cfg(any(test, feature = "testing"))]
pub use memory::MemoryStore;
pub use object_settings::ObjectSettings;

use crate::{Error, ErrorKind, Result};

/// A store's answer, to be awaited or spawned.
pub type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// A new object: its key and everything else except the body.
#[derive(Clone, Debug, Default)]
pub struct NewObject {
    /// The object's key in the bucket, UTF-8.
    pub key: String,
    /// The MIME type for the store.
    pub content_type: String,
    /// User metadata, names without the `x-amz-meta-` prefix.
    pub metadata: Vec<(String, String)>,
    /// Storage class, server-side encryption and similar settings.
    pub settings: ObjectSettings,
}

/// The answer of the store for an object that was stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// The entity tag, with its quotes, as the store returns it.
    pub etag: String,
}

/// One stored part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    /// The part's number, from 1.
    pub number: i32,
    /// Bytes in the part.
    pub size: u64,
    /// The part's entity tag.
    pub etag: String,
    /// The checksum that was sent with the part, to be repeated on completion.
    pub crc32: Option<String>,
}

/// An object's size, version and user metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectHead {
    /// Size of the stored body in bytes: ciphertext and tag.
    pub size: u64,
    /// The entity tag, with its quotes.
    pub etag: String,
    /// User metadata, names without the `x-amz-meta-` prefix.
    pub metadata: HashMap<String, String>,
    /// Why the object must not be copied onto itself, if the store reports a reason: it is archived or locked.
    pub immovable: Option<String>,
}

impl ObjectHead {
    /// The user metadata as (name, value) pairs.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The requested bytes of an object, and the requested version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The first byte and the last; `None` is the whole object.
    pub range: Option<(u64, u64)>,
    /// The entity tag of the required version; `None` reads any.
    pub if_match: Option<String>,
}

/// An object being read.
#[derive(Debug)]
pub struct Object {
    /// The properties of the object; the size is that of the whole object.
    pub head: ObjectHead,
    /// The position of the body's first byte in the object: 0 when the store ignored the range.
    pub first: u64,
    /// The stored bytes.
    pub body: Body,
}

/// The stored bytes of an object as they arrive.
#[derive(Debug)]
pub struct Body(BodySource);

#[derive(Debug)]
enum BodySource {
    Aws(aws_read::AwsBody),
    File(folder::FileBody),
    Chunks(std::vec::IntoIter<Result<Bytes>>),
}

impl Body {
    /// A body of the given chunks; an `Err` among them simulates a connection that breaks there.
    pub fn from_chunks(chunks: Vec<Result<Bytes>>) -> Self {
        Self(BodySource::Chunks(chunks.into_iter()))
    }

    fn from_aws(body: aws_read::AwsBody) -> Self {
        Self(BodySource::Aws(body))
    }

    fn from_file(body: folder::FileBody) -> Self {
        Self(BodySource::File(body))
    }

    /// The next bytes, or `None` after the last.
    ///
    /// # Errors
    /// `Transport` when the connection broke; `Damaged`, after the last bytes, when the body does not match the
    /// checksum that the store sent; `Io` when a file cannot be read.
    pub async fn next(&mut self) -> Option<Result<Bytes>> {
        match &mut self.0 {
            BodySource::Aws(body) => body.next().await,
            BodySource::File(body) => body.next().await,
            BodySource::Chunks(chunks) => chunks.next(),
        }
    }
}

/// New metadata for an object.
#[derive(Clone, Debug)]
pub struct Replacement {
    /// All user metadata, names without the `x-amz-meta-` prefix.
    pub metadata: Vec<(String, String)>,
    /// Canned ACL; stores do not copy the object's present one.
    pub acl: Option<String>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Keys in the store's order.
    pub keys: Vec<String>,
    /// The start of the next page; `None` on the last.
    pub next: Option<String>,
    /// Whether the store reports further pages.
    pub truncated: bool,
}

/// An S3-like store, bound to one bucket.
pub trait ObjectStore: std::fmt::Debug + Send + Sync + 'static {
    /// Time limit of one operation without progress, all retries included.
    fn patience(&self) -> Duration {
        patience::PATIENCE
    }

    /// Identifies the store and its bucket for data that a process keeps about objects (their segment maps). With
    /// `None` nothing is kept.
    fn name(&self) -> Option<(String, String)> {
        None
    }

    /// Writes a whole object in one request.
    fn put(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored>;

    /// Writes a whole object in one request if there is none under its key; `Changed` if there is one. A store without
    /// this condition answers `Unsupported`.
    fn put_if_absent(&self, object: NewObject, _body: Bytes) -> StoreFuture<Stored> {
        let message = "the store cannot store an object only if there is none under its key";
        let error = Error::new(ErrorKind::Unsupported, message).for_object(&object.key);
        Box::pin(async move { Err(error) })
    }

    /// Replaces a whole object, only while its entity tag is `etag`: `Changed` otherwise. A store that does not know
    /// the condition replaces any object.
    fn replace(&self, object: NewObject, body: Bytes, etag: &str) -> StoreFuture<Stored>;

    /// Begins a multipart upload and returns its id. Nothing is visible under the key until it is completed.
    fn create_multipart(&self, object: NewObject) -> StoreFuture<String>;

    /// Writes one part of a multipart upload; `number` counts from 1.
    fn put_part(&self, key: &str, upload_id: &str, number: i32, body: Bytes) -> StoreFuture<StoredPart>;

    /// Makes the parts, in ascending order, the object.
    fn complete_multipart(&self, key: &str, upload_id: &str, parts: Vec<StoredPart>) -> StoreFuture<Stored>;

    /// Aborts a multipart upload and frees its parts.
    fn abort_multipart(&self, key: &str, upload_id: &str) -> StoreFuture<()>;

    /// Reads an object or a range of it: its head first, then the body. `Changed` for another version than the
    /// requested one, `InvalidRange` for a range that begins past the end.
    fn get(&self, key: &str, reading: Reading) -> StoreFuture<Object>;

    /// Replaces the user metadata of an object without moving its body, only while its entity tag is `etag`: `Changed`
    /// otherwise. Content type, storage class, server-side encryption, tags and all other properties stay.
    fn replace_metadata(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<Stored>;

    /// Begins a multipart upload that replaces the user metadata of an object, as [`replace_metadata`] does, and
    /// returns its id. The parts are copied from the object itself.
    ///
    /// [`replace_metadata`]: Self::replace_metadata
    fn create_copy(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<String>;

    /// Copies the bytes of `range`, the first and the last, of the object as a part of such an upload.
    fn copy_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        etag: &str,
        range: (u64, u64),
    ) -> StoreFuture<StoredPart>;

    /// Reads the properties of an object without its body.
    fn head(&self, key: &str) -> StoreFuture<ObjectHead>;

    /// Deletes an object. It is not an error when the object does not exist.
    fn delete(&self, key: &str) -> StoreFuture<()>;

    /// Deletes up to 1,000 objects in one request.
    fn delete_many(&self, keys: Vec<String>) -> StoreFuture<()>;

    /// Lists the keys that begin with `prefix`; `from` is the `next` of the previous page.
    fn list(&self, prefix: &str, from: Option<String>) -> StoreFuture<Page>;
}

/// The error for a key that does not belong into a list, as from a proxy that removes the query from requests.
pub(crate) fn unasked(key: &str, prefix: &str) -> Error {
    let message = format!(
        "the store listed {key:?}, which does not begin with {prefix:?}. Nothing in this list was touched. Check \
         `endpoint`, and proxies between this machine and the store"
    );
    Error::new(ErrorKind::Rejected, message)
}

//! A folder of the local file system as a store, for development and tests: the same objects without a server.
//!
//! The body of each object is a file of its own with exactly the bytes that a bucket would hold. A record beside it, in
//! JSON, has the key and the metadata and names the body, so that replacing the record replaces the object in one step.
//! Readers see the old object or the new one. Several processes may use one folder at once. Nothing is forced to the
//! disk (no fsync): after a crash of the operating system the last objects may be missing or truncated.

mod body;
mod layout;
mod objects;
mod record;
mod uploads;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

pub(super) use body::FileBody;
use objects::{Folder, NewVersion, Replaces};

use super::{
    Body, NewObject, Object, ObjectHead, ObjectStore, Page, Reading, Replacement, StoreFuture, Stored, StoredPart,
};
use crate::{Error, ErrorKind, Result};

/// Keys per page of a listing, as on S3.
const PAGE: usize = 1000;

/// Objects in a folder. Clones share it.
#[derive(Clone, Debug)]
pub struct FolderStore {
    folder: Arc<Folder>,
}

impl FolderStore {
    /// A store in the folder `root`, which is created when the first object is written.
    pub fn new(root: PathBuf) -> Self {
        Self { folder: Arc::new(Folder::new(root)) }
    }

    /// The keys and ids of multipart uploads under `prefix` that were neither completed nor aborted.
    ///
    /// # Errors
    /// `Io` or `Access` when the folder cannot be read.
    pub fn unfinished_uploads(&self, prefix: &str) -> StoreFuture<Vec<(String, String)>> {
        let prefix = prefix.to_owned();
        self.answer(move |folder| folder.unfinished_uploads(&prefix))
    }

    /// Writes an object in two steps, so that a write that is abandoned midway does not become visible later.
    fn write(&self, version: NewVersion, body: Bytes) -> StoreFuture<Stored> {
        let store = self.clone();
        Box::pin(async move {
            let folder = store.folder.clone();
            let written = blocking(move || folder.write_aside(&body)).await?;
            store.answer(move |folder| folder.commit(version, written)).await
        })
    }

    /// Runs work that waits for the file system on a thread that may block.
    fn answer<T: Send + 'static>(&self, work: impl FnOnce(&Folder) -> Result<T> + Send + 'static) -> StoreFuture<T> {
        let folder = self.folder.clone();
        Box::pin(async move { blocking(move || work(&folder)).await })
    }
}

impl ObjectStore for FolderStore {
    fn name(&self) -> Option<(String, String)> {
        Some(("folder".to_owned(), self.folder.root.to_string_lossy().into_owned()))
    }

    fn put(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        self.write(NewVersion::of(object), body)
    }

    fn put_if_absent(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        self.write(NewVersion { replaces: Replaces::Nothing, ..NewVersion::of(object) }, body)
    }

    fn replace(&self, object: NewObject, body: Bytes, etag: &str) -> StoreFuture<Stored> {
        self.write(NewVersion { replaces: Replaces::Version(etag.to_owned()), ..NewVersion::of(object) }, body)
    }

    fn create_multipart(&self, object: NewObject) -> StoreFuture<String> {
        self.answer(move |folder| folder.begin_upload(&NewVersion::of(object)))
    }

    fn put_part(&self, key: &str, upload_id: &str, number: i32, body: Bytes) -> StoreFuture<StoredPart> {
        let (key, id) = (key.to_owned(), upload_id.to_owned());
        self.answer(move |folder| folder.put_part(&key, &id, number, &body))
    }

    fn complete_multipart(&self, key: &str, upload_id: &str, parts: Vec<StoredPart>) -> StoreFuture<Stored> {
        let (key, id) = (key.to_owned(), upload_id.to_owned());
        self.answer(move |folder| folder.complete_upload(&key, &id, &parts))
    }

    fn abort_multipart(&self, key: &str, upload_id: &str) -> StoreFuture<()> {
        let (key, id) = (key.to_owned(), upload_id.to_owned());
        self.answer(move |folder| folder.abort_upload(&key, &id))
    }

    fn get(&self, key: &str, reading: Reading) -> StoreFuture<Object> {
        let key = key.to_owned();
        self.answer(move |folder| {
            let found = folder.open(&key)?;
            if reading.if_match.is_some_and(|etag| etag != found.record.etag) {
                return Err(changed(&key));
            }
            let (first, last) = reading.range.unwrap_or((0, u64::MAX));
            if reading.range.is_some() && first >= found.size {
                return Err(Error::new(ErrorKind::InvalidRange, "the range begins past the end").for_object(&key));
            }
            let end = last.saturating_add(1).min(found.size);
            let body = Body::from_file(FileBody::new(found.body, first, end));
            let (etag, metadata) = (found.record.etag, found.record.metadata);
            let head = ObjectHead { size: found.size, etag, metadata, immovable: None };
            Ok(Object { head, first, body })
        })
    }

    fn head(&self, key: &str) -> StoreFuture<ObjectHead> {
        let key = key.to_owned();
        self.answer(move |folder| {
            let found = folder.open(&key)?;
            let (etag, metadata) = (found.record.etag, found.record.metadata);
            Ok(ObjectHead { size: found.size, etag, metadata, immovable: None })
        })
    }

    fn replace_metadata(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<Stored> {
        let (key, etag) = (key.to_owned(), etag.to_owned());
        self.answer(move |folder| folder.replace_metadata(&key, &etag, replacement.metadata))
    }

    fn create_copy(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<String> {
        let (key, etag) = (key.to_owned(), etag.to_owned());
        self.answer(move |folder| folder.begin_copy(&key, &etag, replacement.metadata))
    }

    fn copy_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        etag: &str,
        range: (u64, u64),
    ) -> StoreFuture<StoredPart> {
        let (key, id, etag) = (key.to_owned(), upload_id.to_owned(), etag.to_owned());
        self.answer(move |folder| folder.copy_part(&key, &id, number, &etag, range))
    }

    fn delete(&self, key: &str) -> StoreFuture<()> {
        self.delete_many(vec![key.to_owned()])
    }

    fn delete_many(&self, keys: Vec<String>) -> StoreFuture<()> {
        self.answer(move |folder| folder.delete(&keys))
    }

    fn list(&self, prefix: &str, from: Option<String>) -> StoreFuture<Page> {
        let prefix = prefix.to_owned();
        self.answer(move |folder| {
            let mut keys = folder.keys(&prefix)?;
            keys.retain(|key| from.as_ref().is_none_or(|from| key > from));
            let truncated = keys.len() > PAGE;
            keys.truncate(PAGE);
            let next = keys.last().filter(|_| truncated).cloned();
            Ok(Page { keys, next, truncated })
        })
    }
}

/// Runs work that waits for the file system on a thread that may block. Work that has begun is not cancelled.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "the task that used a folder ended early").with_source(error))
    })
}

fn changed(key: &str) -> Error {
    Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(key)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;

//! A local file as a store of one object: the file is the body, and its metadata are elsewhere.
//!
//! With it, the code for objects also reads a file that was copied out of a bucket, and writes a file that will be put
//! into a bucket by other means.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use super::{
    Body, NewObject, Object, ObjectHead, ObjectStore, Page, Reading, Replacement, StoreFuture, Stored, StoredPart,
};
use crate::error::reason;
use crate::{Error, ErrorKind, Result};

/// The id of the only possible multipart upload.
const UPLOAD: &str = "file";

/// One object whose body is a file. Clones share it.
#[derive(Clone, Debug)]
pub struct FileStore {
    file: Arc<File>,
    metadata: HashMap<String, String>,
    /// The key and the body of the instruction file.
    instruction_file: Option<(String, Bytes)>,
    written: Arc<Mutex<Progress>>,
}

#[derive(Debug, Default)]
struct Progress {
    metadata: Vec<(String, String)>,
    parts: i32,
    bytes: u64,
}

impl FileStore {
    /// A file that holds an object's body, with the object's user metadata: names without the `x-amz-meta-` prefix.
    pub fn new(file: File, metadata: HashMap<String, String>) -> Self {
        Self { file: Arc::new(file), metadata, instruction_file: None, written: Arc::default() }
    }

    /// Adds an instruction file, under the key that it would have in a bucket.
    #[must_use]
    pub fn with_instruction_file(mut self, key: String, body: impl Into<Bytes>) -> Self {
        self.instruction_file = Some((key, body.into()));
        self
    }

    /// The user metadata of the object that was written into the file.
    pub fn written_metadata(&self) -> Vec<(String, String)> {
        self.progress(|written| written.metadata.clone())
    }

    fn progress<T>(&self, look: impl FnOnce(&mut Progress) -> T) -> T {
        look(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Appends bytes to those that were written before.
    fn append(&self, body: &[u8]) -> Result<()> {
        let position = self.progress(|written| written.bytes);
        self.file.write_all_at(body, position).map_err(|error| failed("written", error))?;
        self.progress(|written| written.bytes += body.len() as u64);
        Ok(())
    }

    fn object(&self, key: &str, range: Option<(u64, u64)>) -> Result<Object> {
        if let Some((_, body)) = self.instruction_file.as_ref().filter(|(name, _)| name == key) {
            let head = ObjectHead { size: body.len() as u64, ..ObjectHead::default() };
            return Ok(Object { head, first: 0, body: Body::from_chunks(vec![Ok(body.clone())]) });
        }
        let head = self.describe()?;
        let (first, last) = range.unwrap_or((0, u64::MAX));
        if range.is_some() && first >= head.size {
            return Err(Error::new(ErrorKind::InvalidRange, "the range begins past the end").for_object(key));
        }
        let length = last.saturating_add(1).min(head.size).saturating_sub(first);
        let length = usize::try_from(length)
            .map_err(|_| Error::new(ErrorKind::TooLarge, "the range does not fit into memory"))?;
        let mut bytes = BytesMut::zeroed(length);
        self.file.read_exact_at(&mut bytes, first).map_err(|error| failed("read", error))?;
        Ok(Object { head, first, body: Body::from_chunks(vec![Ok(bytes.freeze())]) })
    }

    /// A file has no versions, so there is no entity tag.
    fn describe(&self) -> Result<ObjectHead> {
        let size = self.file.metadata().map_err(|error| failed("read", error))?.len();
        Ok(ObjectHead { size, metadata: self.metadata.clone(), ..ObjectHead::default() })
    }

    /// Runs blocking work on a thread that may block.
    fn answer<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> StoreFuture<T> {
        let store = self.clone();
        Box::pin(async move {
            tokio::task::spawn_blocking(move || work(&store)).await.unwrap_or_else(|error| {
                Err(Error::new(ErrorKind::Internal, "the task that used a file ended early").with_source(error))
            })
        })
    }
}

impl ObjectStore for FileStore {
    fn put(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        self.answer(move |store| {
            store.append(&body)?;
            store.progress(|written| written.metadata = object.metadata);
            Ok(Stored::default())
        })
    }

    fn replace(&self, _object: NewObject, _body: Bytes, _etag: &str) -> StoreFuture<Stored> {
        self.answer(|_| Err(no_bucket()))
    }

    fn create_multipart(&self, object: NewObject) -> StoreFuture<String> {
        self.answer(move |store| {
            store.progress(|written| written.metadata = object.metadata);
            Ok(UPLOAD.to_owned())
        })
    }

    /// Parts must arrive in order, as they do when only one is sent at a time.
    fn put_part(&self, _key: &str, _upload_id: &str, number: i32, body: Bytes) -> StoreFuture<StoredPart> {
        self.answer(move |store| {
            if store.progress(|written| written.parts + 1) != number {
                return Err(Error::new(ErrorKind::Internal, "the parts of a file arrived out of order"));
            }
            store.append(&body)?;
            store.progress(|written| written.parts = number);
            Ok(StoredPart { number, size: body.len() as u64, etag: String::new(), crc32: None })
        })
    }

    fn complete_multipart(&self, _key: &str, _upload_id: &str, _parts: Vec<StoredPart>) -> StoreFuture<Stored> {
        self.answer(|_| Ok(Stored::default()))
    }

    fn abort_multipart(&self, _key: &str, _upload_id: &str) -> StoreFuture<()> {
        self.answer(|store| store.file.set_len(0).map_err(|error| failed("emptied", error)))
    }

    fn get(&self, key: &str, reading: Reading) -> StoreFuture<Object> {
        let key = key.to_owned();
        self.answer(move |store| store.object(&key, reading.range))
    }

    fn head(&self, _key: &str) -> StoreFuture<ObjectHead> {
        self.answer(Self::describe)
    }

    fn replace_metadata(&self, _key: &str, _etag: &str, _replacement: Replacement) -> StoreFuture<Stored> {
        self.answer(|_| Err(no_bucket()))
    }

    fn create_copy(&self, _key: &str, _etag: &str, _replacement: Replacement) -> StoreFuture<String> {
        self.answer(|_| Err(no_bucket()))
    }

    fn copy_part(
        &self,
        _key: &str,
        _upload_id: &str,
        _number: i32,
        _etag: &str,
        _range: (u64, u64),
    ) -> StoreFuture<StoredPart> {
        self.answer(|_| Err(no_bucket()))
    }

    fn delete(&self, _key: &str) -> StoreFuture<()> {
        self.answer(|_| Err(no_bucket()))
    }

    fn delete_many(&self, _keys: Vec<String>) -> StoreFuture<()> {
        self.answer(|_| Err(no_bucket()))
    }

    fn list(&self, _prefix: &str, _from: Option<String>) -> StoreFuture<Page> {
        self.answer(|_| Err(no_bucket()))
    }
}

fn failed(action: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the file could not be {action}: {}", reason(&error))).with_source(error)
}

fn no_bucket() -> Error {
    Error::new(ErrorKind::Rejected, "a file is not a bucket: it cannot be listed, deleted or replaced")
}

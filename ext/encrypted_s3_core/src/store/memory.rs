//! A store in memory with faults on demand, for the tests of the transfers.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::{
    Body, NewObject, Object, ObjectHead, ObjectStore, Page, Reading, Replacement, StoreFuture, Stored, StoredPart,
};
use crate::{Error, ErrorKind, Result};

/// Objects and unfinished multipart uploads in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Debug)]
struct Held {
    object: NewObject,
    etag: String,
    body: Bytes,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Held>,
    uploads: HashMap<String, (NewObject, BTreeMap<i32, Bytes>)>,
    faults: HashMap<&'static str, Vec<usize>>,
    /// Operations whose next answer is lost.
    lost: HashSet<&'static str>,
    calls: HashMap<&'static str, usize>,
    /// Bytes read from all bodies.
    bytes_read: u64,
    /// Whether lists omit the start of the next page.
    tokens_lost: bool,
    /// The size that `get` reports for objects, if not the real one.
    claimed: Option<u64>,
    /// Operations that wait until they are released.
    held_back: HashSet<&'static str>,
    /// The number of bytes after which each of the next bodies is cut off.
    cuts: VecDeque<usize>,
    /// Whether objects can only be stored without conditions.
    unconditional: bool,
    serial: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the `nth` call (from 1) of an operation, named like the trait's method, fail like a lost connection.
    pub fn fail(&self, operation: &'static str, nth: usize) {
        self.lock().faults.entry(operation).or_default().push(nth);
    }

    /// Carries out the next call of an operation and loses its answer.
    pub fn lose_answer(&self, operation: &'static str) {
        self.lock().lost.insert(operation);
    }

    /// Omits the start of the next page from lists.
    pub fn lose_tokens(&self) {
        self.lock().tokens_lost = true;
    }

    /// Makes the store refuse conditions when objects are stored.
    pub fn refuse_conditions(&self) {
        self.lock().unconditional = true;
    }

    /// Makes `get` report a wrong size of objects.
    pub fn claim_size(&self, size: u64) {
        self.lock().claimed = Some(size);
    }

    /// Makes calls of an operation wait until [`release`](Self::release). `later ranges` are the calls of `get` after
    /// the first one for an object.
    pub fn hold(&self, operation: &'static str) {
        self.lock().held_back.insert(operation);
    }

    /// Lets the waiting calls of an operation continue.
    pub fn release(&self, operation: &'static str) {
        self.lock().held_back.remove(operation);
    }

    /// Cuts off each of the next bodies after this number of bytes; `usize::MAX` does not cut it.
    pub fn cut(&self, after: impl IntoIterator<Item = usize>) {
        self.lock().cuts.extend(after);
    }

    /// The number of calls of an operation.
    pub fn calls(&self, operation: &'static str) -> usize {
        self.lock().calls.get(operation).copied().unwrap_or(0)
    }

    /// The bytes of bodies that were read.
    pub fn bytes_read(&self) -> u64 {
        self.lock().bytes_read
    }

    /// The stored object and its body.
    pub fn object(&self, key: &str) -> Option<(NewObject, Bytes)> {
        self.lock().objects.get(key).cloned().map(|held| (held.object, held.body))
    }

    /// Stores a body unchanged, for tests that tamper.
    pub fn replace(&self, object: NewObject, body: impl Into<Bytes>) {
        self.lock().insert(object.key.clone(), object, body.into());
    }

    /// Like [`replace`](Self::replace), but the object keeps its entity tag.
    pub fn replace_keeping_etag(&self, object: NewObject, body: impl Into<Bytes>) {
        let mut state = self.lock();
        let former = state.objects.get(&object.key).map(|held| held.etag.clone());
        let key = object.key.clone();
        state.insert(key.clone(), object, body.into());
        if let (Some(etag), Some(held)) = (former, state.objects.get_mut(&key)) {
            held.etag = etag;
        }
    }

    /// Removes an object, for tests that tamper.
    pub fn remove(&self, key: &str) {
        self.lock().objects.remove(key);
    }

    /// The number of multipart uploads that were neither completed nor aborted.
    pub fn unfinished(&self) -> usize {
        self.lock().uploads.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, waits while its operation is held back, and returns the number of the call.
    async fn pass(&self, operation: &'static str) -> usize {
        let call = {
            let mut state = self.lock();
            let calls = state.calls.entry(operation).or_default();
            *calls += 1;
            *calls
        };
        while self.lock().held_back.contains(operation) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        call
    }

    fn answer<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut State) -> Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let store = self.clone();
        Box::pin(async move {
            let call = store.pass(operation).await;
            let mut state = store.lock();
            let cut = || Error::new(ErrorKind::Transport, format!("{operation}: the connection was cut"));
            if state.faults.get(operation).is_some_and(|faults| faults.contains(&call)) {
                return Err(cut());
            }
            let answer = work(&mut state)?;
            if state.lost.remove(operation) { Err(cut()) } else { Ok(answer) }
        })
    }
}

impl State {
    fn etag(&mut self) -> String {
        self.serial += 1;
        format!("\"{:032x}\"", self.serial)
    }

    fn object(&self, key: &str) -> Result<(ObjectHead, Bytes)> {
        let held = self
            .objects
            .get(key)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such object").for_object(key))?;
        let metadata = held.object.metadata.iter().cloned().collect();
        let head = ObjectHead { size: held.body.len() as u64, etag: held.etag.clone(), metadata, immovable: None };
        Ok((head, held.body.clone()))
    }

    /// The object to copy, if it is the requested version.
    fn copied(&self, key: &str, etag: &str) -> Result<Held> {
        let missing = || Error::new(ErrorKind::NotFound, "there is no such object").for_object(key);
        let held = self.objects.get(key).cloned().ok_or_else(missing)?;
        if held.etag == etag {
            return Ok(held);
        }
        Err(Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(key))
    }

    fn insert(&mut self, key: String, object: NewObject, body: Bytes) -> Stored {
        let etag = self.etag();
        self.objects.insert(key, Held { object, etag: etag.clone(), body });
        Stored { etag }
    }

    /// Uneven pieces, as from a network, up to the point where the connection breaks.
    fn deliver(&mut self, body: &[u8]) -> Body {
        let whole = body.len();
        let cut = self.cuts.pop_front().unwrap_or(usize::MAX);
        let body = body.get(..cut).unwrap_or(body);
        let mut pieces: Vec<_> = body.chunks(10_007).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        if body.len() < whole {
            pieces.push(Err(Error::new(ErrorKind::Transport, "the connection was cut in the middle of the body")));
        }
        Body::from_chunks(pieces)
    }

    fn upload(&mut self, id: &str) -> Result<&mut (NewObject, BTreeMap<i32, Bytes>)> {
        self.uploads.get_mut(id).ok_or_else(|| Error::new(ErrorKind::UploadNotFound, "there is no such upload"))
    }
}

impl ObjectStore for MemoryStore {
    fn name(&self) -> Option<(String, String)> {
        Some((format!("memory {:p}", Arc::as_ptr(&self.state)), String::new()))
    }

    fn put(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        self.answer("put", move |state| Ok(state.insert(object.key.clone(), object, body)))
    }

    fn put_if_absent(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        self.answer("put_if_absent", move |state| match state.objects.contains_key(&object.key) {
            _ if state.unconditional => Err(Error::new(ErrorKind::Unsupported, "conditions are not supported")),
            true => Err(Error::new(ErrorKind::Changed, "there is an object already").for_object(&object.key)),
            false => Ok(state.insert(object.key.clone(), object, body)),
        })
    }

    fn replace(&self, object: NewObject, body: Bytes, etag: &str) -> StoreFuture<Stored> {
        let etag = etag.to_owned();
        self.answer("replace", move |state| {
            state.copied(&object.key, &etag)?;
            Ok(state.insert(object.key.clone(), object, body))
        })
    }

    fn create_multipart(&self, object: NewObject) -> StoreFuture<String> {
        self.answer("create_multipart", move |state| {
            let id = state.etag();
            state.uploads.insert(id.clone(), (object, BTreeMap::new()));
            Ok(id)
        })
    }

    fn put_part(&self, _key: &str, upload_id: &str, number: i32, body: Bytes) -> StoreFuture<StoredPart> {
        let id = upload_id.to_owned();
        self.answer("put_part", move |state| {
            let (etag, size) = (state.etag(), body.len() as u64);
            state.upload(&id)?.1.insert(number, body);
            Ok(StoredPart { number, size, etag, crc32: None })
        })
    }

    fn complete_multipart(&self, key: &str, upload_id: &str, parts: Vec<StoredPart>) -> StoreFuture<Stored> {
        let (id, key) = (upload_id.to_owned(), key.to_owned());
        self.answer("complete_multipart", move |state| {
            let (object, mut bodies) = state.upload(&id)?.clone();
            let mut body = Vec::new();
            for part in parts {
                let bytes = bodies
                    .remove(&part.number)
                    .ok_or_else(|| Error::new(ErrorKind::Rejected, "a part is missing").for_object(&key))?;
                body.extend_from_slice(&bytes);
            }
            state.uploads.remove(&id);
            Ok(state.insert(key, object, body.into()))
        })
    }

    fn abort_multipart(&self, _key: &str, upload_id: &str) -> StoreFuture<()> {
        let id = upload_id.to_owned();
        self.answer("abort_multipart", move |state| {
            state.uploads.remove(&id);
            Ok(())
        })
    }

    fn get(&self, key: &str, reading: Reading) -> StoreFuture<Object> {
        let key = key.to_owned();
        let (store, later) = (self.clone(), reading.if_match.is_some());
        let answer = self.answer("get", move |state| {
            let (head, body) = state.object(&key)?;
            if reading.if_match.is_some_and(|etag| etag != head.etag) {
                return Err(Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(&key));
            }
            let (first, last) = reading.range.unwrap_or((0, u64::MAX));
            if reading.range.is_some() && first >= head.size {
                return Err(Error::new(ErrorKind::InvalidRange, "the range begins past the end").for_object(&key));
            }
            let last = last.min(head.size.saturating_sub(1));
            let body = body.get(first as usize..(last as usize + 1).min(body.len())).unwrap_or_default();
            state.bytes_read += body.len() as u64;
            let head = ObjectHead { size: state.claimed.unwrap_or(head.size), ..head };
            Ok(Object { head, first, body: state.deliver(body) })
        });
        Box::pin(async move {
            if later {
                store.pass("later ranges").await;
            }
            answer.await
        })
    }

    fn replace_metadata(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<Stored> {
        let (key, etag) = (key.to_owned(), etag.to_owned());
        self.answer("replace_metadata", move |state| {
            let held = state.copied(&key, &etag)?;
            let object = NewObject { metadata: replacement.metadata, ..held.object };
            Ok(state.insert(key, object, held.body))
        })
    }

    fn create_copy(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<String> {
        let (key, etag) = (key.to_owned(), etag.to_owned());
        self.answer("create_copy", move |state| {
            let held = state.copied(&key, &etag)?;
            let id = state.etag();
            let object = NewObject { metadata: replacement.metadata, ..held.object };
            state.uploads.insert(id.clone(), (object, BTreeMap::new()));
            Ok(id)
        })
    }

    fn copy_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        etag: &str,
        range: (u64, u64),
    ) -> StoreFuture<StoredPart> {
        let (key, etag, id) = (key.to_owned(), etag.to_owned(), upload_id.to_owned());
        self.answer("copy_part", move |state| {
            let held = state.copied(&key, &etag)?;
            let body = held.body.slice(range.0 as usize..=range.1 as usize);
            let (etag, size) = (state.etag(), body.len() as u64);
            state.upload(&id)?.1.insert(number, body);
            Ok(StoredPart { number, size, etag, crc32: None })
        })
    }

    fn head(&self, key: &str) -> StoreFuture<ObjectHead> {
        let key = key.to_owned();
        self.answer("head", move |state| Ok(state.object(&key)?.0))
    }

    fn delete(&self, key: &str) -> StoreFuture<()> {
        let key = key.to_owned();
        self.answer("delete", move |state| {
            state.objects.remove(&key);
            Ok(())
        })
    }

    fn delete_many(&self, keys: Vec<String>) -> StoreFuture<()> {
        self.answer("delete_many", move |state| {
            state.objects.retain(|key, _| !keys.contains(key));
            Ok(())
        })
    }

    fn list(&self, prefix: &str, from: Option<String>) -> StoreFuture<Page> {
        let prefix = prefix.to_owned();
        self.answer("list", move |state| {
            let after = from.unwrap_or_default();
            let mut keys: Vec<String> =
                state.objects.keys().filter(|key| key.starts_with(&prefix) && **key > after).take(3).cloned().collect();
            let next = if keys.len() > 2 { keys.get(1).cloned() } else { None };
            keys.truncate(2);
            let truncated = next.is_some();
            Ok(Page { keys, next: next.filter(|_| !state.tokens_lost), truncated })
        })
    }
}

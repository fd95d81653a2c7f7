//! The segment map that an upload stores as `<key>.segments`: storing, using, replacing and deleting it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::rotate::{RotateOptions, Rotation, rotate};
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::segments::{Layout, MAX_SIDECAR_LEN, Map, SegmentReader};
use encrypted_s3_core::store::{MemoryStore, NewObject, ObjectSettings, ObjectStore};
use encrypted_s3_core::upload::{Index, PartPlan, Upload, UploadOptions};
use encrypted_s3_core::{ErrorKind, deletion, sidecar};

use crate::support::Now as _;

mod indexing;

const MIB: usize = 1024 * 1024;
const PLAN: PartPlan = PartPlan { multipart_threshold: 12 * MIB, part_size: 5 * MIB, concurrency: 2 };
const LIMIT: usize = MIB;
const KEY: &str = "a key";
const SIDECAR: &str = "a key.segments";

fn keyring(writing: u8) -> Envelopes {
    let keys = [writing, 7]
        .map(|byte| Key { id: Some(byte.to_string()), key: WrappingKey::from_bytes(&[byte; 32]).unwrap().into() });
    let many = if writing == 7 { 1 } else { 2 };
    Keyring::new(keys.into_iter().take(many).collect()).unwrap().into()
}

fn plaintext(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8) ^ (i >> 17)) as u8).collect()
}

fn options() -> UploadOptions {
    let settings = ObjectSettings { storage_class: Some("STANDARD_IA".into()), ..Default::default() };
    UploadOptions { index_above: Some(LIMIT as u64), settings, ..Default::default() }
}

fn begin(memory: &MemoryStore, key: &str) -> Upload {
    Upload::begin(Arc::new(memory.clone()), &keyring(7), PLAN, key, options()).now().unwrap()
}

async fn store(memory: &MemoryStore, key: &str, bytes: &[u8]) -> Index {
    let mut upload = begin(memory, key);
    for piece in bytes.chunks(700_001) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap().index
}

fn put(memory: &MemoryStore, key: &str, body: impl Into<Bytes>) {
    memory.replace(NewObject { key: key.into(), ..Default::default() }, body);
}

fn body(memory: &MemoryStore, key: &str) -> Bytes {
    memory.object(key).unwrap().1
}

/// Reads the whole object with its stored map; `None` if that is not the object's map.
fn read_by_map(memory: &MemoryStore, envelopes: &Envelopes) -> Option<Vec<u8>> {
    let (object, body) = memory.object(KEY)?;
    let metadata: Vec<_> = object.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let key = envelopes.open(KEY, metadata, None).now().unwrap().content_key;
    let length = body.len() as u64 - 16;
    let map = Arc::new(Map::read(&memory.object(SIDECAR)?.1, &key, length).ok()?);
    let mut reader: SegmentReader = map.reader(&key, length).unwrap();
    let mut text = body[..length as usize].to_vec();
    for (number, segment) in text.chunks_mut(64 * 1024).enumerate() {
        reader.open(number as u64, segment).ok()?;
    }
    Some(text)
}

#[tokio::test]
async fn a_large_object_is_read_with_its_stored_map() {
    for size in [LIMIT + 1, 12 * MIB - 16, 12 * MIB + 1, 20 * MIB + 3] {
        let memory = MemoryStore::new();
        assert!(matches!(store(&memory, KEY, &plaintext(size)).await, Index::Stored), "{size}");
        assert!(read_by_map(&memory, &keyring(7)).unwrap() == plaintext(size), "{size}");
        let (object, sidecar) = memory.object(SIDECAR).unwrap();
        assert_eq!(Some(sidecar.len() as u64), Layout::of(size as u64).sidecar_len());
        assert!(sidecar.len() as u64 <= MAX_SIDECAR_LEN);
        assert_eq!(object.settings.storage_class.as_deref(), Some("STANDARD_IA"), "as its object");
    }
}

#[tokio::test]
async fn a_small_object_has_no_map_and_takes_no_further_request() {
    let memory = MemoryStore::new();
    assert!(matches!(store(&memory, KEY, &plaintext(LIMIT)).await, Index::None));
    assert!(memory.object(SIDECAR).is_none());
    assert_eq!(["put", "put_if_absent", "get", "head"].map(|call| memory.calls(call)), [1, 0, 0, 0]);
}

#[tokio::test]
async fn an_upload_without_segment_index_stores_no_map() {
    let memory = MemoryStore::new();
    let options = UploadOptions { index_above: None, ..options() };
    let mut upload = Upload::begin(Arc::new(memory.clone()), &keyring(7), PLAN, KEY, options).now().unwrap();
    upload.write(&plaintext(2 * LIMIT)).await.unwrap();
    assert!(matches!(upload.finish().await.unwrap().index, Index::None));
    assert!(memory.object(SIDECAR).is_none());
}

/// A file that grows while it is uploaded, such as a log.
#[tokio::test]
async fn an_object_that_grows_beyond_its_expected_size_is_stored_without_a_map() {
    let memory = MemoryStore::new();
    for (expected_size, has_map) in [(Some(LIMIT as u64), false), (Some(LIMIT as u64 + 1), true), (None, true)] {
        let options = UploadOptions { expected_size, ..options() };
        let mut upload = Upload::begin(Arc::new(memory.clone()), &keyring(7), PLAN, KEY, options).await.unwrap();
        upload.write(&plaintext(2 * LIMIT)).await.unwrap();
        let index = upload.finish().await.unwrap().index;
        assert_eq!(matches!(index, Index::Stored), has_map, "expected {expected_size:?}: {index:?}");
        assert_eq!(body(&memory, KEY).len(), 2 * LIMIT + 16);
        memory.delete(SIDECAR).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_succeeds_when_its_map_cannot_be_stored() {
    let memory = MemoryStore::new();
    memory.fail("put_if_absent", 1);
    let index = store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    assert!(matches!(index, Index::Failed(error) if error.kind() == ErrorKind::Transport));
    assert_eq!(body(&memory, KEY).len(), 2 * LIMIT + 16);
}

#[tokio::test]
async fn a_failed_upload_stores_no_map() {
    let memory = MemoryStore::new();
    memory.fail("complete_multipart", 1);
    let mut upload = begin(&memory, KEY);
    upload.write(&plaintext(13 * MIB)).await.unwrap();
    upload.finish().await.unwrap_err();
    assert!(memory.object(SIDECAR).is_none());
    assert_eq!(memory.calls("put_if_absent"), 0);
}

#[tokio::test]
async fn aborting_while_the_map_is_stored_returns_the_stored_object() {
    let memory = MemoryStore::new();
    memory.hold("put_if_absent");
    let mut upload = begin(&memory, KEY);
    upload.write(&plaintext(2 * LIMIT)).await.unwrap();
    tokio::time::timeout(Duration::from_millis(300), upload.finish()).await.unwrap_err();
    assert_eq!(memory.calls("put_if_absent"), 1);
    let stored = upload.abort().await.expect("the object is visible");
    assert!(!stored.etag.is_empty());
    assert!(memory.object(KEY).is_some());
}

#[tokio::test]
async fn a_map_replaces_only_an_older_map() {
    for (there, is_replaced) in [
        (&b"ES3SEGMT\x01 an older map"[..], true),
        (b"ES3SEGMT\x02 a map of a later version", false),
        (b"ES3SEGM", false),
        (b"a file of the application", false),
        (b"", false),
    ] {
        for conditions in [true, false] {
            let memory = MemoryStore::new();
            if !conditions {
                memory.refuse_conditions();
            }
            put(&memory, SIDECAR, there);
            let index = store(&memory, KEY, &plaintext(2 * LIMIT)).await;
            if is_replaced {
                assert!(matches!(index, Index::Stored), "{index:?}");
                assert!(read_by_map(&memory, &keyring(7)).is_some());
            } else {
                assert!(matches!(index, Index::Failed(error) if error.kind() == ErrorKind::Rejected));
                assert_eq!(body(&memory, SIDECAR), there);
            }
        }
    }
}

#[tokio::test]
async fn maps_are_stored_without_support_for_conditional_requests() {
    let memory = MemoryStore::new();
    memory.refuse_conditions();
    assert!(matches!(store(&memory, KEY, &plaintext(2 * LIMIT)).await, Index::Stored));
    assert!(read_by_map(&memory, &keyring(7)).is_some());
}

#[tokio::test]
async fn a_replaced_object_gets_the_map_of_the_new_one() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    store(&memory, KEY, &plaintext(3 * LIMIT)).await;
    assert_eq!(read_by_map(&memory, &keyring(7)), Some(plaintext(3 * LIMIT)));
}

#[tokio::test]
async fn the_map_of_a_replaced_object_is_not_used_for_a_small_object() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    store(&memory, KEY, &plaintext(100)).await;
    assert_eq!(read_by_map(&memory, &keyring(7)), None);
}

#[tokio::test]
async fn objects_cannot_have_the_key_of_a_map() {
    let memory = MemoryStore::new();
    let begun = Upload::begin(Arc::new(memory.clone()), &keyring(7), PLAN, SIDECAR, UploadOptions::default()).now();
    let error = begun.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains(SIDECAR), "{error}");
    // Like the key of a map, but of no object.
    Upload::begin(Arc::new(memory), &keyring(7), PLAN, ".segments", UploadOptions::default()).now().unwrap();
}

#[tokio::test]
async fn an_object_whose_key_is_too_long_for_a_map_is_stored_and_deleted() {
    let memory = MemoryStore::new();
    let key = "k".repeat(1020);
    assert!(matches!(store(&memory, &key, &plaintext(2 * LIMIT)).await, Index::None));
    assert_eq!(memory.calls("put_if_absent"), 0);
    deletion::delete(Arc::new(memory.clone()), &keyring(7), &key).await.unwrap();
    assert!(memory.object(&key).is_none());
    assert_eq!(memory.calls("delete"), 1);
}

#[tokio::test]
async fn an_object_and_its_map_are_deleted_together() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    put(&memory, "a key.segments.x", "");
    memory.hold("delete");
    let deleting = tokio::spawn(deletion::delete(Arc::new(memory.clone()), &KEYRING_7, KEY));
    while memory.calls("delete") < 2 {
        tokio::task::yield_now().await;
    }
    memory.release("delete");
    deleting.await.unwrap().unwrap();
    assert!(memory.object(KEY).is_none() && memory.object(SIDECAR).is_none());
    assert!(memory.object("a key.segments.x").is_some());
}

static KEYRING_7: std::sync::LazyLock<Envelopes> = std::sync::LazyLock::new(|| keyring(7));

#[tokio::test]
async fn a_partly_failed_deletion_is_an_error() {
    for nth in [1, 2] {
        let memory = MemoryStore::new();
        memory.fail("delete", nth);
        let error = deletion::delete(Arc::new(memory.clone()), &keyring(7), KEY).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transport);
        assert_eq!(memory.calls("delete"), 2);
    }
}

#[tokio::test]
async fn an_instruction_file_is_deleted_with_its_object() {
    let memory = MemoryStore::new();
    let envelopes = Envelopes { instruction_file_suffix: Some(".instruction".into()), ..keyring(7) };
    for key in [KEY, SIDECAR, "a key.instruction"] {
        put(&memory, key, "");
    }
    deletion::delete(Arc::new(memory.clone()), &envelopes, KEY).await.unwrap();
    for key in [KEY, SIDECAR, "a key.instruction"] {
        assert!(memory.object(key).is_none(), "{key}");
    }
}

#[tokio::test]
async fn a_map_stays_valid_when_the_wrapping_key_is_rotated() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    let options = RotateOptions { largest_copy: u64::MAX, verify: true, ..RotateOptions::default() };
    let rotated = rotate(Arc::new(memory.clone()), &keyring(8), KEY, &options).await.unwrap();
    assert!(matches!(rotated.outcome, Rotation::Rotated(_)));
    let sidecar = body(&memory, SIDECAR);
    assert_eq!(read_by_map(&memory, &keyring(8)), Some(plaintext(2 * LIMIT)));
    assert_eq!(body(&memory, SIDECAR), sidecar);
}

#[tokio::test]
async fn a_map_is_recognized_by_its_first_bytes() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    put(&memory, "other.segments", "a file");
    put(&memory, "empty.segments", "");
    for (key, is_map) in [(SIDECAR, true), ("other.segments", false), ("empty.segments", false), ("none", false)] {
        assert_eq!(sidecar::is_at(Arc::new(memory.clone()), key).await.unwrap(), is_map, "{key}");
    }
}

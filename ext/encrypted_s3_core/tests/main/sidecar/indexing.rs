//! Storing maps for objects that have none.

use encrypted_s3_core::Result;
use encrypted_s3_core::download::{IndexOptions, Indexed, RangePlan, index};

use super::*;

const RANGES: RangePlan = RangePlan { size: 300_000, concurrency: 3 };

async fn run(memory: &MemoryStore, dry_run: bool) -> Result<Indexed> {
    let settings = ObjectSettings { storage_class: Some("STANDARD_IA".into()), ..Default::default() };
    let options = IndexOptions { above: LIMIT as u64, settings, dry_run };
    index(Arc::new(memory.clone()), &keyring(7), RANGES, KEY, &options).await
}

/// An object without a map, as other clients store it.
async fn bare(size: usize) -> MemoryStore {
    let memory = MemoryStore::new();
    let options = UploadOptions { index_above: None, ..options() };
    let mut upload = Upload::begin(Arc::new(memory.clone()), &keyring(7), PLAN, KEY, options).await.unwrap();
    upload.write(&plaintext(size)).await.unwrap();
    upload.finish().await.unwrap();
    memory
}

#[tokio::test]
async fn indexing_stores_the_map_that_an_upload_would_store() {
    for size in [LIMIT + 1, 3 * LIMIT, 13 * MIB + 7] {
        let memory = bare(size).await;
        assert_eq!(run(&memory, false).await.unwrap(), Indexed::Stored);
        assert!(read_by_map(&memory, &keyring(7)).unwrap() == plaintext(size));
        assert_eq!(memory.object(SIDECAR).unwrap().0.settings.storage_class.as_deref(), Some("STANDARD_IA"));
    }
}

#[tokio::test]
async fn an_object_with_a_map_is_not_read() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    let stored = body(&memory, SIDECAR);
    assert_eq!(run(&memory, false).await.unwrap(), Indexed::Present);
    assert_eq!((memory.calls("head"), memory.calls("get")), (1, 1), "the object's head, the map's header");
    assert_eq!(body(&memory, SIDECAR), stored);
}

#[tokio::test]
async fn a_small_object_takes_one_request() {
    let memory = bare(LIMIT).await;
    assert_eq!(run(&memory, false).await.unwrap(), Indexed::Small);
    assert_eq!((memory.calls("head"), memory.calls("get"), memory.calls("put_if_absent")), (1, 0, 0));
}

#[tokio::test]
async fn a_dry_run_reads_and_stores_nothing() {
    let memory = bare(2 * LIMIT).await;
    assert_eq!(run(&memory, true).await.unwrap(), Indexed::Lacking);
    assert!(memory.object(SIDECAR).is_none());
    assert_eq!(memory.calls("get"), 1, "for the map that is not there");
}

#[tokio::test]
async fn a_changed_object_gets_no_map() {
    for offset in [0, LIMIT, 2 * LIMIT - 1, 2 * LIMIT, 2 * LIMIT + 15] {
        let memory = bare(2 * LIMIT).await;
        let (object, body) = memory.object(KEY).unwrap();
        let mut changed = body.to_vec();
        changed[offset] ^= 1;
        memory.replace(object, changed);
        assert_eq!(run(&memory, false).await.unwrap_err().kind(), ErrorKind::Auth);
        assert!(memory.object(SIDECAR).is_none());
    }
}

#[tokio::test]
async fn a_map_that_is_truncated_or_of_another_object_is_replaced() {
    let other = MemoryStore::new();
    store(&other, KEY, &plaintext(2 * LIMIT)).await;
    let foreign = body(&other, SIDECAR);
    for wrong in [foreign.clone(), foreign.slice(..40), foreign.slice(..96)] {
        let memory = bare(2 * LIMIT).await;
        put(&memory, SIDECAR, wrong);
        assert_eq!(run(&memory, false).await.unwrap(), Indexed::Stored);
        assert!(read_by_map(&memory, &keyring(7)).is_some());
    }
}

#[tokio::test]
async fn a_map_that_lost_its_last_tags_is_replaced() {
    let memory = MemoryStore::new();
    store(&memory, KEY, &plaintext(2 * LIMIT)).await;
    let whole = body(&memory, SIDECAR);
    put(&memory, SIDECAR, whole.slice(..whole.len() - 16));
    assert_eq!(run(&memory, false).await.unwrap(), Indexed::Stored);
    assert_eq!(body(&memory, SIDECAR), whole);
}

#[tokio::test]
async fn files_of_the_application_and_maps_of_later_versions_are_not_replaced() {
    let memory = bare(2 * LIMIT).await;
    for there in ["a file", ""] {
        put(&memory, SIDECAR, there);
        assert_eq!(run(&memory, false).await.unwrap_err().kind(), ErrorKind::Rejected);
        assert_eq!(body(&memory, SIDECAR), there);
    }
    let later = [b"ES3SEGMT\x02".as_slice(), &[0; 200]].concat();
    put(&memory, SIDECAR, later.clone());
    assert_eq!(run(&memory, false).await.unwrap(), Indexed::Present);
    assert_eq!(body(&memory, SIDECAR), later);
}

#[tokio::test]
async fn an_object_replaced_during_indexing_gets_the_map_of_the_new_one() {
    let (memory, new) = (bare(3 * LIMIT).await, bare(2 * LIMIT + 5).await);
    memory.hold("later ranges");
    let reading = memory.clone();
    let indexing = tokio::spawn(async move { run(&reading, false).await });
    while memory.calls("later ranges") == 0 {
        tokio::task::yield_now().await;
    }
    let (object, body) = new.object(KEY).unwrap();
    memory.replace(object, body);
    memory.release("later ranges");
    assert_eq!(indexing.await.unwrap().unwrap(), Indexed::Stored);
    assert!(read_by_map(&memory, &keyring(7)).unwrap() == plaintext(2 * LIMIT + 5));
}

#[tokio::test]
async fn a_missing_or_unencrypted_object_is_an_error() {
    let memory = MemoryStore::new();
    assert_eq!(run(&memory, false).await.unwrap_err().kind(), ErrorKind::NotFound);
    put(&memory, KEY, vec![0; 2 * LIMIT]);
    assert_eq!(run(&memory, false).await.unwrap_err().kind(), ErrorKind::MissingEnvelope);
    assert!(memory.object(SIDECAR).is_none());
}

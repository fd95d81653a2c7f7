//! An uploaded object decrypts to the written bytes, and a failed upload stores nothing.

use std::sync::Arc;

use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::checksum::{Algorithm, Checksum};
use encrypted_s3_core::download::{Download, DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::store::MemoryStore;
use encrypted_s3_core::upload::{OWN_PARTS, PartPlan, SHARED_PARTS, Upload, UploadOptions};

use crate::support::Now as _;

mod parts;

const MIB: usize = 1024 * 1024;
const PLAN: PartPlan = PartPlan { multipart_threshold: 12 * MIB, part_size: 5 * MIB, concurrency: 2 };

fn keyring() -> Envelopes {
    let key = WrappingKey::from_bytes(&[7; 32]).unwrap().into();
    Keyring::new(vec![Key { id: Some("k".into()), key }]).unwrap().into()
}

/// Bytes without repetition, so that a lost, duplicated or moved part is detected.
fn plaintext(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8) ^ (i >> 17)) as u8).collect()
}

fn begin(store: &MemoryStore, options: UploadOptions) -> Upload {
    Upload::begin(Arc::new(store.clone()), &keyring(), PLAN, "a key", options).now().unwrap()
}

fn checksum(algorithm: Algorithm, base64: &str) -> Option<Checksum> {
    Some(Checksum { algorithm, base64: base64.to_owned() })
}

async fn store(store: &MemoryStore, bytes: &[u8], piece: usize) {
    store_expecting(store, bytes, piece, None).await;
}

async fn store_expecting(store: &MemoryStore, bytes: &[u8], piece: usize, expected_size: Option<u64>) {
    let mut upload = begin(store, UploadOptions { expected_size, ..Default::default() });
    for piece in bytes.chunks(piece) {
        upload.write(piece).await.unwrap();
    }
    upload.finish().await.unwrap();
    assert_eq!(upload.bytes_written(), bytes.len() as u64);
}

async fn read(store: &MemoryStore) -> Vec<u8> {
    let ranges = RangePlan { size: 1 << 23, concurrency: 2 };
    let plan = DownloadPlan { ranges, memory_limit: 1 << 26, segment_index: true, maps: None, map_settings: None };
    let mut download = Download::open(Arc::new(store.clone()), &keyring(), &plan, "a key").await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next().await.unwrap() {
        bytes.extend_from_slice(chunk);
    }
    bytes
}

#[tokio::test]
async fn sizes_around_the_threshold_and_the_part_size_round_trip() {
    for size in [0, 1, 15, 16, 17, 12 * MIB - 1, 12 * MIB, 12 * MIB + 1, 15 * MIB - 16, 15 * MIB, 20 * MIB + 3] {
        // The expected size may be wrong.
        for expected in [None, Some(size as u64), Some(0), Some(18 * MIB as u64)] {
            let memory = MemoryStore::new();
            store_expecting(&memory, &plaintext(size), 700_001, expected).await;
            let (_, body) = memory.object("a key").unwrap();
            assert_eq!(body.len(), size + 16, "the ciphertext is as long as the plaintext and a tag");
            assert_eq!(read(&memory).await, plaintext(size), "{size} bytes, expected {expected:?}");
            assert_eq!(memory.unfinished(), 0);
        }
    }
}

#[tokio::test]
async fn an_object_below_the_threshold_is_sent_in_one_request() {
    let memory = MemoryStore::new();
    store(&memory, &plaintext(12 * MIB - 1), MIB).await;
    assert_eq!((memory.calls("put"), memory.calls("create_multipart")), (1, 0));
}

#[tokio::test]
async fn a_large_object_is_sent_in_parts_for_pieces_of_any_length() {
    // For an object of unknown size, 10,000 parts must hold 64 GiB.
    for (expected, parts) in [(Some(21 * MIB as u64), 5), (None, 4)] {
        for piece in [MIB, 21 * MIB] {
            let memory = MemoryStore::new();
            store_expecting(&memory, &plaintext(21 * MIB), piece, expected).await;
            assert_eq!((memory.calls("put"), memory.calls("put_part")), (0, parts));
            assert_eq!(read(&memory).await, plaintext(21 * MIB));
        }
    }
}

#[tokio::test]
async fn the_first_part_of_an_object_of_known_size_is_sent_as_soon_as_it_is_full() {
    for (expected_size, sent) in [(Some(21 * MIB as u64), true), (None, false)] {
        let memory = MemoryStore::new();
        let mut upload = begin(&memory, UploadOptions { expected_size, ..Default::default() });
        upload.write(&plaintext(6 * MIB)).await.unwrap();
        let arrived = async {
            while memory.calls("put_part") == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let arrived = tokio::time::timeout(std::time::Duration::from_millis(300), arrived).await;
        assert_eq!(arrived.is_ok(), sent, "expected {expected_size:?}");
        upload.abort().await;
    }
}

#[tokio::test]
async fn a_file_is_read_from_the_offset_to_its_end() {
    let memory = MemoryStore::new();
    let path = std::env::temp_dir().join(format!("encrypted_s3_core-upload-{}", std::process::id()));
    std::fs::write(&path, plaintext(14 * MIB)).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();

    let mut upload = begin(&memory, UploadOptions::default());
    let mut offset = 1_000;
    loop {
        let taken = upload.write_file(&file, offset, 3 * MIB as u64).await.unwrap();
        if taken == 0 {
            break;
        }
        offset += taken;
    }
    upload.finish().await.unwrap();
    assert_eq!(read(&memory).await, plaintext(14 * MIB).split_off(1_000));
}

#[tokio::test]
async fn a_wrong_checksum_stores_nothing_and_keeps_the_older_object() {
    for size in [10, 13 * MIB] {
        let memory = MemoryStore::new();
        store(&memory, b"the former", MIB).await;
        // The digests of the empty message.
        let checksums = [
            checksum(Algorithm::Md5, "1B2M2Y8AsgTpgAmY7PhCfg=="),
            checksum(Algorithm::Sha256, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ];
        for checksum in checksums {
            let mut upload = begin(&memory, UploadOptions { checksum, ..Default::default() });
            upload.write(&plaintext(size)).await.unwrap();
            assert_eq!(upload.finish().await.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
            assert_eq!(memory.unfinished(), 0);
            assert_eq!(read(&memory).await, b"the former");
        }
    }
}

#[tokio::test]
async fn the_right_checksum_is_accepted() {
    // Of "abc": RFC 1321 appendix A.5, and FIPS 180-4's examples, as base64.
    let checksums = [
        checksum(Algorithm::Md5, "kAFQmDzST7DWlj99KOF/cg=="),
        checksum(Algorithm::Sha256, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="),
        checksum(
            Algorithm::Sha512,
            "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==",
        ),
    ];
    for checksum in checksums {
        let memory = MemoryStore::new();
        let mut upload = begin(&memory, UploadOptions { checksum, ..Default::default() });
        upload.write(b"ab").await.unwrap();
        upload.write(b"c").await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(read(&memory).await, b"abc");
    }
}

#[tokio::test]
async fn an_invalid_checksum_is_refused_before_any_request() {
    let md5 = "kAFQmDzST7DWlj99KOF/cg==";
    let wrong = [(Algorithm::Sha256, md5), (Algorithm::Md5, "not base64"), (Algorithm::Md5, "")];
    for (algorithm, base64) in wrong {
        let store = Arc::new(MemoryStore::new());
        let checksum = checksum(algorithm, base64);
        let options = UploadOptions { checksum, ..Default::default() };
        let begun = Upload::begin(store, &keyring(), PLAN, "a key", options).now();
        assert_eq!(begun.unwrap_err().kind(), ErrorKind::ChecksumMismatch);
    }
}

#[tokio::test]
async fn a_failure_of_any_request_leaves_nothing_behind() {
    let faults =
        [("create_multipart", 1), ("put_part", 1), ("put_part", 2), ("put_part", 4), ("complete_multipart", 1)];
    for (operation, nth) in faults {
        let memory = MemoryStore::new();
        memory.fail(operation, nth);
        let mut upload = begin(&memory, UploadOptions::default());
        let mut result = upload.write(&plaintext(21 * MIB)).await;
        if result.is_ok() {
            result = upload.finish().await.map(drop);
        }
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Transport, "{operation} {nth}");
        upload.abort().await;
        assert_eq!(memory.unfinished(), 0, "{operation} {nth}");
        assert!(memory.object("a key").is_none(), "{operation} {nth}");
    }
}

#[tokio::test]
async fn an_upload_whose_last_response_was_lost_succeeds() {
    let memory = MemoryStore::new();
    memory.lose_answer("complete_multipart");
    store(&memory, &plaintext(21 * MIB), MIB).await;
    assert_eq!(read(&memory).await, plaintext(21 * MIB));
    assert_eq!(memory.unfinished(), 0);
}

#[tokio::test]
async fn a_failed_last_request_does_not_mistake_the_older_object_for_the_new_one() {
    let memory = MemoryStore::new();
    store(&memory, b"the former", MIB).await;
    memory.fail("complete_multipart", 1);
    let mut upload = begin(&memory, UploadOptions::default());
    upload.write(&plaintext(21 * MIB)).await.unwrap();
    assert_eq!(upload.finish().await.unwrap_err().kind(), ErrorKind::Transport);
    assert_eq!(read(&memory).await, b"the former");
    assert_eq!(memory.unfinished(), 0);
}

#[tokio::test]
async fn a_failed_abort_is_retried() {
    let memory = MemoryStore::new();
    memory.fail("put_part", 2);
    memory.fail("abort_multipart", 1);
    let mut upload = begin(&memory, UploadOptions::default());
    let _failed = upload.write(&plaintext(21 * MIB)).await;
    upload.abort().await;
    assert_eq!(memory.unfinished(), 0);
}

#[tokio::test]
async fn an_aborted_upload_accepts_no_more_bytes() {
    let memory = MemoryStore::new();
    let mut upload = begin(&memory, UploadOptions::default());
    upload.write(&plaintext(13 * MIB)).await.unwrap();
    upload.abort().await;
    assert_eq!(upload.write(b"more").await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(upload.finish().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(memory.unfinished(), 0);
    assert!(memory.object("a key").is_none());
}

#[tokio::test]
async fn a_dropped_upload_is_aborted() {
    let memory = MemoryStore::new();
    let mut upload = begin(&memory, UploadOptions::default());
    upload.write(&plaintext(13 * MIB)).await.unwrap();
    while memory.calls("create_multipart") == 0 {
        tokio::task::yield_now().await;
    }
    drop(upload);
    while memory.calls("abort_multipart") == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(memory.unfinished(), 0);
    assert!(memory.object("a key").is_none());
}

#[tokio::test]
async fn an_abort_that_comes_too_late_returns_the_stored_object() {
    for (size, last) in [(10, "put"), (13 * MIB, "complete_multipart")] {
        let memory = MemoryStore::new();
        store(&memory, b"the former", MIB).await;
        let calls = memory.calls(last);
        let mut upload = begin(&memory, UploadOptions::default());
        upload.write(&plaintext(size)).await.unwrap();
        if last == "put" {
            // The store receives and stores everything, but its response does not arrive.
            memory.lose_answer("put");
        } else {
            memory.hold(last);
        }
        let finished = tokio::time::timeout(std::time::Duration::from_millis(50), upload.finish()).await;
        while memory.calls(last) == calls {
            tokio::task::yield_now().await;
        }
        memory.release(last);
        let stored = match finished {
            Ok(stored) => Some(stored.unwrap().etag),
            Err(_) => upload.abort().await.map(|stored| stored.etag),
        };
        assert!(stored.is_some(), "{last}");
        assert_eq!(read(&memory).await, plaintext(size));
    }
}

#[tokio::test]
async fn an_abort_in_time_returns_that_nothing_was_stored() {
    for (size, last) in [(10, "put"), (13 * MIB, "put_part")] {
        let memory = MemoryStore::new();
        store(&memory, b"the former", MIB).await;
        memory.hold(last);
        let mut upload = begin(&memory, UploadOptions::default());
        upload.write(&plaintext(size)).await.unwrap();
        let finished = tokio::time::timeout(std::time::Duration::from_millis(50), upload.finish()).await;
        assert!(finished.is_err());
        assert!(upload.abort().await.is_none());
        memory.release(last);
        assert_eq!(memory.unfinished(), 0);
        assert_eq!(read(&memory).await, b"the former");
    }
}

#[tokio::test]
async fn writing_a_file_can_be_interrupted_between_its_steps() {
    let memory = MemoryStore::new();
    let file = tempfile::tempfile().unwrap();
    file.set_len(12 * MIB as u64 - 1).unwrap();
    let mut upload = begin(&memory, UploadOptions::default());
    let wake = tokio::sync::Notify::new();
    wake.notify_one();
    let interrupted = tokio::select! {
        biased;
        _ = upload.write_file(&file, 0, u64::MAX) => false,
        () = wake.notified() => true,
    };
    assert!(interrupted);
    assert!(upload.bytes_written() <= 2 * MIB as u64, "{}", upload.bytes_written());
}

#[test]
fn a_plan_that_s3_would_refuse_is_refused_with_the_setting() {
    let wrong = [
        (PartPlan { part_size: 5 * MIB - 1, ..PLAN }, "part_size"),
        (PartPlan { multipart_threshold: 5 * 1024 * MIB + 1, ..PLAN }, "multipart_threshold"),
        (PartPlan { concurrency: 0, ..PLAN }, "concurrency"),
    ];
    for (plan, setting) in wrong {
        let error = plan.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains(setting), "{error}");
    }
}

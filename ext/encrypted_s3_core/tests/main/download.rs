//! A download returns authenticated bytes or an error.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;

use bytes::Bytes;
use encrypted_s3_core::checksum::Algorithm;
use encrypted_s3_core::download::{CHUNK, Download, DownloadPlan, FIRST_PASSES, Maps, RangePlan, Written};
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::store::{MemoryStore, NewObject, ObjectStore};
use encrypted_s3_core::upload::{PartPlan, Upload, UploadOptions};
use encrypted_s3_core::{ErrorKind, Result};

use crate::support::Now as _;

mod files;

const PLAN: PartPlan = PartPlan { multipart_threshold: 1 << 24, part_size: 1 << 23, concurrency: 2 };

fn keyring(byte: u8) -> Envelopes {
    Keyring::new(vec![Key { id: None, key: WrappingKey::from_bytes(&[byte; 32]).unwrap().into() }]).unwrap().into()
}

fn plaintext(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8)) as u8).collect()
}

async fn upload(memory: &MemoryStore, key: &str, plaintext: &[u8]) {
    let options = UploadOptions::default();
    let mut upload = Upload::begin(Arc::new(memory.clone()), &keyring(1), PLAN, key, options).now().unwrap();
    upload.write(plaintext).await.unwrap();
    upload.finish().await.unwrap();
}

async fn stored(size: usize) -> (MemoryStore, NewObject, Bytes) {
    let memory = MemoryStore::new();
    upload(&memory, "a key", &plaintext(size)).await;
    let (object, body) = memory.object("a key").unwrap();
    (memory, object, body)
}

/// Large enough to read every object in one request and keep it in memory.
const WHOLE: DownloadPlan = DownloadPlan {
    ranges: RangePlan { size: 1 << 24, concurrency: 2 },
    memory_limit: 1 << 24,
    segment_index: true,
    maps: None,
    map_settings: None,
};

/// Small enough to read most objects in several requests.
const PIECEMEAL: DownloadPlan = DownloadPlan {
    ranges: RangePlan { size: 30_011, concurrency: 3 },
    memory_limit: 1 << 24,
    segment_index: true,
    maps: None,
    map_settings: None,
};

/// Like `PIECEMEAL`, but every object except an empty one is read by its segments.
const BY_SEGMENTS: DownloadPlan = DownloadPlan {
    ranges: RangePlan { size: 30_011, concurrency: 3 },
    memory_limit: 0,
    segment_index: true,
    maps: None,
    map_settings: None,
};

const PLANS: [DownloadPlan; 3] = [WHOLE, PIECEMEAL, BY_SEGMENTS];

async fn open(memory: &MemoryStore, plan: &DownloadPlan) -> Result<Download> {
    Download::open(Arc::new(memory.clone()), &keyring(1), plan, "a key").await
}

async fn read(memory: &MemoryStore, plan: &DownloadPlan) -> Result<Vec<u8>> {
    let mut download = open(memory, plan).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next().await? {
        bytes.extend_from_slice(chunk);
    }
    Ok(bytes)
}

/// The kind of the error. Also checks that no byte is returned before or after it.
async fn refusal(memory: &MemoryStore, plan: &DownloadPlan) -> ErrorKind {
    let mut download = match open(memory, plan).await {
        Ok(download) => download,
        Err(error) => return error.kind(),
    };
    let kind = download.next().await.unwrap_err().kind();
    assert!(download.next().await.is_err(), "a failed download must not look like a finished one");
    kind
}

#[tokio::test]
async fn chunks_have_the_documented_size_and_the_last_has_the_rest() {
    for (size, chunks) in [(0, vec![]), (1, vec![1]), (CHUNK, vec![CHUNK]), (2 * CHUNK + 7, vec![CHUNK, CHUNK, 7])] {
        let (memory, ..) = stored(size).await;
        for plan in PLANS {
            let mut download = open(&memory, &plan).await.unwrap();
            assert_eq!(download.size(), size as u64);
            let mut sizes = Vec::new();
            while let Some(chunk) = download.next().await.unwrap() {
                sizes.push(chunk.len());
            }
            assert_eq!(sizes, chunks);
        }
    }
}

#[tokio::test]
async fn a_changed_truncated_or_extended_object_is_refused_before_the_first_byte() {
    let (memory, object, body) = stored(100_000).await;
    let mut flipped = body.to_vec();
    flipped[0] ^= 1;
    let mut tag = body.to_vec();
    tag[100_015] ^= 0x80;
    let mut longer = body.to_vec();
    longer.push(0);
    let cases = [
        (flipped, ErrorKind::Auth),
        (tag, ErrorKind::Auth),
        (longer, ErrorKind::Auth),
        (body[..99_999].to_vec(), ErrorKind::Auth),
        (body[..16].to_vec(), ErrorKind::Auth),
        (body[..15].to_vec(), ErrorKind::Truncated),
        (Vec::new(), ErrorKind::Truncated),
    ];
    for (body, kind) in cases {
        let size = body.len();
        memory.replace(object.clone(), body);
        for plan in PLANS {
            assert_eq!(refusal(&memory, &plan).await, kind, "{size} bytes");
        }
    }
}

#[tokio::test]
async fn an_object_without_an_envelope_is_not_returned_as_plaintext() {
    let memory = MemoryStore::new();
    memory.replace(NewObject { key: "a key".into(), ..Default::default() }, "just text, long enough for a tag");
    assert_eq!(refusal(&memory, &WHOLE).await, ErrorKind::MissingEnvelope);
}

#[tokio::test]
async fn the_body_of_another_object_is_refused() {
    let (memory, object, _) = stored(1_000).await;
    let (_, _, other) = stored(1_000).await;
    memory.replace(object, other);
    assert_eq!(refusal(&memory, &WHOLE).await, ErrorKind::Auth);
}

#[tokio::test]
async fn a_wrong_key_is_an_unwrap_error() {
    let (memory, ..) = stored(1_000).await;
    let error = Download::open(Arc::new(memory), &keyring(2), &WHOLE, "a key").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unwrap);
    assert!(error.to_string().contains("a key"), "the message names the object: {error}");
}

#[tokio::test]
async fn a_missing_object_and_a_lost_connection_are_different_errors() {
    let memory = MemoryStore::new();
    assert_eq!(refusal(&memory, &WHOLE).await, ErrorKind::NotFound);
    memory.fail("get", 2);
    assert_eq!(refusal(&memory, &WHOLE).await, ErrorKind::Transport);
}

#[tokio::test]
async fn a_small_object_is_read_by_one_request() {
    let (memory, ..) = stored(100_000).await;
    read(&memory, &WHOLE).await.unwrap();
    open(&memory, &WHOLE).await.unwrap().range(5, Some(10)).await.unwrap();
    assert_eq!(memory.calls("get"), 2);
}

#[tokio::test]
async fn a_large_object_is_read_whole_by_many_requests() {
    for size in [30_010, 30_011, 30_011 - 16, 2 * 30_011 - 16, 2 * 30_011 - 8, 1_000_000] {
        let (memory, ..) = stored(size).await;
        for plan in [PIECEMEAL, BY_SEGMENTS] {
            assert_eq!(read(&memory, &plan).await.unwrap(), plaintext(size), "{size} bytes");
        }
    }
}

#[tokio::test]
async fn replacing_the_metadata_before_the_first_byte_restarts_the_read() {
    for plan in [PIECEMEAL, BY_SEGMENTS] {
        let (memory, object, body) = stored(200_000).await;
        let mut download = open(&memory, &plan).await.unwrap();
        let etag = download.etag().to_owned();
        memory.replace(object, body);
        let mut bytes = Vec::new();
        while let Some(chunk) = download.next().await.unwrap() {
            bytes.extend_from_slice(chunk);
        }
        assert_eq!(bytes, plaintext(200_000));
        assert_ne!(download.etag(), etag, "the version that was read");
    }
}

#[tokio::test]
async fn replacing_or_deleting_the_object_during_a_read_is_an_error() {
    for plan in [PIECEMEAL, BY_SEGMENTS] {
        let (memory, ..) = stored(200_000).await;
        let (_, object, body) = stored(200_000).await;
        let mut download = open(&memory, &plan).await.unwrap();
        memory.replace(object, body);
        assert_eq!(download.next().await.unwrap_err().kind(), ErrorKind::Changed);

        let mut download = open(&memory, &plan).await.unwrap();
        memory.delete("a key").await.unwrap();
        assert_eq!(download.next().await.unwrap_err().kind(), ErrorKind::Changed);
    }
}

/// Replaces the object whenever a range of it is read.
#[tokio::test]
async fn replacing_the_object_repeatedly_is_an_error() {
    let (memory, object, body) = stored(8_000_000).await;
    let mut download = open(&memory, &PIECEMEAL).await.unwrap();
    let replacing = async {
        loop {
            memory.replace(object.clone(), body.clone());
            tokio::task::yield_now().await;
        }
    };
    let kind = tokio::select! {
        read = download.next() => read.unwrap_err().kind(),
        () = replacing => unreachable!(),
    };
    assert_eq!(kind, ErrorKind::Changed);
}

#[tokio::test]
async fn a_request_that_failed_in_the_store_is_not_repeated() {
    let (memory, ..) = stored(200_000).await;
    let plan = DownloadPlan { ranges: RangePlan { size: 160_000, concurrency: 2 }, ..PIECEMEAL };
    memory.fail("get", 2);
    assert_eq!(refusal(&memory, &plan).await, ErrorKind::Transport);
    assert_eq!(memory.calls("get"), 2);
}

#[tokio::test]
async fn an_unauthenticated_size_allocates_no_memory() {
    let (memory, ..) = stored(100).await;
    memory.claim_size(60 << 30);
    for plan in PLANS {
        let error = open(&memory, &plan).await.unwrap().range(0, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
    }
}

#[tokio::test]
async fn debug_output_contains_no_plaintext() {
    let memory = MemoryStore::new();
    let options = UploadOptions::default();
    let mut upload = Upload::begin(Arc::new(memory.clone()), &keyring(1), PLAN, "a key", options).now().unwrap();
    upload.write(&[0x41; 100]).await.unwrap();
    assert!(!format!("{upload:?}").contains("65, 65"));
    upload.finish().await.unwrap();
    for plan in PLANS {
        let mut download = open(&memory, &plan).await.unwrap();
        download.read(50).await.unwrap();
        let shown = format!("{download:?}");
        assert!(!shown.contains("65, 65") && !shown.contains("AAAA"), "{shown}");
    }
}

/// Runs `work` and interrupts it immediately, as the binding does. Returns whether it was interrupted.
async fn interrupted<T>(work: impl Future<Output = T>) -> bool {
    let wake = tokio::sync::Notify::new();
    wake.notify_one();
    tokio::select! {
        biased;
        _ = work => false,
        () = wake.notified() => true,
    }
}

#[tokio::test]
async fn a_download_that_never_waits_can_be_interrupted() {
    let (memory, ..) = stored(4 * CHUNK).await;
    for plan in PLANS {
        let mut download = open(&memory, &plan).await.unwrap();
        download.read(1).await.unwrap();
        let reading = async { while let Ok(Some(_)) = download.next().await {} };
        assert!(interrupted(reading).await);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_byte_is_resumed() {
    let (memory, ..) = stored(100_000).await;
    for cut in [0, 1, 10_007, 30_010] {
        for plan in PLANS {
            memory.cut([cut, usize::MAX, cut / 2, 0]);
            assert_eq!(read(&memory, &plan).await.unwrap(), plaintext(100_000), "cut after {cut}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_keeps_breaking_is_resumed_as_long_as_it_makes_progress() {
    let (memory, ..) = stored(3_000_000).await;
    memory.cut(vec![300_000; 9]);
    assert_eq!(read(&memory, &WHOLE).await.unwrap(), plaintext(3_000_000));
}

#[tokio::test]
async fn a_connection_that_breaks_without_progress_is_an_error() {
    let (memory, ..) = stored(100_000).await;
    memory.cut(vec![100; 50]);
    assert_eq!(refusal(&memory, &WHOLE).await, ErrorKind::Transport);
}

#[tokio::test]
async fn a_reader_can_skip_bytes_and_read_less_than_a_chunk() {
    let (memory, ..) = stored(2 * CHUNK).await;
    for plan in PLANS {
        let mut download = open(&memory, &plan).await.unwrap();
        download.skip(CHUNK as u64 + 7).await.unwrap();
        assert_eq!(download.read(10).await.unwrap().unwrap(), &plaintext(2 * CHUNK)[CHUNK + 7..CHUNK + 17]);
        assert_eq!(download.read(u64::MAX).await.unwrap().unwrap(), &plaintext(2 * CHUNK)[CHUNK + 17..]);
        download.skip(1).await.unwrap();
        assert!(download.read(1).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn skipped_bytes_are_authenticated_without_a_map() {
    let (memory, object, body) = stored(100_000).await;
    let mut changed = body.to_vec();
    changed[5] ^= 1;
    memory.replace(object, changed);
    for plan in PLANS {
        assert_eq!(open(&memory, &plan).await.unwrap().skip(50_000).await.unwrap_err().kind(), ErrorKind::Auth);
    }
}

#[tokio::test]
async fn the_number_of_concurrent_passes_is_limited() {
    let (memory, ..) = stored(200_000).await;
    let keys: Vec<_> = (0..2 * FIRST_PASSES).map(|number| format!("key {number}")).collect();
    for key in &keys {
        upload(&memory, key, &plaintext(200_000)).await;
    }
    let ranges = RangePlan { size: 1 << 16, concurrency: 1 };
    let slow = DownloadPlan { ranges, maps: Some(Arc::new(Maps::new(1 << 20))), ..BY_SEGMENTS };
    memory.hold("later ranges");
    let mut downloads = Vec::new();
    for key in &keys {
        downloads.push(Download::open(Arc::new(memory.clone()), &keyring(1), &slow, key).await.unwrap());
    }
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert_eq!(memory.calls("later ranges"), FIRST_PASSES, "downloads that make their second request");
    memory.release("later ranges");
    for mut download in downloads {
        assert_eq!(download.next().await.unwrap().unwrap(), plaintext(200_000));
    }
}

#[tokio::test]
async fn ranges_end_at_the_end_of_the_object_and_are_refused_past_it() {
    let (memory, ..) = stored(1_000).await;
    let all = plaintext(1_000);
    for (first, length, expected) in [
        (0, Some(10), &all[..10]),
        (990, Some(10), &all[990..]),
        (990, Some(11), &all[990..]),
        (5, None, &all[5..]),
        (0, Some(u64::MAX), &all[..]),
        (999, Some(1), &all[999..]),
    ] {
        for plan in PLANS {
            let bytes = open(&memory, &plan).await.unwrap().range(first, length).await.unwrap();
            assert_eq!(bytes, expected, "{first} {length:?}");
        }
    }
    for first in [1_000, u64::MAX] {
        let error = open(&memory, &WHOLE).await.unwrap().range(first, Some(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidRange);
    }
}

#[tokio::test]
async fn a_range_is_refused_if_another_part_of_the_object_was_changed() {
    let (memory, object, body) = stored(1_000).await;
    let mut changed = body.to_vec();
    changed[999] ^= 1;
    memory.replace(object, changed);
    let error = open(&memory, &WHOLE).await.unwrap().range(0, Some(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
}

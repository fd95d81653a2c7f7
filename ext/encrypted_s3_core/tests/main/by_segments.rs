//! Reading a large object by its segments: little is fetched, and only authenticated bytes are returned, whatever
//! happens between the requests.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use encrypted_s3_core::download::{CHUNK, Download, DownloadPlan, MAP_MEMORY, Maps, RangePlan};
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::segments::{Checking, HEADER_LEN, MAX_SIDECAR_LEN, Purpose};
use encrypted_s3_core::store::{MemoryStore, NewObject, ObjectStore, Replacement};
use encrypted_s3_core::upload::{PartPlan, Upload, UploadOptions};
use encrypted_s3_core::{ErrorKind, Result};
use proptest::prelude::*;

use crate::support::{Now, under};

mod large_maps;
mod steps;
mod stored_maps;

const KEY: &str = "a key";
const PARTS: PartPlan = PartPlan { multipart_threshold: 1 << 24, part_size: 1 << 23, concurrency: 2 };
const SEGMENT: usize = 64 * 1024;

/// Twenty segments and a part of another.
const SIZE: usize = 20 * SEGMENT + 77;

fn keys() -> Envelopes {
    under(&[1; 32])
}

fn text(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 7) ^ (i >> 16)) as u8).collect()
}

fn plan() -> DownloadPlan {
    DownloadPlan {
        ranges: RangePlan { size: 2 * SEGMENT as u64, concurrency: 2 },
        memory_limit: SEGMENT as u64,
        segment_index: true,
        maps: Some(Arc::new(Maps::new(MAP_MEMORY))),
        map_settings: None,
    }
}

struct Bucket {
    memory: MemoryStore,
    object: NewObject,
    body: Bytes,
}

impl Bucket {
    async fn with(size: usize) -> Self {
        let memory = MemoryStore::new();
        let mut upload =
            Upload::begin(Arc::new(memory.clone()), &keys(), PARTS, KEY, UploadOptions::default()).await.unwrap();
        upload.write(&text(size)).await.unwrap();
        upload.finish().await.unwrap();
        let (object, body) = memory.object(KEY).unwrap();
        // Each test stores the map that it needs.
        memory.delete(&format!("{KEY}.segments")).await.unwrap();
        Self { memory, object, body }
    }

    /// The correct map of the object.
    fn sidecar(&self) -> Vec<u8> {
        let entries = self.object.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let key = keys().open(KEY, entries, None).now().unwrap().content_key;
        let mut checking = Checking::start(&key, Purpose::Storing).unwrap();
        let (text, tag) = self.body.split_at(self.body.len() - 16);
        checking.update(&mut text.to_vec()).unwrap();
        checking.finish(tag).unwrap().0.to_sidecar().unwrap()
    }

    fn put_beside(&self, sidecar: impl Into<Bytes>) {
        let object = NewObject { key: format!("{KEY}.segments"), ..NewObject::default() };
        self.memory.replace(object, sidecar);
    }

    /// Whether this map is stored, or will be soon.
    async fn has_beside(&self, sidecar: &[u8]) -> bool {
        for _ in 0..50 {
            if self.memory.object(&format!("{KEY}.segments")).is_some_and(|(_, body)| body == sidecar) {
                return true;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        false
    }

    fn store(&self) -> Arc<MemoryStore> {
        Arc::new(self.memory.clone())
    }

    async fn open(&self, plan: &DownloadPlan) -> Result<Download> {
        Download::open(self.store(), &keys(), plan, KEY).await
    }

    async fn range(&self, plan: &DownloadPlan, first: usize, length: usize) -> Result<Vec<u8>> {
        let (first, length) = (first as u64, Some(length as u64));
        Download::open_part(self.store(), &keys(), plan, KEY, first, length).await?.range(first, length).await
    }

    async fn read(&self, plan: &DownloadPlan) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        rest(&mut self.open(plan).await?, &mut bytes).await.map(|()| bytes)
    }

    /// Flips a bit of the stored body and keeps the entity tag.
    fn tamper(&self, at: usize) {
        let mut body = self.body.to_vec();
        body[at] ^= 1;
        self.memory.replace_keeping_etag(self.object.clone(), body);
    }

    /// Gives the object the same metadata again, and so another entity tag, as a rotation does.
    async fn rotate(&self) {
        let etag = self.memory.head(KEY).await.unwrap().etag;
        let replacement = Replacement { metadata: self.object.metadata.clone(), acl: None };
        self.memory.replace_metadata(KEY, &etag, replacement).await.unwrap();
    }
}

async fn rest(download: &mut Download, bytes: &mut Vec<u8>) -> Result<()> {
    while let Some(chunk) = download.read(100_000).await? {
        bytes.extend_from_slice(chunk);
    }
    Ok(())
}

#[tokio::test]
async fn with_a_map_a_range_is_read_by_one_request_for_its_segments() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    for first in [0, 5, SEGMENT - 1, 7 * SEGMENT, SIZE - 40] {
        let (requests, bytes) = (bucket.memory.calls("get"), bucket.memory.bytes_read());
        let length = 1_000.min(SIZE - first);
        assert!(bucket.range(&plan, first, length).await.unwrap() == text(SIZE)[first..first + length]);
        assert_eq!(bucket.memory.calls("get") - requests, 1, "from {first}");
        assert!(bucket.memory.bytes_read() - bytes <= 2 * SEGMENT as u64, "from {first}");
    }
    assert_eq!(bucket.memory.calls("head"), 0);
}

#[tokio::test]
async fn a_stream_with_a_map_uses_the_first_fetched_range() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    let bytes = bucket.memory.bytes_read();
    assert!(bucket.read(&plan).await.unwrap() == text(SIZE));
    let moved = bucket.memory.bytes_read() - bytes;
    assert!(moved <= SIZE as u64 + 16, "{moved} bytes");
}

/// A web server has many clients that read slowly or disconnect.
#[tokio::test]
async fn a_slow_reader_holds_little_memory() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    let mut download = bucket.open(&plan()).await.unwrap();
    for _ in 0..10 {
        download.read(1_000).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let sidecar = (HEADER_LEN + 21 * 16) as u64;
    assert_eq!(bucket.memory.bytes_read() - sidecar, 2 * SEGMENT as u64, "one range");
}

/// At any speed of the reader and the store. A chunk from several requests would have to be joined from their pieces.
#[tokio::test]
async fn each_chunk_of_a_stream_is_fetched_by_one_request() {
    let size = 4 * CHUNK + 77;
    let bucket = Bucket::with(size).await;
    bucket.put_beside(bucket.sidecar());
    let ranges = RangePlan { size: RangePlan::SIZE, concurrency: RangePlan::MOST_REQUESTS };
    for pause in [0, 10] {
        let requests = bucket.memory.calls("get");
        let mut download = bucket.open(&DownloadPlan { ranges, ..plan() }).await.unwrap();
        let mut read = 0;
        while let Some(chunk) = download.next().await.unwrap() {
            assert_eq!(chunk.len(), CHUNK.min(size - read));
            read += chunk.len();
            assert!(download.buffered() <= CHUNK, "{} bytes", download.buffered());
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        // With one for the map.
        assert_eq!((read, bucket.memory.calls("get") - requests), (size, 6), "with pauses of {pause} ms");
    }
}

#[tokio::test]
async fn concurrent_readers_share_one_pass() {
    let bucket = Bucket::with(SIZE).await;
    // In the first case no map is cached, so that they can get it only from the download that computes it.
    for memory in [0, MAP_MEMORY] {
        let before = bucket.memory.bytes_read();
        let plan = DownloadPlan { maps: Some(Arc::new(Maps::new(memory))), ..plan() };
        let ranges = (0..8).map(|number| bucket.range(&plan, number * SEGMENT, 10));
        let read: Vec<_> = futures(ranges).await;
        for (number, bytes) in read.into_iter().enumerate() {
            assert!(bytes.unwrap() == text(SIZE)[number * SEGMENT..][..10]);
        }
        let moved = bucket.memory.bytes_read() - before;
        assert!(moved < 3 * SIZE as u64, "{moved} bytes");
    }
}

/// Runs all of them at the same time.
async fn futures<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = all.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut waiting {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        let done = waiting.iter().all(|(_, output)| output.is_some());
        if done { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn an_interrupted_reader_does_not_block_the_others() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.memory.hold("later ranges");
    let first = bucket.open(&plan).await.unwrap();
    tokio::task::yield_now().await;
    let mut second = bucket.open(&plan).await.unwrap();
    drop(first);
    bucket.memory.release("later ranges");
    let mut bytes = Vec::new();
    rest(&mut second, &mut bytes).await.unwrap();
    assert!(bytes == text(SIZE));
}

#[tokio::test]
async fn a_rotation_during_a_read_does_not_change_the_result() {
    for is_known in [false, true] {
        let bucket = Bucket::with(SIZE).await;
        let plan = plan();
        if is_known {
            bucket.read(&plan).await.unwrap();
        }
        let mut download = bucket.open(&plan).await.unwrap();
        let mut bytes = download.read(10).await.unwrap().unwrap().to_vec();
        for _ in 0..4 {
            bucket.rotate().await;
            bytes.extend_from_slice(download.read(3 * SEGMENT as u64).await.unwrap().unwrap());
        }
        bucket.rotate().await;
        rest(&mut download, &mut bytes).await.unwrap();
        assert!(bytes == text(SIZE));
    }
}

#[tokio::test]
async fn a_reader_that_is_interrupted_again_and_again_after_a_rotation_continues() {
    let bucket = Bucket::with(SIZE).await;
    let mut download = bucket.open(&plan()).await.unwrap();
    let mut bytes = download.read(10).await.unwrap().unwrap().to_vec();
    download.skip(2 * SEGMENT as u64).await.unwrap();
    bucket.rotate().await;
    for _ in 0..20 {
        tokio::select! {
            biased;
            read = download.read(1) => bytes.extend_from_slice(read.unwrap().unwrap()),
            () = tokio::task::yield_now() => {}
        }
    }
    rest(&mut download, &mut bytes).await.unwrap();
    assert!(bytes[..10] == text(SIZE)[..10] && bytes[10..] == text(SIZE)[2 * SEGMENT + 10..]);
}

#[tokio::test]
async fn replacing_or_deleting_the_object_during_a_read_fails_the_read() {
    for is_deleted in [false, true] {
        let bucket = Bucket::with(SIZE).await;
        let mut download = bucket.open(&plan()).await.unwrap();
        let mut bytes = download.read(10).await.unwrap().unwrap().to_vec();
        if is_deleted {
            bucket.memory.delete(KEY).await.unwrap();
        } else {
            let other = Bucket::with(SIZE).await;
            bucket.memory.replace(other.object, other.body);
        }
        let error = rest(&mut download, &mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
        assert!(bytes.len() < SIZE && text(SIZE).starts_with(&bytes));
        assert!(download.read(1).await.is_err(), "a failed download must not look like a finished one");
    }
}

#[tokio::test]
async fn a_segment_changed_between_the_passes_is_refused() {
    for sidecar in [false, true] {
        let bucket = Bucket::with(SIZE).await;
        if sidecar {
            bucket.put_beside(bucket.sidecar());
        }
        let mut download = bucket.open(&plan()).await.unwrap();
        let mut bytes = download.read(10).await.unwrap().unwrap().to_vec();
        bucket.tamper(12 * SEGMENT + 5);
        let error = rest(&mut download, &mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
        assert!(bytes.len() <= 12 * SEGMENT && text(SIZE).starts_with(&bytes));
        assert!(!download.has_bad_sidecar());
    }
}

/// CopyObject can do this. The segments still match the map, but would decrypt to other bytes.
#[tokio::test]
async fn a_changed_nonce_under_the_same_entity_tag_is_refused() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    let mut object = bucket.object.clone();
    let nonce = object.metadata.iter_mut().find(|(name, _)| name == "x-amz-iv").unwrap();
    nonce.1 = STANDARD.encode([7; 12]);
    bucket.memory.replace_keeping_etag(object, bucket.body.clone());
    let error = bucket.range(&plan, 5 * SEGMENT, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

#[tokio::test]
async fn a_range_past_the_end_fails_with_the_size() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    for _ in 0..2 {
        for first in [SIZE, SIZE + 1, SIZE + SEGMENT, 1 << 40] {
            let error = bucket.range(&plan, first, 10).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidRange);
            assert!(error.to_string().contains(&SIZE.to_string()), "{error}");
        }
        bucket.read(&plan).await.unwrap();
    }
}

#[tokio::test]
async fn an_object_replaced_by_a_small_one_is_read_whole() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    let small = Bucket::with(1_000).await;
    bucket.memory.replace(small.object, small.body);
    assert!(bucket.range(&plan, 500, 10).await.unwrap() == text(1_000)[500..510]);
    assert_eq!(bucket.range(&plan, 5 * SEGMENT, 10).await.unwrap_err().kind(), ErrorKind::InvalidRange);
}

//! The promises for reading a large object by its segments: little is fetched, and no byte is returned that was not
//! encrypted, with any event between the requests.

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

const KEY: &str = "a key";
const PARTS: PartPlan = PartPlan { multipart_threshold: 1 << 24, part_size: 1 << 23, concurrency: 2 };
const SEGMENT: usize = 64 * 1024;

/// Twenty segments and a bit.
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
        // Each test describes the map beside the object.
        memory.delete(&format!("{KEY}.segments")).await.unwrap();
        Self { memory, object, body }
    }

    /// The map that belongs beside the object.
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

    /// Whether this is beside the object, or soon will be.
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
        self.memory.replace_silently(self.object.clone(), body);
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
async fn once_there_is_a_map_a_range_is_one_request_for_its_segments() {
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
async fn a_stream_uses_the_first_range_when_there_is_a_map() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    let bytes = bucket.memory.bytes_read();
    assert!(bucket.read(&plan).await.unwrap() == text(SIZE));
    let moved = bucket.memory.bytes_read() - bytes;
    assert!(moved <= SIZE as u64 + 16, "{moved} bytes");
}

/// A web server has many clients that are slow, or leave.
#[tokio::test]
async fn a_reader_that_takes_little_has_little_in_memory() {
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

/// At any speed of the reader and the store: a chunk of many requests would be put together from their pieces.
#[tokio::test]
async fn each_chunk_of_a_stream_is_one_request() {
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
async fn readers_that_come_at_once_share_one_pass() {
    let bucket = Bucket::with(SIZE).await;
    // No map is kept, so that they can get it only from the download that makes it.
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
async fn a_reader_that_is_interrupted_does_not_keep_the_others_waiting() {
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
async fn a_rotation_in_the_middle_changes_nothing() {
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
async fn an_object_that_is_replaced_or_deleted_in_the_middle_is_an_error_after_its_right_bytes() {
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
        assert!(download.read(1).await.is_err(), "a failed download must not look like one that has ended");
    }
}

#[tokio::test]
async fn a_segment_that_is_changed_between_the_passes_is_refused() {
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

/// CopyObject can do this. The segments still fit the map, but would decrypt to something else.
#[tokio::test]
async fn another_nonce_under_the_same_entity_tag_is_refused() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    let mut object = bucket.object.clone();
    let nonce = object.metadata.iter_mut().find(|(name, _)| name == "x-amz-iv").unwrap();
    nonce.1 = STANDARD.encode([7; 12]);
    bucket.memory.replace_silently(object, bucket.body.clone());
    let error = bucket.range(&plan, 5 * SEGMENT, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

/// A memory of maps that is too small for the object's map, of 21 tags.
fn few_tags(tags: usize) -> DownloadPlan {
    DownloadPlan { maps: Some(Arc::new(Maps::new(tags * 16))), ..plan() }
}

#[tokio::test]
async fn of_a_map_that_is_too_large_to_be_kept_only_the_header_and_the_tags_of_a_range_are_fetched() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    // Whether it is asked for together with the object, because it must be so large, or when the size is known.
    for (tags, first) in [(4, 3 * SEGMENT + 9), (4, 12 * SEGMENT + 9), (20, 12 * SEGMENT), (1, 19 * SEGMENT)] {
        let plan = few_tags(tags);
        // Nothing is kept, so that the second time is as the first.
        for _ in 0..2 {
            let (requests, bytes) = (bucket.memory.calls("get"), bucket.memory.bytes_read() as usize);
            assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
            let (requests, bytes) =
                (bucket.memory.calls("get") - requests, bucket.memory.bytes_read() as usize - bytes);
            assert!((3..=4).contains(&requests), "{requests} requests for byte {first} with {tags} tags");
            // An answer that begins with the whole map is dropped, but this store counts all of it.
            let dropped = if requests == 4 { bucket.sidecar().len() } else { 0 };
            assert!(bytes <= SEGMENT + HEADER_LEN + 16 + dropped, "{bytes} bytes for byte {first} with {tags} tags");
        }
    }
    assert!(!bucket.memory.object(&format!("{KEY}.segments")).unwrap().1.is_empty());
}

#[tokio::test]
async fn a_stream_fetches_a_map_that_is_too_large_to_be_kept_part_by_part() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    for tags in [1, 2, 3, 8, 20] {
        let before = bucket.memory.bytes_read();
        assert!(bucket.read(&few_tags(tags)).await.unwrap() == text(SIZE), "{tags} tags");
        let moved = bucket.memory.bytes_read() - before;
        // The object once, and again what was requested before it was known that the tags would not do for it.
        let most = (SIZE + 3 * SEGMENT + 21 * (HEADER_LEN + 16)) as u64;
        assert!(moved <= most, "{moved} bytes with {tags} tags");
    }
}

#[tokio::test]
async fn every_part_is_right_whatever_was_announced_and_however_few_tags_are_fetched_at_once() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    for tags in [0, 1, 3, 20] {
        let plan = few_tags(tags);
        for first in [0, 1, SEGMENT - 1, 5 * SEGMENT, SIZE - SEGMENT, SIZE - 1] {
            for announced in [0, 9 * SEGMENT, SIZE - 1] {
                let mut download =
                    Download::open_part(bucket.store(), &keys(), &plan, KEY, announced as u64, Some(10)).await.unwrap();
                download.skip(first as u64).await.unwrap();
                let mut bytes = Vec::new();
                rest(&mut download, &mut bytes).await.unwrap();
                assert!(bytes == text(SIZE)[first..], "{tags} tags, from {first}, announced {announced}");
            }
        }
        let after = bucket.range(&plan, SIZE + SEGMENT, 10).await.unwrap_err();
        assert_eq!(after.kind(), ErrorKind::InvalidRange);
    }
}

#[tokio::test]
async fn a_changed_object_or_map_shows_where_only_a_part_of_the_map_is_fetched() {
    let plan = few_tags(3);
    let first = 12 * SEGMENT + 9;
    let tag_of_12 = HEADER_LEN + 12 * 16;
    for at in [0, 20, HEADER_LEN - 1, tag_of_12] {
        let bucket = Bucket::with(SIZE).await;
        let right = bucket.sidecar();
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        bucket.put_beside(wrong);
        assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100], "at {at}");
        // An object that does not begin like a map is left as it is.
        assert_eq!(bucket.has_beside(&right).await, at != 0, "at {at}");
        bucket.put_beside(right[..tag_of_12].to_vec());
        assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
    }
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    bucket.tamper(first);
    assert_eq!(bucket.range(&plan, first, 100).await.unwrap_err().kind(), ErrorKind::Auth);
}

#[tokio::test]
async fn a_map_that_was_made_is_kept_even_if_it_is_larger_than_the_memory_of_maps() {
    let bucket = Bucket::with(SIZE).await;
    let plan = few_tags(3);
    let first = 12 * SEGMENT + 9;
    for _ in 0..3 {
        assert!(bucket.range(&plan, first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
    }
    let most = (2 * SIZE) as u64;
    assert!(bucket.memory.bytes_read() < most, "{} bytes", bucket.memory.bytes_read());
}

#[tokio::test]
async fn a_map_beside_the_object_saves_the_pass() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    let first = 12 * SEGMENT + 9;
    assert!(bucket.range(&plan(), first, 100).await.unwrap() == text(SIZE)[first..first + 100]);
    // One segment, and 21 tags.
    assert_eq!(bucket.memory.bytes_read() as usize, SEGMENT + HEADER_LEN + 21 * 16);
    assert_eq!(bucket.memory.calls("get"), 2);

    let moved = bucket.memory.bytes_read();
    assert!(bucket.read(&plan()).await.unwrap() == text(SIZE));
    assert!(bucket.memory.bytes_read() - moved <= (SIZE + 16 + HEADER_LEN + 21 * 16) as u64);
}

#[tokio::test]
async fn a_small_object_costs_no_request_for_a_map() {
    let bucket = Bucket::with(SEGMENT).await;
    bucket.put_beside(vec![0; 200]);
    assert!(bucket.range(&plan(), 5, 10).await.unwrap() == text(SEGMENT)[5..15]);
    assert_eq!(bucket.memory.calls("get"), 1);
}

#[tokio::test]
async fn no_map_is_looked_for_where_that_is_switched_off() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    let plan = DownloadPlan { segment_index: false, ..plan() };
    bucket.range(&plan, 12 * SEGMENT, 10).await.unwrap();
    assert!(bucket.memory.bytes_read() > SIZE as u64, "the object was checked whole");
}

#[tokio::test]
async fn what_is_no_map_of_the_object_makes_reading_slower_and_nothing_else() {
    let bucket = Bucket::with(SIZE).await;
    let right = bucket.sidecar();
    let foreign = Bucket::with(SIZE).await.sidecar();
    let flipped = |at: usize| {
        let mut sidecar = right.clone();
        sidecar[at] ^= 1;
        sidecar
    };
    let cases = [
        (right[..HEADER_LEN].to_vec(), true),
        ([&right[..], &[0; 16]].concat(), true),
        (foreign, true),
        (flipped(50), true),
        (flipped(70), true),
        // A map of another kind, or of a later version: nothing to report.
        (flipped(0), false),
        (flipped(8), false),
        (Vec::new(), false),
        (vec![0; MAX_SIDECAR_LEN as usize + 1], false),
    ];
    for (number, (sidecar, is_bad)) in cases.into_iter().enumerate() {
        for first in [0, 12 * SEGMENT] {
            bucket.put_beside(sidecar.clone());
            let plan = plan();
            let (first, length) = (first as u64, Some(10));
            let mut download = Download::open_part(bucket.store(), &keys(), &plan, KEY, first, length).await.unwrap();
            download.begin_at(first, length).await.unwrap();
            assert!(download.read(10).await.unwrap().unwrap() == &text(SIZE)[first as usize..][..10], "case {number}");
            assert_eq!(download.has_bad_sidecar(), is_bad, "case {number}");
            let expected = if is_bad { &right } else { &sidecar };
            assert!(bucket.has_beside(expected).await, "case {number}");
        }
    }
}

#[tokio::test]
async fn an_error_of_the_request_for_the_map_is_no_error_of_the_object() {
    let bucket = Bucket::with(SIZE).await;
    bucket.memory.fail("get", 2);
    assert!(bucket.read(&plan()).await.unwrap() == text(SIZE));
}

#[tokio::test]
async fn a_map_with_wrong_tags_is_found_out_by_one_pass() {
    let bucket = Bucket::with(SIZE).await;
    let mut sidecar = bucket.sidecar();
    sidecar[HEADER_LEN + 16 * 3] ^= 1;
    bucket.put_beside(sidecar);
    let plan = plan();
    let mut download = bucket.open(&plan).await.unwrap();
    let mut bytes = Vec::new();
    rest(&mut download, &mut bytes).await.unwrap();
    assert!(bytes == text(SIZE) && download.has_bad_sidecar());
    assert!(bucket.has_beside(&bucket.sidecar()).await, "the wrong map is replaced");
    // The map of that pass is used from now on.
    let moved = bucket.memory.bytes_read();
    bucket.range(&plan, 3 * SEGMENT, 10).await.unwrap();
    assert_eq!(bucket.memory.bytes_read() - moved, SEGMENT as u64);
}

#[tokio::test]
async fn a_changed_object_with_a_right_map_is_refused() {
    let bucket = Bucket::with(SIZE).await;
    bucket.put_beside(bucket.sidecar());
    bucket.tamper(3 * SEGMENT);
    let plan = plan();
    let error = bucket.range(&plan, 3 * SEGMENT, 10).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    // Other segments are as they were encrypted.
    assert!(bucket.range(&plan, 5 * SEGMENT, 10).await.unwrap() == text(SIZE)[5 * SEGMENT..][..10]);
}

#[tokio::test]
async fn a_range_past_the_end_is_an_error_that_tells_the_size() {
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
async fn an_object_that_has_become_small_is_read_whole() {
    let bucket = Bucket::with(SIZE).await;
    let plan = plan();
    bucket.read(&plan).await.unwrap();
    let small = Bucket::with(1_000).await;
    bucket.memory.replace(small.object, small.body);
    assert!(bucket.range(&plan, 500, 10).await.unwrap() == text(1_000)[500..510]);
    assert_eq!(bucket.range(&plan, 5 * SEGMENT, 10).await.unwrap_err().kind(), ErrorKind::InvalidRange);
}

/// An action of a reader.
#[derive(Clone, Debug)]
enum Step {
    Read(u64),
    Skip(u64),
    Interrupted(u64),
    Rotate,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = || prop_oneof![0..100u64, 0..200_000u64, 0..2_000_000u64];
    let step = prop_oneof![
        4 => bytes().prop_map(Step::Read),
        2 => bytes().prop_map(Step::Skip),
        1 => bytes().prop_map(Step::Interrupted),
        1 => Just(Step::Rotate),
    ];
    prop::collection::vec(step, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Reading, skipping, interrupting and rotating in any order gives the bytes of the object, in order.
    #[test]
    fn a_reader_gets_the_bytes_that_are_next(
        size in prop_oneof![1..300_000usize, Just(SIZE), Just(4 * SEGMENT)],
        hint in proptest::option::of((0..2_000_000u64, proptest::option::of(0..300_000u64))),
        steps in steps(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let bucket = Bucket::with(size).await;
            let plan = plan();
            let (first, length) = hint.unwrap_or((0, None));
            bucket.put_beside(bucket.sidecar());
            let opened = Download::open_part(bucket.store(), &keys(), &plan, KEY, first, length).await;
            let (mut download, all, mut at) = (opened.unwrap(), text(size), 0);
            for step in steps {
                match step {
                    Step::Skip(bytes) => {
                        download.skip(bytes).await.unwrap();
                        at = size.min(at + bytes as usize);
                    }
                    Step::Read(bytes) => {
                        let read = download.read(bytes).await.unwrap().unwrap_or_default().to_vec();
                        assert!(read == all[at..size.min(at + bytes as usize)], "at {at}");
                        at += read.len();
                    }
                    Step::Interrupted(bytes) => {
                        let read = tokio::select! {
                            biased;
                            read = download.read(bytes) => read.unwrap().map_or(0, <[u8]>::len),
                            () = tokio::task::yield_now() => 0,
                        };
                        at += read;
                    }
                    Step::Rotate => bucket.rotate().await,
                }
            }
            let mut left = Vec::new();
            rest(&mut download, &mut left).await.unwrap();
            assert!(left == all[at..], "the rest from {at}");
        });
    }
}

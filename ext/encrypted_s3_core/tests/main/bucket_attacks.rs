//! Attacks with write access to the bucket: each attack of `docs/format.md`, 5.1, on a whole store. A download must
//! return the stored bytes, or the error for the attack.
//!
//! Each attack is tried `BUCKET_ATTACKS` times (200 by default) with random sizes, places and corruptions.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use encrypted_s3_core::download::{Download, DownloadPlan, Maps, RangePlan};
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy};
use encrypted_s3_core::segments::{HEADER_LEN, MAX_SIDECAR_LEN, SEGMENT_LEN};
use encrypted_s3_core::store::{MemoryStore, NewObject};
use encrypted_s3_core::upload::{Index as Indexed, PartPlan, Upload, UploadOptions};
use encrypted_s3_core::{Error, ErrorKind};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use crate::support::{key, with_policy};

mod maps;
mod objects;

const PARTS: PartPlan = PartPlan { multipart_threshold: 8 << 20, part_size: 8 << 20, concurrency: 2 };
/// Larger objects are read by segments.
const LIMIT: u64 = 100_000;
const TAG: usize = 16;
const KEY: &str = "films/a";
const SIDECAR: &str = "films/a.segments";
const OTHER: &str = "films/b";

/// The stored objects: one, an older one under the same key, and one under another key.
#[derive(Clone, Debug)]
struct Case {
    v3: bool,
    sizes: [usize; 3],
    /// Whether the object was read before the attack, so that its map may be in memory.
    is_known: bool,
    /// Whether the replacement has the entity tag of the former object.
    keeps_etag: bool,
    /// The ends of the part that is read.
    part: [Index; 2],
    /// The random choices of the attack.
    at: [Index; 2],
    bytes: Vec<u8>,
}

fn case() -> impl Strategy<Value = Case> {
    let size = || prop_oneof![1usize..400_000, (1usize..6).prop_map(|n| n * SEGMENT_LEN), 100_001usize..100_100];
    let at = || [any::<Index>(), any::<Index>()];
    let (sizes, bytes) = ([size(), size(), size()], vec(any::<u8>(), 1..300));
    (any::<[bool; 3]>(), sizes, at(), at(), bytes).prop_map(|([v3, is_known, keeps_etag], sizes, part, at, bytes)| {
        Case { v3, sizes, is_known, keeps_etag, part, at, bytes }
    })
}

/// The required result for a reader.
#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// The stored bytes, because only the map was changed.
    Right,
    /// The stored bytes if the part was not changed; otherwise, and for the whole object, one of these errors.
    RightOr(&'static [ErrorKind]),
    /// One of these errors.
    Refused(&'static [ErrorKind]),
    /// The bytes of the object that was stored before under the same key.
    Older,
}

const CHANGED: Verdict = Verdict::RightOr(&[ErrorKind::Auth]);
// A part after the end of the changed object is refused before anything is read.
const RESIZED: Verdict = Verdict::Refused(&[ErrorKind::Auth, ErrorKind::Truncated, ErrorKind::InvalidRange]);
const MISPLACED: Verdict = Verdict::Refused(&[ErrorKind::Misplaced]);

/// What the attacker has: the bucket with all its former objects.
struct Bucket {
    memory: MemoryStore,
    envelopes: Envelopes,
    /// The object that was stored first under the key, and its map.
    older: (NewObject, Bytes, Option<Bytes>),
    case: Case,
}

fn text(seed: usize, size: usize) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(31) ^ (i >> 8) ^ (i >> 15) ^ seed) as u8).collect()
}

impl Bucket {
    async fn new(case: &Case) -> Self {
        let policy = if case.v3 {
            CommitmentPolicy::RequireEncryptAllowDecrypt
        } else {
            CommitmentPolicy::ForbidEncryptAllowDecrypt
        };
        let envelopes = with_policy(Policy::new(Some(policy), None).unwrap(), vec![key(None, &[5; 32])]);
        let memory = MemoryStore::new();
        let [size, older, other] = case.sizes;
        store(&memory, &envelopes, KEY, &text(1, older)).await;
        let (object, body) = memory.object(KEY).unwrap();
        let older = (object, body, memory.object(SIDECAR).map(|(_, body)| body));
        store(&memory, &envelopes, KEY, &text(0, size)).await;
        store(&memory, &envelopes, OTHER, &text(2, other)).await;
        Self { memory, envelopes, older, case: case.clone() }
    }

    fn at(&self, number: usize, size: usize) -> usize {
        if size == 0 { 0 } else { self.case.at[number].index(size) }
    }

    fn body(&self, key: &str) -> Option<Vec<u8>> {
        self.memory.object(key).map(|(_, body)| body.to_vec())
    }

    /// Replaces the body and keeps the envelope.
    fn put_body(&self, body: Vec<u8>) {
        let (object, _) = self.memory.object(KEY).unwrap();
        self.put(object, body);
    }

    fn put(&self, object: NewObject, body: impl Into<Bytes>) {
        if self.case.keeps_etag {
            self.memory.replace_keeping_etag(object, body)
        } else {
            self.memory.replace(object, body)
        }
    }

    fn put_map(&self, map: impl Into<Bytes>) {
        self.memory.replace(NewObject { key: SIDECAR.into(), ..Default::default() }, map);
    }

    /// The positions of two whole segments; `None` when there are none.
    fn two_segments(&self, body: &[u8]) -> Option<[usize; 2]> {
        let count = body.len().checked_sub(TAG)? / SEGMENT_LEN;
        (count > 0).then(|| [0, 1].map(|number| self.at(number, count)))
    }

    async fn read(&self, key: &str, plan: &DownloadPlan, part: Option<Range<u64>>) -> Result<Vec<u8>, Error> {
        let mut download = Download::open(Arc::new(self.memory.clone()), &self.envelopes, plan, key).await?;
        if let Some(part) = part {
            return download.range(part.start, Some(part.end - part.start)).await;
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = download.next().await? {
            bytes.extend_from_slice(chunk);
        }
        Ok(bytes)
    }
}

async fn store(memory: &MemoryStore, envelopes: &Envelopes, key: &str, bytes: &[u8]) {
    let options = UploadOptions { index_above: Some(LIMIT), ..Default::default() };
    let mut upload = Upload::begin(Arc::new(memory.clone()), envelopes, PARTS, key, options).await.unwrap();
    upload.write(bytes).await.unwrap();
    let index = upload.finish().await.unwrap().index;
    assert_eq!(matches!(index, Indexed::Stored), bytes.len() as u64 > LIMIT);
}

fn flip(bytes: &mut [u8], at: usize) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << (at % 8);
    }
}

fn swap(bytes: &mut [u8], length: usize, a: usize, b: usize) {
    if a.max(b) + length <= bytes.len() {
        (0..length).for_each(|i| bytes.swap(a + i, b + i));
    }
}

/// Compares the result of one read with the required result. If `is_touched`, the part must be refused.
fn judge(
    read: Result<Vec<u8>, Error>,
    verdict: Verdict,
    wanted: &[u8],
    older: &[u8],
    is_touched: bool,
) -> TestCaseResult {
    match (verdict, read) {
        (Verdict::Right, Ok(read)) => prop_assert!(read == wanted, "wrong bytes were read"),
        (Verdict::Older, Ok(read)) => prop_assert!(read == older, "bytes of neither object were read"),
        (Verdict::RightOr(_), Ok(read)) => {
            prop_assert!(!is_touched, "a changed part was read");
            prop_assert!(read == wanted, "wrong bytes were read");
        }
        (Verdict::RightOr(kinds) | Verdict::Refused(kinds), Err(error)) => {
            prop_assert!(kinds.contains(&error.kind()), "{:?}: {error}", error.kind());
        }
        (Verdict::Refused(_), Ok(_)) => prop_assert!(false, "the attacked object was read"),
        (Verdict::Right | Verdict::Older, Err(error)) => prop_assert!(false, "an intact object was refused: {error}"),
    }
    Ok(())
}

fn cases() -> u32 {
    std::env::var("BUCKET_ATTACKS").ok().and_then(|number| number.parse().ok()).unwrap_or(200)
}

/// The result of an attack: the required result for a reader, the key to read, and the changed bytes of the text.
struct Done {
    verdict: Verdict,
    key: &'static str,
    touched: Range<usize>,
}

impl Done {
    fn new(verdict: Verdict) -> Self {
        Self { verdict, key: KEY, touched: 0..0 }
    }
}

/// Tries an attack on many buckets. The attack returns `None` if it is not possible there.
fn try_out(attack: impl Fn(&Bucket) -> Option<Done>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: cases(), failure_persistence: None, ..Config::default() });
    let result = runner.run(&case(), |case| {
        runtime.block_on(async {
            let bucket = Bucket::new(&case).await;
            let plan = plan();
            let whole = text(0, case.sizes[0]);
            if case.is_known {
                prop_assert!(bucket.read(KEY, &plan, Some(0..1)).await.unwrap() == whole[..1]);
            }
            let Some(done) = attack(&bucket) else { return Ok(()) };
            let is_older = matches!(done.verdict, Verdict::Older);
            let older = text(1, case.sizes[1]);
            let size = if is_older { older.len() } else { whole.len() };
            let ends = case.part.map(|end| end.index(size));
            let part = ends[0].min(ends[1])..ends[0].max(ends[1]) + 1;
            let touches = part.start < done.touched.end && done.touched.start < part.end;
            let of = |text: &[u8]| text.get(part.clone()).map(<[u8]>::to_vec).unwrap_or_default();
            let read = bucket.read(done.key, &plan, Some(part.start as u64..part.end as u64)).await;
            judge(read, done.verdict, &of(&whole), &of(&older), touches)?;
            let read = bucket.read(done.key, &plan, None).await;
            judge(read, done.verdict, &whole, &older, !done.touched.is_empty())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn plan() -> DownloadPlan {
    let ranges = RangePlan { size: 96 * 1024, concurrency: 2 };
    DownloadPlan {
        ranges,
        memory_limit: LIMIT,
        segment_index: true,
        maps: Some(Arc::new(Maps::new(1 << 20))),
        map_settings: None,
    }
}

/// Changes the body by `change`, which returns the changed bytes of the text.
fn change(bucket: &Bucket, change: impl Fn(&mut Vec<u8>) -> Option<Range<usize>>) -> Option<Done> {
    let mut body = bucket.body(KEY)?;
    let before = body.clone();
    let touched = change(&mut body)?;
    if body == before {
        return None;
    }
    bucket.put_body(body);
    Some(Done { touched, ..Done::new(CHANGED) })
}

/// Changes the map. A wrong map may only make reads slower.
fn change_map(bucket: &Bucket, change: impl Fn(&mut Vec<u8>)) -> Option<Done> {
    let mut map = bucket.body(SIDECAR)?;
    change(&mut map);
    bucket.put_map(map);
    Some(Done::new(Verdict::Right))
}

#[test]
fn the_bucket_is_unchanged() {
    try_out(|_| Some(Done::new(Verdict::Right)));
}

#[test]
fn a_bit_of_the_text_is_flipped() {
    try_out(|bucket| {
        change(bucket, |body| {
            let at = bucket.at(0, body.len() - TAG);
            flip(body, at);
            Some(at..at + 1)
        })
    });
}

#[test]
fn a_bit_of_the_tag_is_flipped() {
    // No byte of the text has changed. A reader without a map notices.
    try_out(|bucket| {
        change(bucket, |body| {
            let at = body.len() - TAG + bucket.at(0, TAG);
            flip(body, at);
            Some(0..0)
        })
    });
}

#[test]
fn the_body_is_truncated() {
    try_out(|bucket| {
        let mut body = bucket.body(KEY)?;
        body.truncate(bucket.at(0, body.len()));
        bucket.put_body(body);
        Some(Done::new(RESIZED))
    });
}

#[test]
fn the_body_and_its_map_are_truncated_at_a_segment() {
    try_out(|bucket| {
        let mut body = bucket.body(KEY)?;
        let [kept, _] = bucket.two_segments(&body)?;
        let tag = body.split_off(body.len() - TAG);
        if kept * SEGMENT_LEN == body.len() {
            return None;
        }
        body.truncate(kept * SEGMENT_LEN);
        body.extend(tag);
        bucket.put_body(body);
        change_map(bucket, |map| {
            map.truncate(HEADER_LEN + kept * TAG);
            map[48..56].copy_from_slice(&((kept * SEGMENT_LEN) as u64).to_be_bytes());
        });
        Some(Done::new(RESIZED))
    });
}

#[test]
fn the_body_is_extended() {
    try_out(|bucket| {
        let body = [bucket.body(KEY)?, bucket.case.bytes.clone()].concat();
        bucket.put_body(body);
        Some(Done::new(RESIZED))
    });
}

#[test]
fn segments_are_swapped() {
    try_out(|bucket| exchange(bucket, false));
}

#[test]
fn segments_are_swapped_with_their_tags() {
    try_out(|bucket| exchange(bucket, true));
}

fn exchange(bucket: &Bucket, with_tags: bool) -> Option<Done> {
    let [a, b] = bucket.two_segments(&bucket.body(KEY)?)?;
    let done = change(bucket, |body| {
        swap(body, SEGMENT_LEN, a * SEGMENT_LEN, b * SEGMENT_LEN);
        Some(a * SEGMENT_LEN..(a + 1) * SEGMENT_LEN)
    })?;
    if with_tags {
        change_map(bucket, |map| swap(map, TAG, HEADER_LEN + a * TAG, HEADER_LEN + b * TAG));
    }
    Some(done)
}

#[test]
fn a_segment_is_replaced_by_one_of_another_object_with_its_tag() {
    try_out(|bucket| {
        let other = bucket.body(OTHER)?;
        let [number, _] = bucket.two_segments(&bucket.body(KEY)?)?;
        let [theirs, _] = bucket.two_segments(&other)?;
        let (to, from) = (number * SEGMENT_LEN, theirs * SEGMENT_LEN);
        let done = change(bucket, |body| {
            body[to..to + SEGMENT_LEN].copy_from_slice(&other[from..from + SEGMENT_LEN]);
            Some(to..to + SEGMENT_LEN)
        })?;
        if let Some(map) = bucket.body("films/b.segments") {
            let (to, from) = (HEADER_LEN + number * TAG, HEADER_LEN + theirs * TAG);
            change_map(bucket, |mine| mine[to..to + TAG].copy_from_slice(&map[from..from + TAG]));
        }
        Some(done)
    });
}

//! With a segment map any part of an object can be read, and only authenticated bytes are returned, after any attack.

use std::ops::Range;
use std::sync::Arc;

use encrypted_s3_core::envelope::{ContentKey, Format};
use encrypted_s3_core::gcm::{MAX_PLAINTEXT, RustCrypto, TAG_LEN, plaintext_len};
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::segments::{
    Checking, HEADER_LEN, Layout, MAX_SIDECAR_LEN, Map, NoMap, Purpose, SEGMENT_LEN, Sealing, SegmentReader,
    is_sidecar_key, sidecar_key,
};
use encrypted_s3_core::{Error, ErrorKind, Result};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{kind, pieces};

mod legacy;

/// An object in a bucket, with its map and its opened envelope.
#[derive(Clone, Debug)]
pub struct Object {
    pub data_key: [u8; 32],
    /// 28 bytes in V3, 12 in V2.
    pub id: Vec<u8>,
    pub body: Vec<u8>,
    pub sidecar: Vec<u8>,
}

impl Object {
    pub fn store(format: Format, number: u8, plaintext: &[u8]) -> Self {
        let id = vec![number ^ 0x55; if format == Format::V3 { 28 } else { 12 }];
        let mut object = Self { data_key: [number; 32], id, body: plaintext.to_vec(), sidecar: vec![] };
        let mut sealing = Sealing::start(object.key()).unwrap() as Sealing;
        sealing.update(&mut object.body).unwrap();
        let (tag, map) = sealing.finish().unwrap();
        object.body.extend(tag);
        object.sidecar = map.to_sidecar().unwrap();
        object
    }

    pub fn key(&self) -> ContentKey {
        let data_key = DataKey::from_bytes(&self.data_key).unwrap();
        match self.id.as_slice().try_into() {
            Ok(nonce) => ContentKey::v2(data_key, nonce),
            Err(_) => ContentKey::v3(data_key, self.id.as_slice().try_into().unwrap()).unwrap(),
        }
    }

    pub fn text_len(&self) -> Result<u64> {
        plaintext_len(self.body.len() as u64)
    }

    pub fn map(&self) -> std::result::Result<Map, NoMap> {
        Map::read(&self.sidecar, &self.key(), self.text_len().unwrap())
    }

    fn reader(&self, map: Map) -> Result<SegmentReader> {
        Arc::new(map).reader(&self.key(), self.text_len()?)
    }

    /// Checks the whole object and computes a map.
    pub fn checked(&self, purpose: Purpose) -> Result<Map> {
        let length = usize::try_from(self.text_len()?).unwrap();
        let mut checking = Checking::start(&self.key(), purpose)?;
        checking.update(&mut self.body[..length].to_vec())?;
        checking.finish(&self.body[length..]).map(|(map, _)| map)
    }

    fn segment(&self, number: u64) -> Range<usize> {
        let bytes = Layout::of(self.text_len().unwrap()).segment(number).unwrap();
        usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap()
    }

    fn open_segments(&self, map: Map, wanted: Range<u64>) -> Result<Vec<u8>> {
        let mut reader = self.reader(map)?;
        let numbers = reader.layout().segments_of(wanted.clone());
        let first = reader.layout().bytes_of(numbers.clone()).start;
        let mut bytes = Vec::new();
        for number in numbers {
            let mut segment = self.body[self.segment(number)].to_vec();
            reader.open(number, &mut segment)?;
            bytes.extend(segment);
        }
        let end = wanted.end.min(first + bytes.len() as u64);
        let start = wanted.start.clamp(first, end);
        Ok(bytes[usize::try_from(start - first).unwrap()..usize::try_from(end - first).unwrap()].to_vec())
    }

    /// Reads as specified in `docs/format.md`, 3.6.
    pub fn read(&self, wanted: Range<u64>) -> Result<Vec<u8>> {
        self.text_len()?;
        if let Ok(map) = self.map() {
            match self.open_segments(map, wanted.clone()) {
                Err(error) if error.kind() == ErrorKind::Auth => {}
                done => return done,
            }
        }
        self.open_segments(self.checked(Purpose::Memory)?, wanted)
    }
}

pub fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|j| (31 * j + (j >> 7) + (j >> 16)).to_le_bytes()[0]).collect()
}

pub fn size() -> impl Strategy<Value = usize> {
    let near = (0usize..4, -2i64..3)
        .prop_map(|(segments, by)| usize::try_from((segments * SEGMENT_LEN) as i64 + by).unwrap_or_default());
    prop_oneof![near, 0usize..300, 0usize..4 * SEGMENT_LEN]
}

pub fn format() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::V2), Just(Format::V3)]
}

proptest! {
    #[test]
    fn any_range_is_read_from_only_its_segments(
        size in size(),
        format in format(),
        wanted in (any::<Index>(), any::<Index>()),
    ) {
        let plaintext = bytes(size);
        let mut object = Object::store(format, 1, &plaintext);
        let ends = [wanted.0.index(size + 1), wanted.1.index(size + 1)];
        let wanted = ends[0].min(ends[1])..ends[0].max(ends[1]);
        let layout = Layout::of(size as u64);
        let bytes = layout.bytes_of(layout.segments_of(wanted.start as u64..wanted.end as u64));
        prop_assert!(bytes.end - bytes.start <= (wanted.len() + 2 * SEGMENT_LEN) as u64);
        // Other segments are overwritten.
        for (at, byte) in object.body.iter_mut().enumerate() {
            if !bytes.contains(&(at as u64)) {
                *byte ^= 0xff;
            }
        }
        let map = object.map().unwrap();
        prop_assert!(object.open_segments(map, wanted.start as u64..wanted.end as u64).unwrap() == plaintext[wanted]);
    }

    #[test]
    fn a_segment_with_a_flipped_bit_is_refused_and_not_decrypted(size in 1..3 * SEGMENT_LEN, at: Index, format in format()) {
        let mut object = Object::store(format, 1, &bytes(size));
        let bit = at.index(size * 8);
        object.body[bit / 8] ^= 1 << (bit % 8);
        let number = (bit / 8 / SEGMENT_LEN) as u64;
        let mut segment = object.body[object.segment(number)].to_vec();
        let mut reader = object.reader(object.map().unwrap()).unwrap();
        prop_assert_eq!(kind(reader.open(number, &mut segment)), Some(ErrorKind::Auth));
        prop_assert!(segment == object.body[object.segment(number)]);
    }

    #[test]
    fn a_flipped_bit_of_the_header_is_refused(bit in 0..HEADER_LEN * 8, format in format()) {
        let mut object = Object::store(format, 1, &bytes(1000));
        object.sidecar[bit / 8] ^= 1 << (bit % 8);
        let expected = match bit / 8 {
            0..8 => NoMap::Magic,
            8 => NoMap::Version(object.sidecar[8]),
            9..64 => NoMap::OtherObject,
            _ => NoMap::Commitment,
        };
        prop_assert_eq!(object.map().unwrap_err(), expected);
    }

    #[test]
    fn the_layout_matches_a_byte_by_byte_count(text_len in 0u64..500_000, a in 0u64..600_000, b in 0u64..600_000) {
        let layout = Layout::of(text_len);
        let numbers = layout.segments_of(a..b);
        let counted: Vec<u64> = (0..10)
            .filter(|number| (a..b.min(text_len)).any(|byte| byte / SEGMENT_LEN as u64 == *number))
            .collect();
        prop_assert_eq!(numbers.clone().collect::<Vec<_>>(), counted.clone());
        let spans: Vec<_> = counted.iter().map(|number| layout.segment(*number).unwrap()).collect();
        let bytes = layout.bytes_of(numbers);
        prop_assert_eq!(bytes.end - bytes.start, spans.iter().map(|span| span.end - span.start).sum::<u64>());
        prop_assert_eq!(layout.segment(layout.count()), None);
    }
}

#[test]
fn the_layout_is_right_for_the_largest_possible_lengths() {
    let layout = Layout::of(u64::MAX);
    assert_eq!(layout.segment(layout.count() - 1).map(|bytes| bytes.end), Some(u64::MAX));
    assert_eq!(layout.segment(u64::MAX), None);
    assert_eq!(layout.segments_of(u64::MAX - 1..u64::MAX), layout.count() - 1..layout.count());
    assert_eq!(layout.bytes_of(0..u64::MAX), 0..u64::MAX);
    assert!(layout.tags_of(0..u64::MAX).end <= layout.sidecar_len().unwrap());
    assert_eq!(Layout::of(MAX_PLAINTEXT).sidecar_len(), Some(16_777_312));
    assert_eq!(Layout::of(1 << 30).sidecar_len(), Some(262_240));
}

fn no_map(object: &Object) -> NoMap {
    object.map().unwrap_err()
}

#[test]
fn a_map_of_another_object_is_refused_with_the_reason() {
    let object = Object::store(Format::V2, 1, &bytes(100_000));
    let with = |sidecar: &[u8]| no_map(&Object { sidecar: sidecar.to_vec(), ..object.clone() });
    let length = object.sidecar.len();
    assert_eq!(with(b""), NoMap::Length);
    assert_eq!(with(&object.sidecar[..HEADER_LEN - 1]), NoMap::Length);
    assert_eq!(with(&object.sidecar[..length - 1]), NoMap::Length);
    assert_eq!(with(&object.sidecar[..length - TAG_LEN]), NoMap::Length);
    assert_eq!(with(&[object.sidecar.as_slice(), &[0; 16]].concat()), NoMap::Length);
    assert_eq!(with(&[b'{'; 2_000]), NoMap::Magic);
    assert_eq!(with(&Object::store(Format::V2, 2, &bytes(100_000)).sidecar), NoMap::OtherObject);
    let mut later = object.sidecar.clone();
    later[8] = 2;
    assert_eq!(with(&later), NoMap::Version(2));
    assert_eq!(no_map(&Object { data_key: [9; 32], ..object.clone() }), NoMap::Commitment);
    assert_eq!(no_map(&Object { id: vec![9; 12], ..object.clone() }), NoMap::OtherObject);
}

/// A header with too large a length must not allocate that much memory.
#[test]
fn a_part_of_a_map_has_the_requested_number_of_tags() {
    let object = Object::store(Format::V2, 1, &bytes(200_000));
    let read = |tags: &[u8], numbers| {
        Map::read_part(&object.sidecar[..HEADER_LEN], tags, numbers, &object.key(), 200_000).err()
    };
    assert_eq!(read(&object.sidecar[HEADER_LEN..][..16], 0..1), None);
    assert_eq!(read(&[0; 32], 0..1), Some(NoMap::Length));
    assert_eq!(read(&[0; 16], 4..5), Some(NoMap::Length));
    assert_eq!(read(&[0; 16], 0..u64::MAX), Some(NoMap::Length));
    let backwards = Range { start: 3, end: 2 };
    assert_eq!(read(&[], backwards), Some(NoMap::Length));
}

#[test]
fn a_changed_object_produces_no_map() {
    for format in [Format::V2, Format::V3] {
        for purpose in [Purpose::Memory, Purpose::Storing] {
            let object = Object::store(format, 1, &bytes(70_000));
            assert!(object.checked(purpose).is_ok());
            for at in [0, 65_535, 65_536, 69_999, 70_000, 70_015] {
                let mut changed = object.clone();
                changed.body[at] ^= 1;
                assert_eq!(kind(changed.checked(purpose)), Some(ErrorKind::Auth), "byte {at}");
            }
        }
    }
}

#[test]
fn a_map_for_memory_cannot_be_stored() {
    let object = Object::store(Format::V2, 1, &bytes(100_000));
    let map = object.checked(Purpose::Memory).unwrap();
    assert!(!map.is_stored());
    assert_eq!(map.to_sidecar(), None);
    assert_eq!(object.open_segments(map, 0..100_000).unwrap(), bytes(100_000));
}

#[test]
fn a_part_of_a_map_cannot_be_stored() {
    let object = Object::store(Format::V2, 1, &bytes(100_000));
    let (header, tags) = object.sidecar.split_at(HEADER_LEN);
    let part = Map::read_part(header, &tags[16..], 1..2, &object.key(), 100_000).unwrap();
    assert_eq!(part.to_sidecar(), None);
}

/// An attacker may change the metadata without the entity tag. The ciphertext would match the map, but decrypt to other
/// bytes.
#[test]
fn a_map_belongs_to_one_envelope() {
    for purpose in [Purpose::Memory, Purpose::Storing] {
        for format in [Format::V2, Format::V3] {
            let object = Object::store(format, 1, &bytes(100_000));
            let map = Arc::new(object.checked(purpose).unwrap());
            let mut other_id = object.clone();
            other_id.id[0] ^= 1;
            let other_key = Object { data_key: [2; 32], ..object.clone() };
            for changed in [other_id, other_key] {
                let refused: Result<SegmentReader> = map.reader(&changed.key(), 100_000);
                assert_eq!(kind(refused), Some(ErrorKind::Auth));
            }
            let longer: Result<SegmentReader> = map.reader(&object.key(), 100_001);
            assert_eq!(kind(longer), Some(ErrorKind::Auth));
            let right: Result<SegmentReader> = map.reader(&object.key(), 100_000);
            assert!(right.is_ok());
        }
    }
}

#[test]
fn a_segment_of_another_length_or_number_is_refused() {
    let object = Object::store(Format::V2, 1, &bytes(100_000));
    let mut reader = object.reader(object.map().unwrap()).unwrap();
    let segment = &object.body[..SEGMENT_LEN];
    assert!(reader.check(0, segment).is_ok());
    assert_eq!(kind(reader.check(0, &segment[..SEGMENT_LEN - 1])), Some(ErrorKind::Auth));
    assert_eq!(kind(reader.check(0, b"")), Some(ErrorKind::Auth));
    assert_eq!(kind(reader.check(1, segment)), Some(ErrorKind::Auth));
    assert_eq!(kind(reader.check(2, segment)), Some(ErrorKind::Internal));
    assert_eq!(kind(reader.check(u64::MAX, segment)), Some(ErrorKind::Internal));
}

#[test]
fn an_empty_object_has_a_map_without_tags() {
    let object = Object::store(Format::V3, 1, b"");
    assert_eq!(object.sidecar.len(), HEADER_LEN);
    assert_eq!(object.read(0..10).unwrap(), b"");
}

#[test]
fn debug_output_contains_no_secret() {
    let object = Object::store(Format::V2, 0xab, &bytes(100));
    let map = Arc::new(object.map().unwrap());
    let reader: SegmentReader = map.reader(&object.key(), 100).unwrap();
    let checking = Checking::start(&object.key(), Purpose::Memory).unwrap();
    let sealing = Sealing::<RustCrypto>::start(object.key()).unwrap();
    let printed = format!("{:?} {map:?} {reader:?} {checking:?} {sealing:?}", object.key());
    assert!(!printed.contains("171") && !printed.to_lowercase().contains("ab, ab"), "{printed}");
    assert!(printed.contains("ContentKey([redacted])"));
    assert!(printed.contains("text_len: 100"));
}

#[test]
fn readers_can_be_used_by_several_threads() {
    let plaintext = bytes(10 * SEGMENT_LEN + 5);
    let object = Object::store(Format::V3, 1, &plaintext);
    let map = Arc::new(object.map().unwrap());
    let key = object.key();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..3)
            .map(|thread| {
                let (map, key, object) = (&map, &key, &object);
                scope.spawn(move || -> std::result::Result<Vec<(u64, Vec<u8>)>, Error> {
                    let mut reader: SegmentReader = map.reader(key, object.text_len()?)?;
                    let mut segments = Vec::new();
                    for number in (0..map.layout().count()).filter(|number| number % 3 == thread) {
                        let mut segment = object.body[object.segment(number)].to_vec();
                        reader.open(number, &mut segment)?;
                        segments.push((number, segment));
                    }
                    Ok(segments)
                })
            })
            .collect();
        let mut all: Vec<_> = opened.into_iter().flat_map(|thread| thread.join().unwrap().unwrap()).collect();
        all.sort();
        assert!(all.into_iter().flat_map(|(_, segment)| segment).collect::<Vec<_>>() == plaintext);
    });
}

#[test]
fn the_key_of_a_map_is_the_key_of_its_object_with_a_suffix() {
    assert_eq!(sidecar_key("a/b").as_deref(), Some("a/b.segments"));
    assert_eq!(sidecar_key(&"k".repeat(1015)).map(|key| key.len()), Some(1024));
    assert_eq!(sidecar_key(&"k".repeat(1016)), None);
    assert_eq!(Some(MAX_SIDECAR_LEN), Layout::of((1 << 36) - 32).sidecar_len());
    assert!(is_sidecar_key("a/b.segments"));
    assert!(!is_sidecar_key("a/b"));
    assert!(!is_sidecar_key("segments"));
}

/// Tests the end of GCM's counter.
#[test]
#[ignore = "encrypts 64 GiB: some 15 seconds"]
fn the_last_segment_of_the_longest_object_opens() {
    let object = Object { data_key: [7; 32], id: vec![8; 12], body: vec![], sidecar: vec![] };
    let mut sealing: Sealing = Sealing::start(object.key()).unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut left = MAX_PLAINTEXT;
    let mut plaintext = vec![];
    while left > 0 {
        let length = usize::try_from(left.min(piece.len() as u64)).unwrap();
        if left < 1 << 20 {
            plaintext = piece[..length].to_vec();
        }
        sealing.update(&mut piece[..length]).unwrap();
        left -= length as u64;
    }
    let (_, map) = sealing.finish().unwrap();
    assert_eq!(map.to_sidecar().unwrap().len(), 16_777_312);
    let number = map.layout().count() - 1;
    let length = SEGMENT_LEN - 32;
    let mut segment = piece[plaintext.len() - length..plaintext.len()].to_vec();
    let mut reader: SegmentReader = Arc::new(map).reader(&object.key(), MAX_PLAINTEXT).unwrap();
    assert_eq!(number, (1 << 20) - 1);
    reader.open(number, &mut segment).unwrap();
    assert!(segment == plaintext[plaintext.len() - length..]);
}

//! After any change of the bucket a reader gets only the bytes that were encrypted, and unchanged segments can be read.

use std::ops::Range;

use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::gcm::TAG_LEN;
use encrypted_s3_core::segments::{HEADER_LEN, SEGMENT_LEN};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::segments::{Object, bytes, format, size};

/// An action of an attacker with write access to the bucket.
#[derive(Clone, Debug)]
enum Attack {
    FlipBody(Index),
    FlipSidecar(Index),
    FlipObjectId(Index),
    CutBody(Index),
    CutSidecar(Index),
    ExtendBody(Vec<u8>),
    ExtendSidecar(Vec<u8>),
    /// Shortens the object by segments, with its map and the length in the map's header.
    CutAll(Index),
    SwapSegments(Index, Index),
    SwapSegmentsAndTags(Index, Index),
    SwapTags(Index, Index),
    CopySegment(Index, Index),
    OtherObjectsSegment(Index),
    OtherObjectsSegmentAndTag(Index),
    OtherObjectsSidecar,
    OtherObjectsBody,
    OtherObjectsBodyAndSidecar,
    OtherObjectsKey,
    OtherObjectsEnvelope,
    SetHeader(Index, u8),
    TakeAwaySidecar,
    PlantSidecar(Vec<u8>),
}

fn attack() -> impl Strategy<Value = Attack> {
    let at = any::<Index>;
    let some = || vec(any::<u8>(), 1..200);
    prop_oneof![
        at().prop_map(Attack::FlipBody),
        at().prop_map(Attack::FlipSidecar),
        at().prop_map(Attack::FlipObjectId),
        at().prop_map(Attack::CutBody),
        at().prop_map(Attack::CutSidecar),
        some().prop_map(Attack::ExtendBody),
        some().prop_map(Attack::ExtendSidecar),
        at().prop_map(Attack::CutAll),
        (at(), at()).prop_map(|(a, b)| Attack::SwapSegments(a, b)),
        (at(), at()).prop_map(|(a, b)| Attack::SwapSegmentsAndTags(a, b)),
        (at(), at()).prop_map(|(a, b)| Attack::SwapTags(a, b)),
        (at(), at()).prop_map(|(a, b)| Attack::CopySegment(a, b)),
        at().prop_map(Attack::OtherObjectsSegment),
        at().prop_map(Attack::OtherObjectsSegmentAndTag),
        Just(Attack::OtherObjectsSidecar),
        Just(Attack::OtherObjectsBody),
        Just(Attack::OtherObjectsBodyAndSidecar),
        Just(Attack::OtherObjectsKey),
        Just(Attack::OtherObjectsEnvelope),
        (at(), any::<u8>()).prop_map(|(at, value)| Attack::SetHeader(at, value)),
        Just(Attack::TakeAwaySidecar),
        vec(any::<u8>(), 0..300).prop_map(Attack::PlantSidecar),
    ]
}

fn flip(bytes: &mut [u8], at: &Index) {
    if !bytes.is_empty() {
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

/// The bytes of two whole segments, if the object has any.
fn two_segments(object: &Object, a: &Index, b: &Index) -> Option<[usize; 2]> {
    let count = (object.body.len().checked_sub(TAG_LEN)?) / SEGMENT_LEN;
    (count > 0).then(|| [a.index(count), b.index(count)])
}

/// Swaps two stretches, if both exist.
fn swap(bytes: &mut [u8], length: usize, a: usize, b: usize) {
    if a.max(b) + length <= bytes.len() {
        (0..length).for_each(|i| bytes.swap(a + i, b + i));
    }
}

/// Copies a stretch of `from` to the same place in `to`, if it exists in both.
fn copy(from: &[u8], to: &mut [u8], stretch: Range<usize>) {
    if let (Some(from), Some(to)) = (from.get(stretch.clone()), to.get_mut(stretch)) {
        to.copy_from_slice(from);
    }
}

fn attack_segments(attack: &Attack, object: &mut Object, other: &Object) -> Option<()> {
    let (body, sidecar) = (true, true);
    match attack {
        Attack::SwapSegments(a, b) => swap_segments(object, a, b, body, !sidecar),
        Attack::SwapSegmentsAndTags(a, b) => swap_segments(object, a, b, body, sidecar),
        Attack::SwapTags(a, b) => swap_segments(object, a, b, !body, sidecar),
        Attack::CopySegment(a, b) => {
            let [a, b] = two_segments(object, a, b)?;
            object.body.copy_within(a * SEGMENT_LEN..(a + 1) * SEGMENT_LEN, b * SEGMENT_LEN);
            Some(())
        }
        Attack::OtherObjectsSegment(at) => other_segment(object, other, at, !sidecar),
        Attack::OtherObjectsSegmentAndTag(at) => other_segment(object, other, at, sidecar),
        Attack::CutAll(at) => {
            let [kept, _] = two_segments(object, at, at)?;
            object.body.drain(kept * SEGMENT_LEN..object.body.len() - TAG_LEN);
            object.sidecar.truncate(HEADER_LEN + kept * TAG_LEN);
            let length = [&[0; 48][..], &((kept * SEGMENT_LEN) as u64).to_be_bytes()].concat();
            copy(&length, &mut object.sidecar, 48..56);
            Some(())
        }
        _ => None,
    }
}

fn swap_segments(object: &mut Object, a: &Index, b: &Index, body: bool, sidecar: bool) -> Option<()> {
    let [a, b] = two_segments(object, a, b)?;
    if body {
        swap(&mut object.body, SEGMENT_LEN, a * SEGMENT_LEN, b * SEGMENT_LEN);
    }
    if sidecar {
        swap(&mut object.sidecar, TAG_LEN, HEADER_LEN + a * TAG_LEN, HEADER_LEN + b * TAG_LEN);
    }
    Some(())
}

fn other_segment(object: &mut Object, other: &Object, at: &Index, with_tag: bool) -> Option<()> {
    let [number, _] = two_segments(object, at, at)?;
    let [theirs, _] = two_segments(other, at, at)?;
    let number = number.min(theirs);
    copy(&other.body, &mut object.body, number * SEGMENT_LEN..(number + 1) * SEGMENT_LEN);
    if with_tag {
        let tag = HEADER_LEN + number * TAG_LEN;
        copy(&other.sidecar, &mut object.sidecar, tag..tag + TAG_LEN);
    }
    Some(())
}

fn apply(attack: &Attack, object: &mut Object, other: &Object) {
    match attack {
        Attack::FlipBody(at) => flip(&mut object.body, at),
        Attack::FlipSidecar(at) => flip(&mut object.sidecar, at),
        Attack::FlipObjectId(at) => flip(&mut object.id, at),
        Attack::CutBody(at) => object.body.truncate(at.index(object.body.len() + 1)),
        Attack::CutSidecar(at) => object.sidecar.truncate(at.index(object.sidecar.len() + 1)),
        Attack::ExtendBody(more) => object.body.extend(more),
        Attack::ExtendSidecar(more) => object.sidecar.extend(more),
        Attack::OtherObjectsSidecar => object.sidecar.clone_from(&other.sidecar),
        Attack::OtherObjectsBody => object.body.clone_from(&other.body),
        Attack::OtherObjectsBodyAndSidecar => {
            object.body.clone_from(&other.body);
            object.sidecar.clone_from(&other.sidecar);
        }
        Attack::OtherObjectsKey => object.data_key = other.data_key,
        Attack::OtherObjectsEnvelope => {
            object.data_key = other.data_key;
            object.id.clone_from(&other.id);
        }
        Attack::SetHeader(at, value) => {
            let length = object.sidecar.len().min(HEADER_LEN);
            if length > 0 {
                object.sidecar[at.index(length)] = *value;
            }
        }
        Attack::TakeAwaySidecar => object.sidecar.clear(),
        Attack::PlantSidecar(bytes) => object.sidecar.clone_from(bytes),
        _ => drop(attack_segments(attack, object, other)),
    }
}

proptest! {
    /// The main property of segment maps. `PROPTEST_CASES` sets the number of cases.
    #[test]
    fn no_attack_makes_a_reader_return_other_bytes(
        sizes in (size(), size()),
        format in format(),
        attacks in vec(attack(), 1..4),
        wanted in (any::<Index>(), any::<Index>()),
    ) {
        let plaintext = bytes(sizes.0);
        let original = Object::store(format, 1, &plaintext);
        let other = Object::store(format, 2, &bytes(sizes.1));
        let mut object = original.clone();
        for attack in &attacks {
            apply(attack, &mut object, &other);
        }
        let ends = [wanted.0.index(sizes.0 + 1), wanted.1.index(sizes.0 + 1)];
        let wanted = ends[0].min(ends[1])..ends[0].max(ends[1]);
        let read = object.read(wanted.start as u64..wanted.end as u64);
        let is_whole = object.body == original.body && object.id == original.id && object.data_key == original.data_key;
        let has_other_envelope = object.id == other.id && object.data_key == other.data_key;
        match read {
            // An exchanged object is detected by its place entry, not by its content. Here the bytes must match the
            // envelope.
            Ok(read) if has_other_envelope => {
                let text = bytes(sizes.1);
                let part = wanted.start.min(text.len())..wanted.end.min(text.len());
                prop_assert!(read == text[part], "bytes were read that are not the other object's");
            }
            Ok(read) => prop_assert!(read == plaintext[wanted], "other bytes were read"),
            Err(error) => {
                prop_assert!(!is_whole, "an object that was not changed cannot be read: {error}");
                prop_assert!(matches!(error.kind(), ErrorKind::Auth | ErrorKind::Truncated), "{:?}", error.kind());
            }
        }
    }
}

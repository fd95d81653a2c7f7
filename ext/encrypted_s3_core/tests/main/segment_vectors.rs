//! The vectors of `docs/format.md`, which a program in another language computed from that document.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use encrypted_s3_core::envelope::ContentKey;
#[cfg(feature = "aws-lc")]
use encrypted_s3_core::gcm::AwsLc;
use encrypted_s3_core::gcm::gmac::{Gmac, MacKey};
use encrypted_s3_core::gcm::keystream::{Keystream, counter_block};
use encrypted_s3_core::gcm::{Backend, RustCrypto};
use encrypted_s3_core::place::{self, Claim, PlaceBinding};
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::segments::{Checking, HEADER_LEN, Layout, Map, Purpose, Sealing, segment_nonce};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::pieces;

fn vectors(list: &str) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/segments/vectors.json");
    let all: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    all[list].as_array().unwrap().clone()
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap()
}

fn hex(value: impl AsRef<[u8]>) -> String {
    value.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(vector: &Value, name: &str) -> Vec<u8> {
    let digits = text(vector, name);
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(vector: &Value, name: &str) -> [u8; N] {
    unhex(vector, name).try_into().unwrap()
}

fn number(vector: &Value, name: &str) -> u64 {
    vector[name].as_u64().unwrap()
}

fn content_key(vector: &Value) -> ContentKey {
    let data_key = DataKey::from_bytes(&unhex(vector, "data_key")).unwrap();
    match number(vector, "format") {
        2 => ContentKey::v2(data_key, array(vector, "object_id")),
        3 => ContentKey::v3(data_key, array(vector, "object_id")).unwrap(),
        other => panic!("format {other}"),
    }
}

fn plaintext(vector: &Value) -> Vec<u8> {
    (0..number(vector, "text_len")).map(|j| (7 * j + (j >> 8)).to_le_bytes()[0]).collect()
}

/// The sidecar of the vector, part by part.
fn sidecar(vector: &Value) -> Vec<u8> {
    let tags = vector["segment_tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap());
    let digits: String = [text(vector, "statement"), text(vector, "commitment")].into_iter().chain(tags).collect();
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect();
    assert_eq!(bytes.len() as u64, number(vector, "sidecar_len"));
    assert_eq!(hex(Sha256::digest(&bytes)), text(vector, "sidecar_sha256"));
    bytes
}

/// Encrypts the vector's plaintext in pieces of one kind; checks ciphertext, tag and map, and returns the ciphertext.
fn seals<B: Backend>(vector: &Value, lengths: &[usize]) -> Vec<u8> {
    let mut sealing = Sealing::<B>::start(content_key(vector)).unwrap();
    let mut body = plaintext(vector);
    for piece in pieces(&mut body, lengths) {
        sealing.update(piece).unwrap();
    }
    let (tag, map) = sealing.finish().unwrap();
    assert_eq!(hex(Sha256::digest(&body)), text(vector, "text_sha256"), "{}", vector["name"]);
    assert_eq!(hex(tag), text(vector, "object_tag"), "{}", vector["name"]);
    assert!(map.to_sidecar().unwrap() == sidecar(vector), "{}: another sidecar", vector["name"]);
    body
}

fn opens<B: Backend>(vector: &Value, ciphertext: &[u8]) {
    let length = number(vector, "text_len");
    let key = content_key(vector);
    let map = Arc::new(Map::read(&sidecar(vector), &key, length).unwrap());
    let mut reader = map.reader::<B>(&key, length).unwrap();
    let plaintext = plaintext(vector);
    // Backwards: no segment needs the one before it.
    for number in (0..map.layout().count()).rev() {
        let span = map.layout().segment(number).unwrap();
        let span = usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap();
        let mut segment = ciphertext[span.clone()].to_vec();
        reader.open(number, &mut segment).unwrap();
        assert!(segment == plaintext[span], "{}: segment {number}", vector["name"]);
    }
}

const CUTS: [&[usize]; 4] = [&[usize::MAX], &[1, 15, 0, 17, 1000], &[65_536], &[65_535, 2]];

#[test]
fn maps_match_the_vectors_for_pieces_of_any_length() {
    let vectors = vectors("maps");
    assert_eq!(vectors.len(), 20);
    for vector in &vectors {
        for lengths in CUTS {
            seals::<RustCrypto>(vector, lengths);
            #[cfg(feature = "aws-lc")]
            seals::<AwsLc>(vector, lengths);
        }
    }
}

#[test]
fn every_segment_of_the_vectors_opens_with_the_stored_map() {
    for vector in vectors("maps") {
        let ciphertext = seals::<RustCrypto>(&vector, &[]);
        opens::<RustCrypto>(&vector, &ciphertext);
        #[cfg(feature = "aws-lc")]
        opens::<AwsLc>(&vector, &ciphertext);
    }
}

#[test]
fn reading_an_object_computes_the_same_map_as_writing_it() {
    for vector in vectors("maps") {
        for lengths in CUTS {
            let mut ciphertext = seals::<RustCrypto>(&vector, &[]);
            let mut checking = Checking::start(&content_key(&vector), Purpose::Storing).unwrap();
            for piece in pieces(&mut ciphertext, lengths) {
                checking.update(piece).unwrap();
            }
            let (map, padding) = checking.finish(&unhex(&vector, "object_tag")).unwrap();
            assert_eq!(padding, 0);
            assert!(ciphertext == plaintext(&vector));
            assert!(map.to_sidecar().unwrap() == sidecar(&vector), "{}: another sidecar", vector["name"]);
        }
    }
}

#[test]
fn a_part_of_the_tags_opens_their_segments() {
    for vector in vectors("maps") {
        let length = number(&vector, "text_len");
        let (key, layout) = (content_key(&vector), Layout::of(length));
        let (sidecar, ciphertext) = (sidecar(&vector), seals::<RustCrypto>(&vector, &[]));
        for first in 0..layout.count() {
            let tags = layout.tags_of(first..first + 1);
            let tags = usize::try_from(tags.start).unwrap()..usize::try_from(tags.end).unwrap();
            let part = Map::read_part(&sidecar[..HEADER_LEN], &sidecar[tags], first..first + 1, &key, length).unwrap();
            assert_eq!(part.is_whole(), layout.count() == 1);
            let mut reader = Arc::new(part).reader::<RustCrypto>(&key, length).unwrap();
            for number in 0..layout.count() {
                let span = layout.segment(number).unwrap();
                let segment = &ciphertext[usize::try_from(span.start).unwrap()..usize::try_from(span.end).unwrap()];
                assert_eq!(reader.check(number, segment).is_ok(), number == first);
            }
        }
    }
}

fn authenticates<B: Backend>(vector: &Value) {
    let mut mac = Gmac::<B>::with_backend(&MacKey::from_bytes(&unhex(vector, "key")).unwrap()).unwrap();
    mac.start(&segment_nonce(number(vector, "number"))).unwrap();
    mac.update(&unhex(vector, "message")).unwrap();
    assert_eq!(hex(mac.finish().unwrap()), text(vector, "tag"), "{}", vector["number"]);
}

#[test]
fn segment_numbers_have_64_bits() {
    let vectors = vectors("segment_tags");
    assert!(vectors.iter().any(|vector| number(vector, "number") == 1 << 32));
    assert!(vectors.iter().any(|vector| number(vector, "number") == u64::MAX));
    for vector in &vectors {
        assert_eq!(hex(segment_nonce(number(vector, "number"))), text(vector, "nonce"));
        authenticates::<RustCrypto>(vector);
        #[cfg(feature = "aws-lc")]
        authenticates::<AwsLc>(vector);
    }
}

fn makes_keystream<B: Backend>(vector: &Value) {
    let key = DataKey::from_bytes(&unhex(vector, "key")).unwrap();
    let mut keystream = Keystream::<B>::with_backend(&key, &array(vector, "nonce")).unwrap();
    let expected = unhex(vector, "keystream");
    let mut stream = vec![0; expected.len()];
    keystream.apply(16 * number(vector, "block"), &mut stream).unwrap();
    assert_eq!(stream, expected, "block {}", vector["block"]);
}

#[test]
fn counters_match_the_vectors_up_to_the_last_of_32_bits() {
    for vector in vectors("counters") {
        let block = counter_block(&array(&vector, "nonce"), number(&vector, "block")).unwrap();
        assert_eq!(hex(block), text(&vector, "counter_block"));
        makes_keystream::<RustCrypto>(&vector);
        #[cfg(feature = "aws-lc")]
        makes_keystream::<AwsLc>(&vector);
    }
}

fn makes_last_segment<B: Backend>(vector: &Value) {
    let key = DataKey::from_bytes(&unhex(vector, "key")).unwrap();
    let mut keystream = Keystream::<B>::with_backend(&key, &array(vector, "nonce")).unwrap();
    let mut stream = vec![0; usize::try_from(number(vector, "len")).unwrap()];
    keystream.apply(65_536 * number(vector, "number"), &mut stream).unwrap();
    assert_eq!(hex(Sha256::digest(&stream)), text(vector, "keystream_sha256"));
}

#[test]
fn the_last_segment_of_the_longest_object_has_its_keystream() {
    let vectors = vectors("last_segments");
    assert_eq!(vectors.len(), 2);
    for vector in &vectors {
        makes_last_segment::<RustCrypto>(vector);
        #[cfg(feature = "aws-lc")]
        makes_last_segment::<AwsLc>(vector);
    }
}

#[test]
fn place_entries_match_the_vectors() {
    let vectors = vectors("places");
    assert_eq!(vectors.len(), 7);
    for vector in &vectors {
        let data_key = DataKey::from_bytes(&unhex(vector, "data_key")).unwrap();
        let expected = ("encrypted-s3-place", text(vector, "entry").to_owned());
        assert_eq!(place::entry(&data_key, text(vector, "key")).unwrap(), expected);
        let metadata = [(expected.0, expected.1.as_str())];
        let claim = Claim::read(PlaceBinding::Require, false, metadata).unwrap();
        claim.check(&data_key, text(vector, "key")).unwrap();
    }
}

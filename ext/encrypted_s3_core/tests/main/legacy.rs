//! Reading CBC objects: plaintext is returned only after the whole object was checked, and all defects cause the same
//! error.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::{Array, BlockCipherEncrypt, BlockModeEncrypt, KeyInit, KeyIvInit};
use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::download::{CHUNK, Download, DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::{Envelopes, plaintext_len};
use encrypted_s3_core::place::{ENTRY, PlaceBinding};
use encrypted_s3_core::policy::{Policy, SecurityProfile};
use encrypted_s3_core::store::{MemoryStore, NewObject};
use proptest::prelude::*;

use crate::support::{Entries, decrypt, key, kind, open, with_policy};

const DATA_KEY: [u8; 32] = [9; 32];
const IV: [u8; 16] = [3; 16];

const PLANS: [DownloadPlan; 3] = [
    DownloadPlan {
        ranges: RangePlan { size: 1 << 22, concurrency: 2 },
        memory_limit: 1 << 30,
        segment_index: true,
        maps: None,
        map_settings: None,
    },
    DownloadPlan {
        ranges: RangePlan { size: 30_011, concurrency: 3 },
        memory_limit: 1 << 30,
        segment_index: true,
        maps: None,
        map_settings: None,
    },
    DownloadPlan {
        ranges: RangePlan { size: 30_011, concurrency: 3 },
        memory_limit: 0,
        segment_index: true,
        maps: None,
        map_settings: None,
    },
];

fn reader(byte: u8) -> Envelopes {
    let policy = Policy::new(None, Some(SecurityProfile::V2AndLegacy)).unwrap();
    with_policy(policy, vec![key(None, &[byte; 32])])
}

fn plaintext(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8)) as u8).collect()
}

/// AES-CBC of the given bytes, with their padding.
fn encrypt(padded: &[u8]) -> Vec<u8> {
    let mut body = padded.to_vec();
    let (blocks, rest) = Array::slice_as_chunks_mut(&mut body);
    assert!(rest.is_empty());
    cbc::Encryptor::<Aes256>::new(&DATA_KEY.into(), &IV.into()).encrypt_blocks(blocks);
    body
}

fn body(plaintext: &[u8]) -> Vec<u8> {
    let padding = 16 - plaintext.len() % 16;
    encrypt(&[plaintext, &vec![padding as u8; padding]].concat())
}

/// The envelope of the V1 clients: the data key under AES-ECB with padding.
fn entries(wrapping_key: u8) -> Entries {
    let mut wrapped = [&DATA_KEY[..], &[16; 16]].concat();
    Aes256::new(&[wrapping_key; 32].into()).encrypt_blocks(Array::slice_as_chunks_mut(&mut wrapped).0);
    let pairs = [("x-amz-key", wrapped), ("x-amz-iv", IV.to_vec())];
    pairs.into_iter().map(|(name, bytes)| (name.to_owned(), STANDARD.encode(bytes))).collect()
}

fn stored(body: &[u8]) -> Arc<MemoryStore> {
    let memory = MemoryStore::new();
    let object = NewObject { key: "a key".into(), metadata: entries(1), ..NewObject::default() };
    memory.replace(object, body.to_vec());
    Arc::new(memory)
}

async fn download(body: &[u8], plan: &DownloadPlan) -> encrypted_s3_core::Result<Download> {
    Download::open(stored(body), &reader(1), plan, "a key").await
}

/// A result that depends on the entry's value would reveal something about the data key.
#[test]
fn a_place_entry_is_refused_before_a_key_is_used() {
    let mut entries = entries(1);
    entries.push((ENTRY.into(), STANDARD.encode([0; 32])));
    for byte in [1, 9] {
        assert_eq!(kind(crate::support::open(&reader(byte), &entries, None)), Some(ErrorKind::Misplaced));
    }
    entries.pop();
    let strict = Envelopes { place: PlaceBinding::Require, ..reader(1) };
    assert_eq!(kind(crate::support::open(&strict, &entries, None)), Some(ErrorKind::PlaceRequired));
}

#[tokio::test]
async fn every_size_is_read_in_chunks_and_in_ranges() {
    for size in [0, 1, 15, 16, 17, 30_000, 30_016, CHUNK - 1, CHUNK, CHUNK + 16, 2 * CHUNK + 7] {
        let (text, body) = (plaintext(size), body(&plaintext(size)));
        for plan in PLANS {
            let mut opened = download(&body, &plan).await.unwrap();
            assert_eq!(opened.size(), size as u64);
            let mut bytes = Vec::new();
            while let Some(chunk) = opened.next().await.unwrap() {
                assert_eq!(chunk.len(), CHUNK.min(size - bytes.len()));
                bytes.extend_from_slice(chunk);
            }
            assert!(bytes == text, "{size} bytes");
            let middle = size / 2;
            if size > 0 {
                let range = download(&body, &plan).await.unwrap().range(middle as u64, Some(5)).await.unwrap();
                assert_eq!(range, &text[middle..(middle + 5).min(size)]);
            }
        }
    }
}

/// A large object waits as ciphertext in the same file, which must keep neither its padding nor any part of a bad
/// object.
#[tokio::test]
async fn a_file_gets_exactly_the_plaintext() {
    for size in [0, 1, 30_000, 30_016, 100_007] {
        let (text, whole) = (plaintext(size), body(&plaintext(size)));
        for plan in PLANS {
            for valid in [true, false] {
                let body = if valid { whole.clone() } else { encrypt(&vec![0; whole.len()]) };
                let named = tempfile::NamedTempFile::new().unwrap();
                named.as_file().write_all(b"before ").unwrap();
                let saved = Download::save(stored(&body), &reader(1), &plan, "a key", named.as_file(), None).await;
                let expected = if valid { &text[..] } else { b"" };
                assert_eq!(kind(saved), (!valid).then_some(ErrorKind::Cbc));
                assert!(std::fs::read(named.path()).unwrap() == [b"before ", expected].concat(), "{size} bytes");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_steps_return_the_same_bytes(size in 0usize..100_000, steps in prop::collection::vec(1u64..40_000, 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (text, body) = (plaintext(size), body(&plaintext(size)));
        for plan in PLANS {
            let bytes = runtime.block_on(async {
                let mut opened = download(&body, &plan).await.unwrap();
                let mut bytes = Vec::new();
                for step in steps.iter().cycle() {
                    match opened.read(*step).await.unwrap() {
                        Some(chunk) => bytes.extend_from_slice(chunk),
                        None => break,
                    }
                }
                bytes
            });
            prop_assert!(bytes == text);
        }
    }
}

/// Every defect of padding, length and key is the same error, before the first byte.
#[tokio::test]
async fn every_failure_is_the_same_error() {
    let whole = body(&plaintext(100));
    let mut bodies: Vec<Vec<u8>> =
        [0, 1, 15, 17, 111, 113].map(|length| [&whole[..], &[0; 16]].concat()[..length].to_vec()).into();
    // Padding of no byte, of too many, and of bytes that differ.
    for last in [[0; 16], [17; 16], [255; 16]] {
        bodies.push(encrypt(&[&plaintext(96)[..], &last].concat()));
    }
    for length in 2..=16u8 {
        for wrong in 1..length {
            let mut last = [length; 16];
            last[15 - usize::from(wrong)] ^= 1;
            bodies.push(encrypt(&last));
        }
    }
    let mut messages = HashSet::new();
    for body in &bodies {
        for plan in PLANS {
            let error = download(body, &plan).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cbc);
            messages.insert(error.to_string());
        }
    }
    let wrong_key = open(&reader(2), &entries(1), None).unwrap();
    let error = decrypt(wrong_key, &whole, &[]).unwrap_err();
    messages.insert(format!("object \"a key\": {error}"));
    assert_eq!(messages.len(), 1, "{messages:?}");
}

/// One random key in 256 results in plausible padding.
#[test]
fn a_wrong_key_never_returns_plaintext() {
    for index in 0..3000u32 {
        let body = encrypt(&[&index.to_le_bytes()[..], &[12; 12]].concat());
        let content = open(&reader(2), &entries(1), None).unwrap();
        assert_eq!(kind(decrypt(content, &body, &[])), Some(ErrorKind::Cbc));
    }
}

#[test]
fn invalid_wrapped_keys_fail_like_a_damaged_body() {
    let mut entries = entries(1);
    for length in [0, 1, 15, 16, 32, 47, 48] {
        entries[0].1 = STANDARD.encode(vec![7; length]);
        let expected = if length == 0 { ErrorKind::Malformed } else { ErrorKind::Cbc };
        let read = open(&reader(1), &entries, None).and_then(|content| decrypt(content, &body(b"x"), &[]));
        assert_eq!(kind(read), Some(expected), "{length}");
    }
}

/// A difference between valid and invalid padding would let an attacker decrypt with the RSA key.
#[cfg(feature = "aws-lc")]
#[test]
fn valid_and_invalid_pkcs1_padding_are_the_same_error() {
    use crate::support::rsa_private;
    let policy = Policy::new(None, Some(SecurityProfile::V2AndLegacy)).unwrap();
    let answers = ["valid", "invalid"].map(|name| {
        let path = format!("{}/../../spec/vectors/legacy-rsa-oracle-{name}.json", env!("CARGO_MANIFEST_DIR"));
        let vector: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let pem = vector["key"]["private_key_pem"].as_str().unwrap();
        let key = encrypted_s3_core::keyring::Key { id: None, key: rsa_private(pem).into() };
        let metadata = vector["metadata"].as_object().unwrap().iter();
        let entries: Entries =
            metadata.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let content = open(&with_policy(policy, vec![key]), &entries, None).unwrap();
        // The last block must not happen to end in something like padding.
        decrypt(content, &[0x56; 112], &[]).unwrap_err().to_string()
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn the_size_is_the_one_that_the_writer_stored_if_it_is_possible() {
    let size = |entries: &[(&str, &str)], body_len| plaintext_len(entries.iter().copied(), body_len);
    let note = "x-amz-unencrypted-content-length";
    assert_eq!(size(&[("x-amz-key", "k"), (note, "17")], 32), Some(17));
    assert_eq!(size(&[("X-Amz-Key", "k"), (note, "17")], 48), None);
    assert_eq!(size(&[("x-amz-key", "k"), (note, "")], 32), None);
    assert_eq!(size(&[("x-amz-key", "k"), (note, "18446744073709551615")], 32), None);
    assert_eq!(size(&[("x-amz-key-v2", "k"), ("x-amz-cek-alg", "AES/CBC/PKCS5Padding")], 32), None);
    // The GCM formats ignore this entry.
    let gcm = [("x-amz-key-v2", "k"), ("x-amz-cek-alg", "AES/GCM/NoPadding"), (note, "17")];
    assert_eq!(size(&gcm, 32), Some(16));
    assert_eq!(size(&[("x-amz-3", "k"), (note, "17")], 32), Some(16));
    assert_eq!(size(&[("x-amz-i", "k"), (note, "17")], 32), Some(16));
    assert_eq!(size(&gcm, 15), None);
    // Only this entry: the envelope is in an instruction file.
    assert_eq!(size(&[(note, "17")], 32), Some(17));
    assert_eq!(size(&[(note, "16")], 32), Some(16));
    assert_eq!(size(&[], 32), Some(16));
}

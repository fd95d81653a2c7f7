//! Recovery keys, with which a data key is wrapped a second time. Keys and objects of another writer are from a program
//! in another language, which was written from `docs/format.md`.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::envelope::{ContentKey, Envelopes, Rewrap};
use encrypted_s3_core::keyring::RsaKey;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy};
use encrypted_s3_core::recovery::{self, ENTRY, Recovery};
use serde_json::Value;

use crate::support::{Now as _, decrypt, key, with_policy};

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/recovery/vectors.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
});

/// The DER in the PEM of a recovery key.
fn der(at: usize, name: &str) -> Vec<u8> {
    let lines = VECTORS["keys"][at][name].as_str().unwrap().lines().filter(|line| !line.starts_with('-'));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}

fn public(at: usize) -> RsaKey {
    RsaKey::from_public_der(&der(at, "public_key")).unwrap()
}

fn private(at: usize) -> RsaKey {
    RsaKey::from_private_der(&der(at, "private_key")).unwrap()
}

type Metadata = Vec<(String, String)>;

fn policies() -> [Policy; 2] {
    let v2 = Policy::new(Some(CommitmentPolicy::ForbidEncryptAllowDecrypt), None);
    let v3 = Policy::new(Some(CommitmentPolicy::RequireEncryptAllowDecrypt), None);
    [v2.expect("v2"), v3.expect("v3")]
}

fn writer(policy: Policy, keys: &[usize]) -> Envelopes {
    let keys = keys.iter().map(|at| public(*at)).collect();
    Envelopes { recovery: Recovery::for_writing(keys).expect("few"), ..with_policy(policy, vec![key(None, &[2; 32])]) }
}

/// A reader with only one of the objects' recovery keys.
fn reader(at: usize) -> Envelopes {
    let recovery = Recovery::for_reading(private(at)).expect("private");
    Envelopes { recovery, ..with_policy(Policy::default(), vec![key(None, &[9; 32])]) }
}

fn pairs(metadata: &Metadata) -> impl Iterator<Item = (&str, &str)> + Clone {
    metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The metadata of a new object.
fn seal(envelopes: &Envelopes) -> Metadata {
    envelopes.seal("folder/key").now().unwrap().1
}

fn unhex(digits: &str) -> Vec<u8> {
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

fn open(envelopes: &Envelopes, key: &str, metadata: &Metadata) -> Result<ContentKey, ErrorKind> {
    let opened = envelopes.open(key, pairs(metadata), None).now();
    opened.map(|opened| opened.content_key).map_err(|error| error.kind())
}

fn value(metadata: &Metadata) -> &str {
    &metadata.iter().find(|(name, _)| name == ENTRY).expect("an entry").1
}

fn with_value(metadata: &Metadata, new: &str) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.iter_mut().filter(|(name, _)| name == ENTRY).for_each(|(_, value)| new.clone_into(value));
    metadata
}

#[test]
fn each_recovery_key_opens_a_new_object_without_any_other_key() {
    for policy in policies() {
        let metadata = seal(&writer(policy, &[0, 1]));
        let usual = open(&writer(policy, &[]), "folder/key", &metadata).expect("opens");
        for at in [0, 1] {
            let recovered = open(&reader(at), "folder/key", &metadata).expect("opens");
            assert_eq!(recovered.object_id(), usual.object_id());
            assert_eq!(recovered.format(), usual.format());
        }
    }
}

#[test]
fn the_error_of_a_wrong_recovery_key_names_the_right_one() {
    let metadata = seal(&writer(Policy::default(), &[0]));
    let error = reader(1).open("folder/key", pairs(&metadata), None).now().expect_err("another key");
    assert_eq!(error.kind(), ErrorKind::Unwrap);
    let [named] = &recovery::fingerprints(pairs(&metadata))[..] else { panic!("one key") };
    assert!(error.to_string().contains(named), "{error}");
}

#[test]
fn an_object_without_an_entry_is_a_key_mismatch() {
    let metadata = seal(&writer(Policy::default(), &[]));
    assert!(metadata.iter().all(|(name, _)| name != ENTRY));
    assert_eq!(open(&reader(0), "folder/key", &metadata).expect_err("no entry"), ErrorKind::KeyMismatch);
}

#[test]
fn the_place_of_an_object_is_checked_with_recovery_keys_too() {
    let metadata = seal(&writer(Policy::default(), &[0]));
    assert_eq!(open(&reader(0), "folder/other", &metadata).expect_err("elsewhere"), ErrorKind::Misplaced);
}

#[test]
fn a_changed_entry_is_refused_by_recovery_keys_and_ignored_by_the_usual_keys() {
    for policy in policies() {
        let envelopes = writer(policy, &[0, 1]);
        let metadata = seal(&envelopes);
        let bytes = STANDARD.decode(value(&metadata)).expect("base64");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let metadata = with_value(&metadata, &STANDARD.encode(changed));
            let refused = open(&reader(0), "folder/key", &metadata).expect_err("changed");
            assert!(
                matches!(refused, ErrorKind::Malformed | ErrorKind::Unwrap | ErrorKind::Commitment),
                "{at}: {refused:?}"
            );
            assert!(open(&envelopes, "folder/key", &metadata).is_ok(), "{at}");
        }
        for length in [0, 1, 2, 33, 34, bytes.len() - 1] {
            let metadata = with_value(&metadata, &STANDARD.encode(&bytes[..length]));
            assert_eq!(open(&reader(0), "folder/key", &metadata).expect_err("cut"), ErrorKind::Malformed);
        }
        for text in ["", "!", "AA=="] {
            let metadata = with_value(&metadata, text);
            assert_eq!(open(&reader(0), "folder/key", &metadata).expect_err("junk"), ErrorKind::Malformed);
            assert!(open(&envelopes, "folder/key", &metadata).is_ok());
        }
    }
}

#[test]
fn the_entry_of_another_object_opens_nothing() {
    for policy in policies() {
        let envelopes = writer(policy, &[0]);
        let (one, other) = (seal(&envelopes), seal(&envelopes));
        let mixed = with_value(&one, value(&other));
        let refused = open(&reader(0), "folder/key", &mixed).expect_err("another object's");
        assert!(matches!(refused, ErrorKind::Malformed | ErrorKind::Commitment), "{refused:?}");
        let mut twice = one.clone();
        twice.push((ENTRY.to_uppercase(), value(&other).to_owned()));
        assert_eq!(open(&reader(0), "folder/key", &twice).expect_err("two"), ErrorKind::Malformed);
    }
}

#[test]
fn rotation_adds_replaces_repairs_and_keeps_the_entry() {
    for policy in policies() {
        let before = seal(&writer(policy, &[]));
        let rewrapped =
            |keys: &[usize], metadata: &Metadata| match writer(policy, keys).rewrap("folder/key", metadata).now() {
                Ok(Rewrap::Metadata(_, metadata)) => Some(metadata),
                Ok(Rewrap::Current(_)) => None,
                other => panic!("{other:?}"),
            };
        let one = rewrapped(&[0], &before).expect("added");
        assert!(open(&reader(0), "folder/key", &one).is_ok());
        assert_eq!(rewrapped(&[0], &one), None);
        assert_eq!(rewrapped(&[], &one), None);
        let both = rewrapped(&[0, 1], &one).expect("replaced");
        assert!(open(&reader(1), "folder/key", &both).is_ok());
        let last = rewrapped(&[1], &both).expect("replaced");
        assert_eq!(open(&reader(0), "folder/key", &last).expect_err("removed"), ErrorKind::Unwrap);
        let spoilt = with_value(&both, value(&seal(&writer(policy, &[0, 1]))));
        let repaired = rewrapped(&[0, 1], &spoilt).expect("repaired");
        assert!(open(&reader(0), "folder/key", &repaired).is_ok());
    }
}

#[test]
fn renaming_keeps_the_entry() {
    let envelopes = writer(Policy::default(), &[0]);
    let metadata = seal(&envelopes);
    let Ok(Rewrap::Metadata(_, moved)) = envelopes.rebind("folder/new", "folder/key", &metadata).now() else {
        panic!()
    };
    assert!(open(&reader(0), "folder/new", &moved).is_ok());
}

#[test]
fn public_keys_for_reading_and_too_many_keys_are_refused() {
    assert!(Recovery::for_reading(public(0)).is_err());
    assert!(Recovery::for_writing((0..9).map(|_| public(0)).collect()).is_err());
}

#[test]
fn objects_of_an_independent_writer_open_with_each_of_their_recovery_keys() {
    let objects = VECTORS["objects"].as_array().unwrap();
    assert_eq!(objects.len(), 4);
    for object in objects {
        let key = object["key"].as_str().unwrap();
        let metadata: Metadata = serde_json::from_value::<std::collections::BTreeMap<_, _>>(object["metadata"].clone())
            .unwrap()
            .into_iter()
            .collect();
        for at in object["recovery_keys"].as_array().unwrap() {
            let at = usize::try_from(at.as_u64().unwrap()).unwrap();
            let opened = reader(at).open(key, pairs(&metadata), None).now().unwrap();
            let plaintext = decrypt(opened.content_key, &unhex(object["body"].as_str().unwrap()), &[7]).unwrap();
            assert_eq!(plaintext, object["plaintext"].as_str().unwrap().as_bytes());
            let fingerprint = VECTORS["keys"][at]["fingerprint"].as_str().unwrap().to_owned();
            assert!(recovery::fingerprints(pairs(&metadata)).contains(&fingerprint));
        }
    }
}

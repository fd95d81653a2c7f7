//! The entries that are written, the effect of any change, and the recognition of formats.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::envelope::{Envelopes, MAX_INSTRUCTION_FILE};
use encrypted_s3_core::place::ENTRY;
use encrypted_s3_core::policy::{Policy, SecurityProfile};
use encrypted_s3_core::{ErrorKind, Result};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::support::{Entries, Now as _, decrypt, envelopes, key, kind, open, seal_all, under, value, with_policy};

mod instruction_files;

struct Object {
    keyring: Envelopes,
    entries: Entries,
    body: Vec<u8>,
}

impl Object {
    fn new(plaintext: &[u8], lengths: &[usize]) -> Self {
        let keyring = envelopes(vec![key(Some("k1"), &[7; 32])]);
        let (sealer, entries) = keyring.seal("an object").now().unwrap();
        let body = seal_all(sealer, plaintext, lengths);
        Self { keyring, entries, body }
    }

    /// In V3.
    fn committing(plaintext: &[u8]) -> Self {
        let policy = Policy::new(None, Some(SecurityProfile::V3)).unwrap();
        let keyring = with_policy(policy, vec![key(Some("k1"), &[7; 32])]);
        let (sealer, entries) = keyring.seal("an object").now().unwrap();
        let body = seal_all(sealer, plaintext, &[]);
        Self { keyring, entries, body }
    }

    fn read(&self, lengths: &[usize]) -> Result<Vec<u8>> {
        decrypt(open(&self.keyring, &self.entries, None)?, &self.body, lengths)
    }

    fn kind(&self) -> Option<ErrorKind> {
        kind(self.read(&[]))
    }

    fn set(&mut self, name: &str, text: &str) {
        self.remove(name);
        self.entries.push((name.to_owned(), text.to_owned()));
    }

    fn remove(&mut self, name: &str) {
        self.entries.retain(|(entry, _)| entry != name);
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        STANDARD.decode(&self.entries.iter().find(|(entry, _)| entry == name).unwrap().1).unwrap()
    }

    /// The envelope as an instruction file, and the object without it.
    fn into_instruction_file(self) -> (Self, Vec<u8>) {
        let file = instruction_file(self.entries);
        (Self { entries: vec![], ..self }, file)
    }
}

fn instruction_file(entries: Entries) -> Vec<u8> {
    let file = entries.into_iter().map(|(name, value)| (name, serde_json::Value::String(value)));
    serde_json::to_vec(&file.collect::<serde_json::Map<_, _>>()).unwrap()
}

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

proptest! {
    #[test]
    fn any_size_round_trips_in_pieces_of_any_length(
        plaintext in prop_oneof![vec(any::<u8>(), 0..70), vec(any::<u8>(), 0..70_000)],
        written in vec(0usize..20_000, 0..5),
        read in vec(0usize..20_000, 0..5),
    ) {
        let object = Object::new(&plaintext, &written);
        prop_assert_eq!(object.body.len(), plaintext.len() + 16);
        prop_assert!(object.read(&read).unwrap() == plaintext);
    }

    #[test]
    fn any_flipped_bit_of_the_body_is_noticed(plaintext in vec(any::<u8>(), 0..40_000), bit in any::<Index>()) {
        let mut object = Object::new(&plaintext, &[]);
        let bit = bit.index(object.body.len() * 8);
        flip(&mut object.body, bit);
        prop_assert_eq!(object.kind(), Some(ErrorKind::Auth));
    }

    #[test]
    fn any_changed_length_is_noticed(plaintext in vec(any::<u8>(), 0..5_000), cut in any::<Index>(), more in vec(any::<u8>(), 1..100)) {
        let mut object = Object::new(&plaintext, &[]);
        let whole = object.body.clone();
        object.body.extend(more);
        prop_assert_eq!(object.kind(), Some(ErrorKind::Auth));
        object.body = whole[..cut.index(whole.len())].to_vec();
        let expected = if object.body.len() < 16 { ErrorKind::Truncated } else { ErrorKind::Auth };
        prop_assert_eq!(object.kind(), Some(expected));
    }

    /// For any combination of known entries, nothing panics and nothing is decrypted without a key.
    #[test]
    fn any_mixture_of_entries_is_refused(entries in vec((select(&NAMES[..]), select(&VALUES[..])), 0..12), file in proptest::option::of(any::<[u8; 40]>())) {
        let entries: Entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let file = file.as_ref().map(|file| &file[..]);
        prop_assert!(open(&under(&[7; 32]), &entries, file).is_err());
        // A V1 envelope is not refused before its body.
        let legacy = with_policy(Policy::new(None, Some(SecurityProfile::V3AndLegacy)).unwrap(), vec![key(None, &[7; 32])]);
        prop_assert!(open(&legacy, &entries, file).and_then(|content| decrypt(content, &[0; 32], &[])).is_err());
    }
}

const NAMES: [&str; 16] = [
    "x-amz-key",
    "x-amz-key-v2",
    "x-amz-3",
    "x-amz-iv",
    "X-Amz-Iv",
    "x-amz-cek-alg",
    "x-amz-wrap-alg",
    "x-amz-tag-len",
    "x-amz-matdesc",
    "x-amz-c",
    "x-amz-d",
    "x-amz-i",
    "x-amz-w",
    "x-amz-m",
    "x-amz-t",
    "name",
];

const VALUES: [&str; 17] = [
    "",
    "115",
    "02",
    "12",
    "22",
    "128",
    "AES/GCM",
    "AES/GCM/NoPadding",
    "AES/CBC/PKCS5Padding",
    "AESWrap",
    "kms",
    "{}",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAA==",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
];

#[test]
fn the_entries_are_as_specified() {
    let object = Object::new(b"", &[]);
    let names: Vec<&str> = object.entries.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["x-amz-key-v2", "x-amz-wrap-alg", "x-amz-matdesc", "x-amz-iv", "x-amz-cek-alg", "x-amz-tag-len"];
    assert_eq!(names, [&expected[..], &["encrypted-s3-place"]].concat());
    let mut entries = object.entries.clone();
    assert_eq!(value(&mut entries, "x-amz-cek-alg"), "AES/GCM/NoPadding");
    assert_eq!(value(&mut entries, "x-amz-wrap-alg"), "AES/GCM");
    assert_eq!(value(&mut entries, "x-amz-tag-len"), "128");
    assert_eq!(value(&mut entries, "x-amz-matdesc"), r#"{"key_id":"k1"}"#);
    assert_eq!((object.bytes("x-amz-key-v2").len(), object.bytes("x-amz-iv").len()), (60, 12));
    assert!(entries.iter().all(|(_, value)| value.is_ascii()));
}

#[test]
fn a_flipped_bit_of_body_tag_nonce_or_wrapped_key_is_refused() {
    let mut object = Object::new(b"thirty-three bytes of plain text.", &[]);
    for bit in 0..object.body.len() * 8 {
        flip(&mut object.body, bit);
        assert_eq!(object.kind(), Some(ErrorKind::Auth), "bit {bit} of the body");
        flip(&mut object.body, bit);
    }
    for (name, expected) in [("x-amz-iv", ErrorKind::Auth), ("x-amz-key-v2", ErrorKind::Unwrap)] {
        let original = object.bytes(name);
        for bit in 0..original.len() * 8 {
            let mut changed = original.clone();
            flip(&mut changed, bit);
            object.set(name, &STANDARD.encode(changed));
            assert_eq!(object.kind(), Some(expected), "bit {bit} of {name}");
        }
        object.set(name, &STANDARD.encode(original));
    }
    assert!(object.read(&[]).is_ok());
}

#[test]
fn two_objects_with_the_same_plaintext_share_no_bytes() {
    let plaintext = vec![0; 4096];
    let objects = [Object::new(&plaintext, &[]), Object::new(&plaintext, &[])];
    for name in ["x-amz-key-v2", "x-amz-iv"] {
        assert_ne!(objects[0].bytes(name), objects[1].bytes(name));
    }
    // The nonce of the wrap is fresh too: it is the first 12 bytes of the wrapped key.
    let wrap_nonces = [0, 1].map(|i: usize| objects[i].bytes("x-amz-key-v2")[..12].to_vec());
    assert!(wrap_nonces[0] != wrap_nonces[1] && wrap_nonces[0] != objects[0].bytes("x-amz-iv"));
    // Equal blocks would mean a keystream used twice, within an object or in both.
    let blocks: Vec<&[u8]> = objects.iter().flat_map(|object| object.body.chunks(16)).collect();
    assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), blocks.len());
}

#[test]
fn an_envelope_does_not_open_another_object() {
    let mut objects = [Object::new(b"one", &[]), Object::new(b"two", &[])];
    let other = objects[1].entries.clone();
    assert_eq!(
        kind(decrypt(open(&objects[0].keyring, &other, None).unwrap(), &objects[0].body, &[])),
        Some(ErrorKind::Auth)
    );
    let nonce = STANDARD.encode(objects[1].bytes("x-amz-iv"));
    objects[0].set("x-amz-iv", &nonce);
    assert_eq!(objects[0].kind(), Some(ErrorKind::Auth));
}

/// One changed entry, and the required kind of error.
#[test]
fn each_changed_entry_has_its_own_error() {
    use ErrorKind::{FormatConfusion, KeyMismatch, LegacyDisabled, Malformed, Unsupported, Unwrap};

    let junk = format!(" {}", STANDARD.encode([1; 60]));
    let [short, long] = [59, 61].map(|length| STANDARD.encode(vec![1; length]));
    let iv16 = STANDARD.encode([1; 16]);
    let cases = [
        ("x-amz-cek-alg", "AES/CTR/NoPadding", Unsupported),
        ("x-amz-cek-alg", "aes/gcm/nopadding", Unsupported),
        ("x-amz-cek-alg", "AES/CBC/PKCS5Padding", Unsupported),
        ("x-amz-cek-alg", "AES/CBC/PKCS7Padding", Unsupported),
        ("x-amz-cek-alg", "", Malformed),
        ("x-amz-wrap-alg", "aes/gcm", Unsupported),
        ("x-amz-wrap-alg", "02", Unsupported),
        ("x-amz-wrap-alg", "AESWrap", LegacyDisabled),
        ("x-amz-wrap-alg", "kms", LegacyDisabled),
        ("x-amz-wrap-alg", "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", LegacyDisabled),
        ("x-amz-wrap-alg", "RSA-OAEP-SHA1", KeyMismatch),
        ("x-amz-wrap-alg", "kms+context", KeyMismatch),
        ("x-amz-tag-len", "96", Malformed),
        ("x-amz-tag-len", "0128", Malformed),
        ("x-amz-iv", &iv16, Malformed),
        ("x-amz-iv", "AAAAAAAAAAAAAAA", Malformed),
        ("x-amz-key-v2", &junk, Malformed),
        ("x-amz-key-v2", &short, Malformed),
        ("x-amz-key-v2", &long, Malformed),
        ("x-amz-key-v2", "AAAA\nAAAA", Malformed),
        ("x-amz-key-v2", "AAAA", Malformed),
        ("x-amz-key-v2", &junk[1..], Unwrap),
        ("x-amz-key", "AAAA", FormatConfusion),
        ("x-amz-3", "AAAA", FormatConfusion),
        ("x-amz-c", "115", FormatConfusion),
        ("x-amz-d", "", FormatConfusion),
        ("x-amz-i", "AAAA", FormatConfusion),
        ("x-amz-w", "02", FormatConfusion),
        ("X-AMZ-IV", "AAAAAAAAAAAAAAAA", Malformed),
    ];
    for (name, text, expected) in cases {
        let mut object = Object::new(b"plaintext", &[]);
        object.set(name, text);
        assert_eq!(object.kind(), Some(expected), "{name}: {text:?}");
    }
    for name in ["x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-tag-len"] {
        let mut object = Object::new(b"plaintext", &[]);
        object.remove(name);
        assert_eq!(object.kind(), Some(Malformed), "without {name}");
    }
    let mut object = Object::new(b"plaintext", &[]);
    object.remove("x-amz-key-v2");
    assert_eq!(object.kind(), Some(ErrorKind::MissingEnvelope));
}

/// The second wrapped key is valid too, so a reader that uses either of them would read the object.
#[test]
fn an_envelope_has_exactly_one_wrapped_key() {
    let v2 = Object::new(b"plaintext", &[]);
    let v3 = Object::committing(b"plaintext");
    for (object, name) in [(v2, "x-amz-key-v2"), (v3, "x-amz-3")] {
        let wrapped = STANDARD.encode(object.bytes(name));
        assert!(object.read(&[]).is_ok());
        for other in ["x-amz-key", "x-amz-key-v2", "x-amz-3"].into_iter().filter(|other| *other != name) {
            let entries = [&object.entries[..], &[(other.to_owned(), wrapped.clone())]].concat();
            let doubled = Object { keyring: object.keyring.clone(), entries, body: object.body.clone() };
            assert_eq!(doubled.kind(), Some(ErrorKind::FormatConfusion), "{other} beside {name}");
        }
        // S3 does not distinguish upper and lower case in names.
        let entries = [&object.entries[..], &[(name.to_uppercase(), wrapped)]].concat();
        let doubled = Object { keyring: object.keyring.clone(), entries, body: object.body.clone() };
        assert_eq!(doubled.kind(), Some(ErrorKind::Malformed), "{name} twice");
    }
}

#[test]
fn the_suite_of_the_other_format_is_refused() {
    for (mut object, name, other) in [
        (Object::new(b"plaintext", &[]), "x-amz-cek-alg", "115"),
        (Object::committing(b"plaintext"), "x-amz-c", "AES/GCM/NoPadding"),
    ] {
        object.set(name, other);
        assert_eq!(object.kind(), Some(ErrorKind::Unsupported), "{name}: {other}");
    }
}

#[test]
fn cbc_with_a_legacy_wrap_is_a_legacy_object() {
    let mut object = Object::new(b"plaintext", &[]);
    object.set("x-amz-cek-alg", "AES/CBC/PKCS5Padding");
    object.set("x-amz-wrap-alg", "AESWrap");
    object.set("x-amz-iv", &STANDARD.encode([1; 16]));
    assert_eq!(object.kind(), Some(ErrorKind::LegacyDisabled));
}

#[test]
fn other_metadata_and_a_wrong_length_entry_are_ignored() {
    let mut object = Object::new(b"plaintext", &[]);
    object.set("x-amz-unencrypted-content-length", "");
    object.set("x-amz-unencrypted-content-md5", "junk");
    object.set("note", "=?UTF-8?B?w4PChA==?=");
    assert_eq!(object.read(&[]).unwrap(), b"plaintext");
}

#[test]
fn missing_entries_are_a_missing_envelope() {
    let keyring = under(&[7; 32]);
    assert_eq!(kind(open(&keyring, &[], None)), Some(ErrorKind::MissingEnvelope));
    assert_eq!(kind(open(&keyring, &[], Some(b"{}"))), Some(ErrorKind::MissingEnvelope));
}

fn v3(names: &[&str]) -> Entries {
    let id = STANDARD.encode([1; 28]);
    let key = STANDARD.encode([1; 60]);
    let whole = [("x-amz-3", key.as_str()), ("x-amz-w", "02"), ("x-amz-c", "115"), ("x-amz-d", &id), ("x-amz-i", &id)];
    let wanted = whole.iter().filter(|(name, _)| names.contains(name));
    wanted.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn incomplete_v3_entries_are_not_taken_for_v3() {
    use ErrorKind::{FormatConfusion, Malformed, Unsupported, Unwrap};

    const WHOLE: [&str; 5] = ["x-amz-3", "x-amz-w", "x-amz-c", "x-amz-d", "x-amz-i"];
    let (wrap, content) = WHOLE.split_at(2);
    let keyring = under(&[7; 32]);
    // No key opens the wrapped key, which is noticed only after all other checks.
    assert_eq!(kind(open(&keyring, &v3(&WHOLE), None)), Some(Unwrap));
    for missing in WHOLE.iter().skip(1) {
        let rest: Vec<&str> = WHOLE.iter().filter(|name| *name != missing).copied().collect();
        assert_eq!(kind(open(&keyring, &v3(&rest), None)), Some(Malformed), "without {missing}");
    }
    for (name, text) in [("x-amz-c", "114"), ("x-amz-c", "0115"), ("x-amz-w", "01"), ("x-amz-w", "AES/GCM")] {
        let mut entries = v3(&WHOLE);
        *value(&mut entries, name) = text.to_owned();
        assert_eq!(kind(open(&keyring, &entries, None)), Some(Unsupported), "{name}: {text}");
    }
    for (name, text) in [("x-amz-3", "A"), ("x-amz-d", "AAAA"), ("x-amz-i", "AAAA"), ("x-amz-i", "")] {
        let mut entries = v3(&WHOLE);
        *value(&mut entries, name) = text.to_owned();
        assert_eq!(kind(open(&keyring, &entries, None)), Some(Malformed), "{name}: {text}");
    }
    for name in ["x-amz-iv", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-tag-len", "x-amz-matdesc"] {
        let entries = [v3(&WHOLE), vec![(name.to_owned(), String::new())]].concat();
        assert_eq!(kind(open(&keyring, &entries, None)), Some(FormatConfusion), "with {name}");
    }

    let iv = STANDARD.encode([1; 16]);
    let mut v1 = vec![("x-amz-key".to_owned(), "AAAA".to_owned()), ("x-amz-iv".to_owned(), iv)];
    assert_eq!(kind(open(&keyring, &v1, None)), Some(ErrorKind::LegacyDisabled));
    v1.extend(v3(&["x-amz-i"]));
    assert_eq!(kind(open(&keyring, &v1, None)), Some(FormatConfusion));

    // The contents of the file can be replaced without the object, so no entry that commits to the key may come from
    // there.
    let with_file =
        |object: &[&str], file: &[&str]| kind(open(&keyring, &v3(object), Some(&instruction_file(v3(file)))));
    assert_eq!(with_file(content, wrap), Some(Unwrap));
    assert_eq!(with_file(content, &["x-amz-3", "x-amz-w", "x-amz-i"]), Some(FormatConfusion));
    assert_eq!(with_file(&[], &WHOLE), Some(FormatConfusion));
    assert_eq!(with_file(&[], wrap), Some(FormatConfusion));
    assert_eq!(with_file(content, &[]), Some(FormatConfusion));
    assert_eq!(with_file(&WHOLE[1..], wrap), Some(FormatConfusion));
}

#[test]
fn messages_contain_only_short_excerpts_of_the_metadata() {
    let mut object = Object::new(b"plaintext", &[]);
    object.set("x-amz-wrap-alg", &"\u{1b}[31m".repeat(1000));
    let message = object.read(&[]).unwrap_err().to_string();
    assert!(message.len() < 700 && !message.contains('\u{1b}'), "{message}");
}

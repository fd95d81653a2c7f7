//! The additional promises of the key-committing V3 format.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{Entries, Now as _, decrypt, key, kind, open, seal_all, value, with_policy};

fn writer() -> Envelopes {
    let policy = Policy::new(Some(CommitmentPolicy::RequireEncryptRequireDecrypt), None).unwrap();
    with_policy(policy, vec![key(Some("k1"), &[7; 32])])
}

fn sealed(plaintext: &[u8], lengths: &[usize]) -> (Entries, Vec<u8>) {
    let (sealer, entries) = writer().seal("an object").now().unwrap();
    (entries, seal_all(sealer, plaintext, lengths))
}

fn read((entries, body): &(Entries, Vec<u8>), lengths: &[usize]) -> encrypted_s3_core::Result<Vec<u8>> {
    decrypt(open(&writer(), entries, None)?, body, lengths)
}

proptest! {
    #[test]
    fn any_size_round_trips_in_pieces_of_any_length(
        plaintext in prop_oneof![vec(any::<u8>(), 0..70), vec(any::<u8>(), 0..70_000)],
        written in vec(0usize..20_000, 0..5),
        lengths in vec(0usize..20_000, 0..5),
    ) {
        let object = sealed(&plaintext, &written);
        prop_assert_eq!(object.1.len(), plaintext.len() + 16);
        prop_assert!(read(&object, &lengths).unwrap() == plaintext);
    }

    #[test]
    fn any_flipped_bit_and_any_changed_length_is_noticed(plaintext in vec(any::<u8>(), 0..20_000), at in any::<Index>()) {
        let mut object = sealed(&plaintext, &[]);
        let bit = at.index(object.1.len() * 8);
        object.1[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(kind(read(&object, &[])), Some(ErrorKind::Auth));
        object.1[bit / 8] ^= 1 << (bit % 8);
        object.1.truncate(at.index(object.1.len()));
        let expected = if object.1.len() < 16 { ErrorKind::Truncated } else { ErrorKind::Auth };
        prop_assert_eq!(kind(read(&object, &[])), Some(expected));
    }
}

#[test]
fn the_entries_are_as_specified() {
    let (mut entries, _) = sealed(b"", &[]);
    let names: HashSet<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        HashSet::from(["x-amz-3", "x-amz-w", "x-amz-c", "x-amz-d", "x-amz-i", "x-amz-m", "encrypted-s3-place"])
    );
    assert_eq!(value(&mut entries, "x-amz-c"), "115");
    assert_eq!(value(&mut entries, "x-amz-w"), "02");
    assert_eq!(value(&mut entries, "x-amz-m"), r#"{"key_id":"k1"}"#);
    for (name, length) in [("x-amz-3", 60), ("x-amz-d", 28), ("x-amz-i", 28)] {
        assert_eq!(STANDARD.decode(value(&mut entries, name)).unwrap().len(), length, "{name}");
    }
}

#[test]
fn a_flipped_bit_of_commitment_message_id_or_wrapped_key_is_refused_before_the_body() {
    let object = sealed(b"plaintext", &[]);
    let cases =
        [("x-amz-d", ErrorKind::Commitment), ("x-amz-i", ErrorKind::Commitment), ("x-amz-3", ErrorKind::Unwrap)];
    for (name, expected) in cases {
        let mut entries = object.0.clone();
        let original = STANDARD.decode(value(&mut entries, name)).unwrap();
        for bit in 0..original.len() * 8 {
            let mut changed = original.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            *value(&mut entries, name) = STANDARD.encode(changed);
            assert_eq!(kind(open(&writer(), &entries, None)), Some(expected), "bit {bit} of {name}");
        }
    }
}

/// The purpose of the format: a different data key is refused, even if it is validly wrapped.
#[test]
fn a_data_key_of_another_object_is_refused() {
    let (mut one, _) = sealed(b"one", &[]);
    let (mut two, _) = sealed(b"two", &[]);
    std::mem::swap(value(&mut one, "x-amz-3"), value(&mut two, "x-amz-3"));
    assert_eq!(kind(open(&writer(), &one, None)), Some(ErrorKind::Commitment));
}

#[test]
fn wrapped_keys_of_v2_and_v3_are_not_interchangeable() {
    let (mut v3, _) = sealed(b"one", &[]);
    let reader = with_policy(Policy::default(), vec![key(Some("k1"), &[7; 32])]);
    let (_, mut v2) = reader.seal("an object").now().unwrap();
    std::mem::swap(value(&mut v3, "x-amz-3"), value(&mut v2, "x-amz-key-v2"));
    assert_eq!(kind(open(&reader, &v3, None)), Some(ErrorKind::Unwrap));
    assert_eq!(kind(open(&reader, &v2, None)), Some(ErrorKind::Unwrap));
}

#[test]
fn two_objects_with_the_same_plaintext_share_no_bytes() {
    let mut objects = [sealed(&[0; 64], &[]), sealed(&[0; 64], &[])];
    let [(a, one), (b, two)] = &mut objects;
    for name in ["x-amz-3", "x-amz-d", "x-amz-i"] {
        assert_ne!(value(a, name), value(b, name), "{name}");
    }
    let blocks: HashSet<&[u8]> = one.chunks(16).chain(two.chunks(16)).collect();
    assert_eq!(blocks.len(), 10);
}

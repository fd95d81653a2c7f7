//! The binding of an object to its key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::envelope::{Envelopes, Rewrap};
use encrypted_s3_core::place::{self, Claim, ENTRY, PlaceBinding};
use encrypted_s3_core::policy::{CommitmentPolicy, Policy};
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::{ErrorKind, Result};
use proptest::prelude::*;

use crate::support::{Entries, Now as _, envelopes, key, kind, with_policy};

const READING: [PlaceBinding; 2] = [PlaceBinding::Verify, PlaceBinding::Require];

fn data_key(byte: u8) -> DataKey {
    DataKey::from_bytes(&[byte; 32]).unwrap()
}

fn entry(byte: u8, key: &str) -> String {
    place::entry(&data_key(byte), key).unwrap().1
}

fn check(binding: PlaceBinding, metadata: &[(&str, &str)], byte: u8, key: &str) -> Result<()> {
    Claim::read(binding, false, metadata.iter().copied())?.check(&data_key(byte), key)
}

#[test]
fn an_object_is_read_only_under_the_key_it_was_written_to() {
    let entry = entry(1, "tenants/7/a");
    for binding in READING {
        let metadata = [("x-amz-iv", "other entries"), (ENTRY, entry.as_str())];
        check(binding, &metadata, 1, "tenants/7/a").unwrap();
        for other in ["tenants/8/a", "tenants/7/b", "tenants/7/a ", "Tenants/7/a", "/tenants/7/a", "a", ""] {
            assert_eq!(kind(check(binding, &metadata, 1, other)), Some(ErrorKind::Misplaced), "{other}");
        }
    }
}

#[test]
fn the_entry_of_another_object_is_refused_under_the_same_key() {
    for binding in READING {
        let refused = check(binding, &[(ENTRY, &entry(2, "a"))], 1, "a");
        assert_eq!(kind(refused), Some(ErrorKind::Misplaced));
    }
}

#[test]
fn keys_are_compared_by_bytes_without_unicode_normalization() {
    let refused = check(PlaceBinding::Verify, &[(ENTRY, &entry(1, "re\u{301}sume\u{301}"))], 1, "r\u{e9}sum\u{e9}");
    assert_eq!(kind(refused), Some(ErrorKind::Misplaced));
}

#[test]
fn stores_may_change_the_case_of_the_entrys_name() {
    check(PlaceBinding::Require, &[("Encrypted-S3-Place", &entry(1, "a"))], 1, "a").unwrap();
}

#[test]
fn without_an_entry_the_setting_determines_the_result() {
    check(PlaceBinding::Verify, &[("x-amz-iv", "")], 1, "a").unwrap();
    check(PlaceBinding::Off, &[], 1, "a").unwrap();
    assert_eq!(kind(check(PlaceBinding::Require, &[("x-amz-iv", "")], 1, "a")), Some(ErrorKind::PlaceRequired));
}

#[test]
fn off_ignores_any_entry() {
    for value in [entry(1, "b").as_str(), "nonsense", ""] {
        check(PlaceBinding::Off, &[(ENTRY, value)], 1, "a").unwrap();
        drop(Claim::read(PlaceBinding::Off, true, [(ENTRY, value)]).unwrap());
    }
}

#[test]
fn invalid_entries_are_refused_before_a_key_is_used() {
    let right = entry(1, "a");
    let short = STANDARD.encode([0; 31]);
    let long = STANDARD.encode([0; 33]);
    let unpadded = right.trim_end_matches('=').to_owned();
    let spaced = format!("{right} ");
    let twice = format!("{right},{right}");
    for value in ["", "nonsense", &short, &long, &unpadded, &spaced, &twice] {
        for binding in READING {
            assert_eq!(kind(Claim::read(binding, false, [(ENTRY, value)])), Some(ErrorKind::Misplaced), "{value:?}");
        }
    }
}

#[test]
fn two_entries_are_refused_even_if_one_is_right() {
    let right = entry(1, "a");
    let metadata = [(ENTRY, right.as_str()), ("ENCRYPTED-S3-PLACE", right.as_str())];
    for binding in READING {
        assert_eq!(kind(Claim::read(binding, false, metadata)), Some(ErrorKind::Misplaced));
    }
}

/// For a legacy object, a result that depends on the data key would reveal something about it.
#[test]
fn an_entry_of_a_legacy_object_is_refused() {
    let right = entry(1, "a");
    for binding in READING {
        let refused = Claim::read(binding, true, [(ENTRY, right.as_str())]);
        assert_eq!(kind(refused), Some(ErrorKind::Misplaced));
    }
    assert!(Claim::read(PlaceBinding::Verify, true, []).is_ok());
    assert_eq!(kind(Claim::read(PlaceBinding::Require, true, [])), Some(ErrorKind::PlaceRequired));
}

#[test]
fn the_entry_does_not_show_which_objects_share_a_key() {
    assert_ne!(entry(1, "a"), entry(2, "a"));
    assert_eq!(entry(1, "a").len(), 44);
}

#[test]
fn settings_are_parsed_by_name() {
    for binding in [PlaceBinding::Off, PlaceBinding::Verify, PlaceBinding::Require] {
        assert_eq!(PlaceBinding::from_name(binding.name()), Some(binding));
        assert_eq!(binding.writes(), binding != PlaceBinding::Off);
    }
    assert_eq!(PlaceBinding::from_name("Require"), None);
    assert_eq!(PlaceBinding::default(), PlaceBinding::Verify);
}

/// V2 and V3.
fn policies() -> [Policy; 2] {
    [CommitmentPolicy::ForbidEncryptAllowDecrypt, CommitmentPolicy::RequireEncryptAllowDecrypt]
        .map(|commitment| Policy::new(Some(commitment), None).unwrap())
}

fn bound(policy: Policy, place: PlaceBinding) -> Envelopes {
    Envelopes { place, ..with_policy(policy, vec![key(Some("2026"), &[2; 32])]) }
}

fn opened(envelopes: &Envelopes, key: &str, entries: &Entries) -> Option<ErrorKind> {
    kind(envelopes.open(key, entries.iter().map(|(name, value)| (name.as_str(), value.as_str())), None).now())
}

fn replaced(rewrap: Result<Rewrap>) -> Entries {
    match rewrap.unwrap() {
        Rewrap::Metadata(_, metadata) => metadata,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bound_object_opens_only_under_its_key() {
    for policy in policies() {
        let entries = bound(policy, PlaceBinding::Require).seal("a").now().unwrap().1;
        for binding in READING {
            assert_eq!(opened(&bound(policy, binding), "a", &entries), None);
            assert_eq!(opened(&bound(policy, binding), "b", &entries), Some(ErrorKind::Misplaced));
        }
        assert_eq!(opened(&bound(policy, PlaceBinding::Off), "b", &entries), None);
        let unbound = bound(policy, PlaceBinding::Off).seal("a").now().unwrap().1;
        assert!(!place::is_bound(unbound.iter().map(|(name, value)| (name.as_str(), value.as_str()))));
        assert_eq!(opened(&bound(policy, PlaceBinding::Verify), "b", &unbound), None);
        assert_eq!(opened(&bound(policy, PlaceBinding::Require), "a", &unbound), Some(ErrorKind::PlaceRequired));
    }
}

/// A result that depends on the key would reveal something about it to an attacker who removes the entry.
#[test]
fn a_missing_entry_is_reported_before_a_key_is_used() {
    let [policy, _] = policies();
    let unbound = bound(policy, PlaceBinding::Off).seal("a").now().unwrap().1;
    let other_key = Envelopes { place: PlaceBinding::Require, ..envelopes(vec![key(None, &[3; 32])]) };
    assert_eq!(opened(&other_key, "a", &unbound), Some(ErrorKind::PlaceRequired));
}

#[test]
fn rotation_keeps_the_entry_and_adds_a_missing_one() {
    for policy in policies() {
        let rotating = |place| Envelopes {
            place,
            ..with_policy(policy, vec![key(Some("new"), &[4; 32]), key(Some("2026"), &[2; 32])])
        };
        let entries = bound(policy, PlaceBinding::Verify).seal("a").now().unwrap().1;
        for binding in [PlaceBinding::Off, PlaceBinding::Verify, PlaceBinding::Require] {
            let rotated = replaced(rotating(binding).rewrap("a", &entries).now());
            let entry = |entries: &Entries| entries.iter().find(|(name, _)| name == ENTRY).cloned();
            assert_eq!(entry(&rotated), entry(&entries));
        }
        assert_eq!(kind(rotating(PlaceBinding::Verify).rewrap("b", &entries).now()), Some(ErrorKind::Misplaced));

        let unbound = bound(policy, PlaceBinding::Off).seal("a").now().unwrap().1;
        let writing = bound(policy, PlaceBinding::Verify);
        let given = replaced(writing.rewrap("a", &unbound).now());
        assert_eq!(opened(&bound(policy, PlaceBinding::Require), "a", &given), None);
        assert!(matches!(writing.rewrap("a", &given).now().unwrap(), Rewrap::Current(_)));
        let refused = bound(policy, PlaceBinding::Require).rewrap("a", &unbound).now();
        assert_eq!(kind(refused), Some(ErrorKind::PlaceRequired));
        let off = bound(policy, PlaceBinding::Off).rewrap("a", &unbound).now().unwrap();
        assert!(matches!(off, Rewrap::Current(_)));
    }
}

#[test]
fn rebinding_a_renamed_object_requires_its_former_key() {
    for policy in policies() {
        let writing = bound(policy, PlaceBinding::Verify);
        let entries = writing.seal("a").now().unwrap().1;
        let moved = replaced(writing.rebind("b", "a", &entries).now());
        assert_eq!(opened(&writing, "b", &moved), None);
        assert_eq!(opened(&writing, "a", &moved), Some(ErrorKind::Misplaced));
        assert!(matches!(writing.rebind("b", "a", &moved).now().unwrap(), Rewrap::Current(_)));
        assert_eq!(kind(writing.rebind("b", "c", &entries).now()), Some(ErrorKind::Misplaced));
        let unbound = bound(policy, PlaceBinding::Off).seal("a").now().unwrap().1;
        assert_eq!(kind(writing.rebind("b", "a", &unbound).now()), Some(ErrorKind::PlaceRequired));
    }
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(key in ".{0,40}", bit in 0usize..256) {
        let mut value = STANDARD.decode(entry(1, &key)).unwrap();
        value[bit / 8] ^= 1 << (bit % 8);
        let refused = check(PlaceBinding::Verify, &[(ENTRY, &STANDARD.encode(value))], 1, &key);
        prop_assert_eq!(kind(refused), Some(ErrorKind::Misplaced));
    }
}

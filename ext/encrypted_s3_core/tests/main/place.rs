//! What ties an object to its key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::place::{self, Claim, ENTRY, PlaceBinding};
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::{ErrorKind, Result};
use proptest::prelude::*;

use crate::support::kind;

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
fn an_object_is_read_under_the_key_it_was_written_to_and_no_other() {
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
fn an_entry_of_another_object_is_refused_under_the_same_key_too() {
    for binding in READING {
        let refused = check(binding, &[(ENTRY, &entry(2, "a"))], 1, "a");
        assert_eq!(kind(refused), Some(ErrorKind::Misplaced));
    }
}

#[test]
fn the_bytes_of_the_key_count_and_not_how_it_looks() {
    let refused = check(PlaceBinding::Verify, &[(ENTRY, &entry(1, "re\u{301}sume\u{301}"))], 1, "r\u{e9}sum\u{e9}");
    assert_eq!(kind(refused), Some(ErrorKind::Misplaced));
}

#[test]
fn stores_may_change_the_case_of_the_entrys_name() {
    check(PlaceBinding::Require, &[("Encrypted-S3-Place", &entry(1, "a"))], 1, "a").unwrap();
}

#[test]
fn without_an_entry_the_setting_decides() {
    check(PlaceBinding::Verify, &[("x-amz-iv", "")], 1, "a").unwrap();
    check(PlaceBinding::Off, &[], 1, "a").unwrap();
    assert_eq!(kind(check(PlaceBinding::Require, &[("x-amz-iv", "")], 1, "a")), Some(ErrorKind::PlaceRequired));
}

#[test]
fn switched_off_no_entry_is_looked_at() {
    for value in [entry(1, "b").as_str(), "nonsense", ""] {
        check(PlaceBinding::Off, &[(ENTRY, value)], 1, "a").unwrap();
        drop(Claim::read(PlaceBinding::Off, true, [(ENTRY, value)]).unwrap());
    }
}

#[test]
fn what_no_writer_makes_is_refused_before_a_key_is_used() {
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

/// There an answer that depends on the data key would be a question about it.
#[test]
fn a_legacy_object_has_no_entry() {
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
fn settings_have_names() {
    for binding in [PlaceBinding::Off, PlaceBinding::Verify, PlaceBinding::Require] {
        assert_eq!(PlaceBinding::from_name(binding.name()), Some(binding));
        assert_eq!(binding.writes(), binding != PlaceBinding::Off);
    }
    assert_eq!(PlaceBinding::from_name("Require"), None);
    assert_eq!(PlaceBinding::default(), PlaceBinding::Verify);
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

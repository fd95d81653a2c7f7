//! The entry for recovery keys. The input describes changes of its bytes, or of its text.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::recovery::{ENTRY, MAX_KEYS, Recovery, fingerprints};

use super::alteration::{alter, samples};
use super::vectors;
use crate::support::{Entries, Now as _, under};

struct Object {
    /// With the application's key.
    ours: Envelopes,
    /// With the recovery key.
    owners: Envelopes,
    entries: Entries,
}

/// A recovery key opens the object by its unchanged entry only. The application's key ignores the entry.
pub fn run(input: &[u8]) {
    let Some((mode, alteration)) = input.split_first() else { return };
    let object = object();
    let good = &object.entries.iter().find(|(name, _)| name == ENTRY).unwrap().1;
    let altered = match mode % 2 {
        0 => STANDARD.encode(alter(&STANDARD.decode(good).unwrap(), alteration)),
        _ => String::from_utf8_lossy(&alter(good.as_bytes(), alteration)).into_owned(),
    };
    let metadata = || {
        object
            .entries
            .iter()
            .map(|(name, value)| (name.as_str(), if name == ENTRY { altered.as_str() } else { value.as_str() }))
    };

    assert!(fingerprints(metadata()).len() <= MAX_KEYS);
    object.ours.open("an object", metadata(), None).now().unwrap();
    let opened = object.owners.open("an object", metadata(), None).now();
    assert_eq!(opened.is_ok(), altered == *good, "{altered:?}");
}

fn object() -> &'static Object {
    static OBJECT: OnceLock<Object> = OnceLock::new();
    OBJECT.get_or_init(|| {
        let writing = vec![vectors::rsa_key()];
        let ours = Envelopes { recovery: Recovery::for_writing(writing).unwrap(), ..under(&[7; 32]) };
        let owners = Envelopes { recovery: Recovery::for_reading(vectors::rsa_key()).unwrap(), ..under(&[8; 32]) };
        let (_, entries) = ours.seal("an object").now().unwrap();
        Object { ours, owners, entries }
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    [0, 1]
        .iter()
        .flat_map(|mode| samples().into_iter().map(move |alteration| [&[*mode][..], &alteration].concat()))
        .collect()
}

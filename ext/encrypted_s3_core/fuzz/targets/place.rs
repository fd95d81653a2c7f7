//! The entry that binds an object to its key.
//!
//! The input consists of the length of a key and that key, and the changes of the entry of the object "an object".

use std::sync::OnceLock;

use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::place::ENTRY;

use super::alteration::{alter, samples};
use crate::support::{Entries, Now as _, under};

const NAME: &str = "an object";

/// The object opens under its own key and with its own entry only.
pub fn run(input: &[u8]) {
    let Some((length, rest)) = input.split_first() else { return };
    let (key, alteration) = rest.split_at(usize::from(*length).min(rest.len()));
    let key = String::from_utf8_lossy(key);
    let key = if key.is_empty() { NAME } else { &key };
    let (envelopes, entries) = object();
    let good = &entries.iter().find(|(name, _)| name == ENTRY).unwrap().1;
    let altered = String::from_utf8_lossy(&alter(good.as_bytes(), alteration)).into_owned();

    let metadata = entries
        .iter()
        .map(|(name, value)| (name.as_str(), if name == ENTRY { altered.as_str() } else { value.as_str() }));
    let opened = envelopes.open(key, metadata, None).now();
    assert_eq!(opened.is_ok(), key == NAME && altered == *good, "{key:?} {altered:?}");
}

fn object() -> &'static (Envelopes, Entries) {
    static OBJECT: OnceLock<(Envelopes, Entries)> = OnceLock::new();
    OBJECT.get_or_init(|| {
        let envelopes = under(&[7; 32]);
        let (_, entries) = envelopes.seal(NAME).now().unwrap();
        (envelopes, entries)
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let keys = ["", NAME, "another"].map(|key| [&[u8::try_from(key.len()).unwrap()], key.as_bytes()].concat());
    keys.iter().flat_map(|key| samples().into_iter().map(move |alteration| [&key[..], &alteration].concat())).collect()
}

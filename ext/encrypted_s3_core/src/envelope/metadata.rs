//! The entries of an envelope, from the object's metadata or its instruction file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::{confusion, malformed, rfc2047};
use crate::error::{Error, ErrorKind, Result};

/// Maximum bytes of an instruction file; a real one has about 500.
pub const MAX_INSTRUCTION_FILE: usize = 64 * 1024;

/// The names of the entries, without the `x-amz-meta-` prefix of the HTTP headers.
pub(super) mod names {
    pub(in super::super) const V1_KEY: &str = "x-amz-key";
    pub(in super::super) const V2_KEY: &str = "x-amz-key-v2";
    pub(in super::super) const IV: &str = "x-amz-iv";
    pub(in super::super) const CONTENT_ALGORITHM: &str = "x-amz-cek-alg";
    pub(in super::super) const WRAP_ALGORITHM: &str = "x-amz-wrap-alg";
    pub(in super::super) const TAG_LENGTH: &str = "x-amz-tag-len";
    pub(in super::super) const MATERIAL_DESCRIPTION: &str = "x-amz-matdesc";
    pub(in super::super) const PLAINTEXT_LENGTH: &str = "x-amz-unencrypted-content-length";
    pub(in super::super) const V3_KEY: &str = "x-amz-3";
    pub(in super::super) const V3_SUITE: &str = "x-amz-c";
    pub(in super::super) const V3_WRAP_ALGORITHM: &str = "x-amz-w";
    pub(in super::super) const V3_COMMITMENT: &str = "x-amz-d";
    pub(in super::super) const V3_MESSAGE_ID: &str = "x-amz-i";
    pub(in super::super) const V3_MATERIAL_DESCRIPTION: &str = "x-amz-m";
    pub(in super::super) const V3_ENCRYPTION_CONTEXT: &str = "x-amz-t";
    /// Not part of Amazon's format: the ARN of the KMS key that wrapped the data key (`docs/format.md`, 6). With
    /// several keys it selects the first one to try. Always in the object's own metadata.
    pub(in super::super) const KMS_KEY: &str = "encrypted-s3-kms-key";

    /// The entry that marks the format: V1, V2, V3.
    pub(in super::super) const WRAPPED_KEYS: [&str; 3] = [V1_KEY, V2_KEY, V3_KEY];
    /// V3 entries that stay with the object, even if there is an instruction file.
    pub(in super::super) const V3_CONTENT: [&str; 3] = [V3_SUITE, V3_COMMITMENT, V3_MESSAGE_ID];
    /// V3 entries that are stored with the wrapped key.
    pub(in super::super) const V3_WRAP: [&str; 3] = [V3_WRAP_ALGORITHM, V3_MATERIAL_DESCRIPTION, V3_ENCRYPTION_CONTEXT];
    /// The other entries of V1 and V2 besides the wrapped key.
    pub(in super::super) const OLDER: [&str; 5] =
        [IV, CONTENT_ALGORITHM, WRAP_ALGORITHM, TAG_LENGTH, MATERIAL_DESCRIPTION];

    /// Entries whose text may not be ASCII.
    pub(super) const DESCRIPTIONS: [&str; 3] = [MATERIAL_DESCRIPTION, V3_MATERIAL_DESCRIPTION, V3_ENCRYPTION_CONTEXT];
    /// Entries that some clients write into instruction files as JSON numbers.
    pub(super) const NUMERIC: [&str; 2] = [TAG_LENGTH, PLAINTEXT_LENGTH];

    /// Whether there is a wrapped key among the metadata.
    pub(in super::super) fn hold_wrapped_key<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        metadata.into_iter().any(|(name, _)| WRAPPED_KEYS.iter().any(|key| key.eq_ignore_ascii_case(name)))
    }

    /// The constant for `name`, compared without regard to case: Go's client sends capitals, which S3 lower-cases and
    /// other stores may not. `None` for a name that is not part of an envelope.
    pub(super) fn known(name: &str) -> Option<&'static str> {
        WRAPPED_KEYS
            .into_iter()
            .chain(V3_CONTENT)
            .chain(V3_WRAP)
            .chain(OLDER)
            .chain([PLAINTEXT_LENGTH, KMS_KEY])
            .find(|known| known.eq_ignore_ascii_case(name))
    }
}

/// The entries of an envelope by name, without all other metadata.
#[derive(Debug, Default)]
pub(super) struct Entries(BTreeMap<&'static str, String>);

impl Entries {
    pub(super) fn from_metadata<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut entries = Self::default();
        for (name, value) in metadata {
            if let Some(name) = names::known(name) {
                entries.insert(name, undo_transport(name, value).into_owned())?;
            }
        }
        Ok(entries)
    }

    pub(super) fn from_instruction_file(file: &[u8]) -> Result<Self> {
        if file.len() > MAX_INSTRUCTION_FILE {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("the instruction file has more than {MAX_INSTRUCTION_FILE} bytes"),
            ));
        }
        let Pairs(object) = serde_json::from_slice(file).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the instruction file is not a JSON object").with_source(error)
        })?;
        let mut entries = Self::default();
        for (name, value) in object {
            if let Some(name) = names::known(&name) {
                entries.insert(name, text(name, value)?)?;
            }
        }
        Ok(entries)
    }

    /// With two entries that differ only in case, two readers could see two envelopes in one object.
    fn insert(&mut self, name: &'static str, value: String) -> Result<()> {
        match self.0.insert(name, value) {
            None => Ok(()),
            Some(_) => Err(malformed(name, "occurs twice")),
        }
    }

    /// The entries of the object and of its instruction file together.
    ///
    /// No entry of the envelope may be in both. In V1 and V2 only the plaintext's length, which is not used, may be
    /// outside of the file.
    pub(super) fn and(self, file: Self) -> Result<Self> {
        let stray = names::OLDER.iter().chain(&names::V3_WRAP).any(|name| self.holds(name));
        if stray {
            return Err(confusion("an envelope spread over the object and its instruction file"));
        }
        Ok(Self(self.0.into_iter().chain(file.0).collect()))
    }

    pub(super) fn holds(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn holds_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.holds(name))
    }

    /// The entry's text. An empty entry counts as absent, because Go's client writes unused entries empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(super) fn require(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| malformed(name, "is missing"))
    }

    /// The bytes of an entry in strict standard base64 with padding. Ruby's client skips invalid characters, so it
    /// accepts many spellings of one envelope.
    pub(super) fn base64(&self, name: &str) -> Result<Vec<u8>> {
        STANDARD.decode(self.require(name)?).map_err(|_| malformed(name, "is not base64"))
    }

    /// Like [`Entries::base64`], for an entry of exactly `N` bytes.
    pub(super) fn bytes<const N: usize>(&self, name: &str) -> Result<[u8; N]> {
        self.base64(name)?.try_into().map_err(|_| malformed(name, &format!("does not have {N} bytes")))
    }
}

/// The entries of a JSON object, including duplicate names. A map would keep the last duplicate; a reader that keeps
/// the first would see another envelope in the same object.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor)
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Pairs, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Pairs(pairs))
    }
}

fn undo_transport<'a>(name: &str, value: &'a str) -> Cow<'a, str> {
    if names::DESCRIPTIONS.contains(&name) { rfc2047::decode(value) } else { Cow::Borrowed(value) }
}

fn text(name: &str, value: Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) if names::NUMERIC.contains(&name) => Ok(number.to_string()),
        _ => Err(malformed(name, "is not a string in the instruction file")),
    }
}

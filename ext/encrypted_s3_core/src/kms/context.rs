//! Encryption contexts: pairs of strings that KMS binds to a wrapped data key and records in its log.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// The entry that every context has: the name of the content algorithm.
pub const CONTEXT_ALGORITHM: &str = "aws:x-amz-cek-alg";
/// The entry in which the first clients kept the id of the key.
const KEY_ID: &str = "kms_cmk_id";

/// Maximum bytes of a configured context, as JSON. S3 holds 2 KB of metadata for an object in total.
pub const MAX_CONTEXT_LEN: usize = 768;

/// An encryption context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// A configured context, without the reserved entry.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] for a reserved or empty name and for more than [`MAX_CONTEXT_LEN`] bytes.
    pub fn new(entries: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let wrong =
            |problem: String| Err(Error::new(ErrorKind::Configuration, format!("kms_encryption_context {problem}")));
        let context = Self(entries.into_iter().collect());
        if let Some(name) = [CONTEXT_ALGORITHM, KEY_ID].iter().find(|name| context.0.contains_key(**name)) {
            return wrong(format!("must not have the entry `{name}`, which the format reserves"));
        }
        if context.0.contains_key("") {
            return wrong("must not have an entry without a name".to_owned());
        }
        if context.to_json().len() > MAX_CONTEXT_LEN {
            return wrong(format!("must have at most {MAX_CONTEXT_LEN} bytes as JSON, because S3 limits metadata"));
        }
        Ok(context)
    }

    /// Parses the context of an envelope. It is not authenticated before KMS has checked it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] for anything but a JSON object of strings.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let refused = || {
            Error::new(ErrorKind::Malformed, "the encryption context of the envelope is not a JSON object of strings")
        };
        let Ok(Value::Object(entries)) = serde_json::from_str(text) else { return Err(refused()) };
        let entry = |(name, value)| match value {
            Value::String(value) => Ok((name, value)),
            _ => Err(refused()),
        };
        entries.into_iter().map(entry).collect::<Result<_>>().map(Self)
    }

    /// This context with the entry for the content algorithm `algorithm`.
    pub(crate) fn bound(&self, algorithm: &str) -> Self {
        let mut entries = self.0.clone();
        entries.insert(CONTEXT_ALGORITHM.to_owned(), algorithm.to_owned());
        Self(entries)
    }

    /// The name of its content algorithm.
    pub(crate) fn algorithm(&self) -> Option<&str> {
        self.0.get(CONTEXT_ALGORITHM).map(String::as_str)
    }

    /// The id of the key, where the first clients kept it.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.0.get(KEY_ID).map(String::as_str)
    }

    /// The entries that the writer was configured with, without the reserved ones.
    pub(crate) fn given(&self) -> Self {
        let mut entries = self.0.clone();
        entries.remove(CONTEXT_ALGORITHM);
        entries.remove(KEY_ID);
        Self(entries)
    }

    /// The names of the entries.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Compact JSON in ASCII with sorted names: S3 returns non-ASCII metadata in another encoding.
    pub(crate) fn to_json(&self) -> String {
        let mut json = String::new();
        for letter in serde_json::json!(self.0).to_string().chars() {
            if letter.is_ascii() {
                json.push(letter);
                continue;
            }
            for unit in letter.encode_utf16(&mut [0; 2]) {
                // Writing into a String does not fail.
                let _infallible = write!(json, "\\u{unit:04x}");
            }
        }
        json
    }

    /// Converts the context into the type of the SDK.
    pub(super) fn to_map(&self) -> HashMap<String, String> {
        self.0.clone().into_iter().collect()
    }
}

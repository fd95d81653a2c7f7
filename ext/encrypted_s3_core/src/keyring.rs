//! The configured wrapping keys: the first one writes, all of them read.
//!
//! Every object carries the id of its key in the material description, so that after a change of keys the right one is
//! tried first. The description is not authenticated: it chooses the order, never whether a key may be used.

mod aes;

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DataKey, WrappingKey};

/// The most characters a key id may have; S3 holds 2 KB of metadata for an object in total.
pub const MAX_ID_LEN: usize = 128;

/// The entry of the material description that holds the key id.
const ID_ENTRY: &str = "key_id";

/// One wrapping key and the name it goes by.
#[derive(Debug)]
pub struct Key {
    /// Stored with every object written under this key: 1 to 128 printable ASCII characters. `None` stores nothing, as
    /// the official clients do by default.
    pub id: Option<String>,
    /// The key itself.
    pub key: WrappingKey,
}

/// One or more wrapping keys; the first is the writing key.
#[derive(Debug)]
pub struct Keyring {
    writing: Key,
    further: Vec<Key>,
}

impl Keyring {
    /// A keyring of `keys`; objects are written under the first one and read under any.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when there is no key, when two keys have one id, or when an id is empty, longer than
    /// [`MAX_ID_LEN`] or holds anything but printable ASCII.
    pub fn new(keys: Vec<Key>) -> Result<Self> {
        check_ids(&keys)?;
        let mut keys = keys.into_iter();
        let writing =
            keys.next().ok_or_else(|| Error::new(ErrorKind::Configuration, "no encryption key is configured"))?;
        Ok(Self { writing, further: keys.collect() })
    }

    /// Wraps `data_key` by the writing key with `AES/GCM` and returns the wrapped key's bytes. `bind` is the text that
    /// ties it to the content algorithm.
    pub(crate) fn wrap_aes_gcm(&self, data_key: &DataKey, bind: &str) -> Result<Vec<u8>> {
        aes::wrap(&self.writing.key, data_key, bind)
    }

    /// The material description of what the writing key wraps: compact JSON, in ASCII, because S3 hands non-ASCII
    /// metadata back in another encoding than it took it.
    pub(crate) fn material_description(&self) -> String {
        match &self.writing.id {
            Some(id) => json!({ ID_ENTRY: id }).to_string(),
            None => "{}".to_owned(),
        }
    }

    /// Unwraps an `AES/GCM` wrapped key by whichever key opens it: first the one that `material_description` names, then
    /// the others. A description that cannot be read names no key.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] when `wrapped` does not have the length of a wrapped key, [`ErrorKind::Unwrap`] when no
    /// key opens it.
    pub(crate) fn unwrap_aes_gcm(&self, wrapped: &[u8], bind: &str, material_description: &str) -> Result<DataKey> {
        let wrapped = aes::Wrapped::parse(wrapped)?;
        let wanted = wanted_id(material_description);
        let named = |key: &&Key| wanted.is_some() && key.id == wanted;
        let in_order = self.keys().filter(named).chain(self.keys().filter(|key| !named(key)));
        for key in in_order {
            if let Some(data_key) = wrapped.unwrap(&key.key, bind)? {
                return Ok(data_key);
            }
        }
        Err(self.no_key_fits(wanted.as_deref()))
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.writing).chain(&self.further)
    }

    fn no_key_fits(&self, wanted: Option<&str>) -> Error {
        let message = match wanted {
            Some(id) if self.keys().any(|key| key.id.as_deref() == Some(id)) => {
                format!(
                    "the key {id:?} does not open the object's data key: a wrong key under this id or a changed envelope"
                )
            }
            Some(id) if is_valid_id(id) => {
                format!(
                    "the object asks for the key {id:?}, which is not configured, and no other key opens its data key"
                )
            }
            Some(_) | None => {
                "no configured key opens the object's data key: a wrong key or a changed envelope".to_owned()
            }
        };
        Error::new(ErrorKind::Unwrap, message)
    }
}

/// The key id in a material description, which is any text that somebody stored with the object.
fn wanted_id(material_description: &str) -> Option<String> {
    match serde_json::from_str::<Value>(material_description).ok()?.get_mut(ID_ENTRY)?.take() {
        Value::String(id) => Some(id),
        _ => None,
    }
}

fn check_ids(keys: &[Key]) -> Result<()> {
    let mut seen = HashSet::new();
    for id in keys.iter().filter_map(|key| key.id.as_deref()) {
        if !is_valid_id(id) {
            return Err(Error::new(
                ErrorKind::Configuration,
                format!("a key id has 1 to {MAX_ID_LEN} printable ASCII characters; {id:?} is none"),
            ));
        }
        if !seen.insert(id) {
            return Err(Error::new(ErrorKind::Configuration, format!("two keys have the id {id:?}")));
        }
    }
    Ok(())
}

fn is_valid_id(id: &str) -> bool {
    (1..=MAX_ID_LEN).contains(&id.len()) && id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

//! The files that belong to a key.
//!
//! A key may contain any text: `../`, a leading slash, letters that differ in case only, 1,024 bytes. Its name on the
//! disk has lower-case letters, digits, `-`, `_` and percent-encoded bytes only, so that no key leaves the folder and
//! no two keys collide on a file system that ignores case. Names are spread over folders as by Active Storage's Disk
//! service.

use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, Result};

/// The longest key in bytes, as on S3. A longer one would work here and fail in production.
const LONGEST_KEY: usize = 1024;
/// The longest name that contains the whole key. File systems allow 255 bytes, including an ending.
const LONGEST_NAME: usize = 180;
/// The number of bytes of a longer key with which its name begins. The rest is a digest.
const BEGINNING: usize = 100;
/// Precedes the digest. No encoded key contains it.
const DIGEST: char = '~';
/// The ending of records. No encoded key contains a full stop.
pub(super) const RECORD: &str = ".json";

const ENCODED: &AsciiSet = &with_capitals(NON_ALPHANUMERIC.remove(b'-').remove(b'_'));

const fn with_capitals(mut set: AsciiSet) -> AsciiSet {
    let mut letter = b'A';
    while letter <= b'Z' {
        set = set.add(letter);
        letter += 1;
    }
    set
}

/// The location of one object's files.
#[derive(Clone, Debug)]
pub(super) struct Location {
    /// The folder of its files, two levels below the root.
    pub(super) folder: PathBuf,
    /// The beginning of the names of its files.
    pub(super) name: String,
}

impl Location {
    /// Returns the location of the files of the object `key`.
    ///
    /// # Errors
    /// `Rejected` for a key that S3 would reject as well.
    pub(super) fn of(root: &Path, key: &str) -> Result<Self> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            let message =
                format!("a key must have from 1 to {LONGEST_KEY} bytes, as on S3; this one has {}", key.len());
            return Err(Error::new(ErrorKind::Rejected, message));
        }
        let mut name = encode(key);
        if name.len() > LONGEST_NAME {
            name.truncate(BEGINNING);
            name.push(DIGEST);
            name.push_str(&hex(&Sha256::digest(key)));
        }
        // Keys of one to three bytes have folders, too.
        let (first, second) = (at(&name, 0), at(&name, 2));
        Ok(Self { folder: root.join(first).join(second), name })
    }

    /// The record: the key, the metadata and the name of the body.
    pub(super) fn record(&self) -> PathBuf {
        self.folder.join(format!("{}{RECORD}", self.name))
    }

    /// Whether a file is a body of this object.
    pub(super) fn is_body(&self, file: &str) -> bool {
        let ending = file.strip_prefix(&self.name).and_then(|rest| rest.strip_prefix('.'));
        ending.is_some_and(|ending| ending.len() == 32 && ending.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }
}

/// The two letters of a name at `from`, padded.
fn at(name: &str, from: usize) -> String {
    format!("{:_<2}", name.chars().skip(from).take(2).collect::<String>())
}

/// A prefix of keys, translated to the names of folders and files.
#[derive(Debug)]
pub(super) struct Wanted {
    prefix: String,
    encoded: String,
}

impl Wanted {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), encoded: encode(prefix) }
    }

    /// Whether a folder `level` levels below the root (0 or 1) may contain such keys.
    pub(super) fn may_be_below(&self, folder: &str, level: usize) -> bool {
        let letters: String = self.encoded.chars().skip(level * 2).take(2).collect();
        folder.starts_with(&letters)
    }

    /// The key of a record with this file name, if the prefix matches or may match: a [`Name::Digest`] must be read.
    pub(super) fn key_in(&self, file: &str) -> Option<Name> {
        let name = file.strip_suffix(RECORD)?;
        if let Some((beginning, _)) = name.split_once(DIGEST) {
            let fits = beginning.starts_with(&self.encoded) || self.encoded.starts_with(beginning);
            return fits.then_some(Name::Digest);
        }
        let key = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        self.matches(&key).then_some(Name::Key(key))
    }

    /// Whether a key begins with the prefix.
    pub(super) fn matches(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
    }
}

/// The information in the name of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// The key.
    Key(String),
    /// Only a digest of the key, which is too long for a name.
    Digest,
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

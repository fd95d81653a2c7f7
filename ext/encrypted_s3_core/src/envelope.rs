//! The envelope: what an object carries in its metadata, or in an instruction file beside it, so that whoever has the
//! wrapping key can decrypt it (S3 Encryption Client specification, data format).
//!
//! Reading goes strictly in this order: which format it is, whether the envelope is whole and well-formed, whether this
//! version reads that format and wrap, and only then the keys. A bucket writer controls every byte looked at here; what
//! is refused before a key is used cannot be turned into a question about the key.

mod metadata;
mod rfc2047;
mod v2;
mod v3;

use crate::error::{Error, ErrorKind, Result};
use crate::gcm::{Opener, Sealer};
use crate::keyring::Keyring;
use metadata::{Entries, names};

pub use metadata::MAX_INSTRUCTION_FILE;

/// Starts a new object: a fresh data key and nonce, wrapped by the keyring's writing key, in the V2 format.
///
/// Returns what encrypts the body and the metadata to store with it, as (name, value) pairs in ASCII whose names lack
/// the `x-amz-meta-` prefix. The body is the ciphertext and then the tag. The plaintext's length is not among the
/// entries: it is optional, and nothing vouches for it.
///
/// # Errors
/// [`ErrorKind::Internal`] when the operating system's random source or the cipher fails.
pub fn seal(keyring: &Keyring) -> Result<(Sealer, Vec<(String, String)>)> {
    v2::seal(keyring)
}

/// Reads an object's envelope and unwraps its data key; returns what decrypts the body and checks the tag.
///
/// `metadata` are the object's own metadata entries as (name, value) pairs, without the `x-amz-meta-` prefix, in any
/// case, other people's entries included. `instruction_file` is the body of the instruction file, read up to
/// [`MAX_INSTRUCTION_FILE`] and one byte more; `None` when there is none or it is not to be used. It counts only when
/// the metadata holds no wrapped key.
///
/// # Errors
/// In the order of the checks:
/// [`ErrorKind::MissingEnvelope`], [`ErrorKind::FormatConfusion`], [`ErrorKind::Malformed`] and
/// [`ErrorKind::Unsupported`] for what the envelope is; [`ErrorKind::LegacyDisabled`] for V1, for wraps that do not bind
/// the content algorithm and for CBC; [`ErrorKind::KeyMismatch`] when another kind of key wrapped the data key;
/// [`ErrorKind::Unwrap`] when no configured key opens it.
pub fn open<'a>(
    keyring: &Keyring,
    metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    instruction_file: Option<&[u8]>,
) -> Result<Opener> {
    match Envelope::read(metadata, instruction_file)? {
        Envelope::V1 => Err(Error::new(
            ErrorKind::LegacyDisabled,
            "the object is in the legacy V1 format (AES-CBC without integrity), which this version does not read",
        )),
        Envelope::V2(envelope) => envelope.open(keyring),
        Envelope::V3 => Err(Error::new(
            ErrorKind::Unsupported,
            "the object is in the key-committing V3 format, which this version does not read yet",
        )),
    }
}

/// A whole and well-formed envelope, by format.
enum Envelope {
    V1,
    V2(v2::Envelope),
    V3,
}

impl Envelope {
    fn read<'a>(
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
        instruction_file: Option<&[u8]>,
    ) -> Result<Self> {
        let object = Entries::from_metadata(metadata)?;
        let entries = if object.holds_any(&names::WRAPPED_KEYS) { object } else { join(object, instruction_file)? };
        match names::WRAPPED_KEYS.map(|name| entries.holds(name)) {
            [true, false, false] => read_v1(&entries).map(|()| Self::V1),
            [false, true, false] => v2::Envelope::read(&entries).map(Self::V2),
            [false, false, true] => v3::check(&entries).map(|()| Self::V3),
            [false, false, false] => Err(missing("the instruction file holds no wrapped data key")),
            _ => Err(confusion("wrapped data keys of several formats")),
        }
    }
}

/// The envelope of an object whose wrapped key is in the instruction file. In V1 and V2 the file holds all of it; in V3
/// the object keeps the entries that commit to the key, so that replacing the file cannot replace the key.
fn join(object: Entries, instruction_file: Option<&[u8]>) -> Result<Entries> {
    let Some(file) = instruction_file else {
        return Err(missing("the object's metadata holds no wrapped data key, and there is no instruction file"));
    };
    let file = Entries::from_instruction_file(file)?;
    if file.holds_any(&names::V3_CONTENT) {
        return Err(confusion("an instruction file with entries that belong to the object"));
    }
    if file.holds(names::V3_KEY) != object.holds_any(&names::V3_CONTENT) {
        return Err(confusion("an object and an instruction file of different formats"));
    }
    object.and(file)
}

/// V1 is not decrypted; this much tells a V1 object from a broken one.
fn read_v1(entries: &Entries) -> Result<()> {
    refuse_v3_entries(entries)?;
    entries.base64(names::V1_KEY)?;
    entries.base64(names::IV)?;
    Ok(())
}

/// Without this an object could be passed off as key-committing by adding the entries that say so.
fn refuse_v3_entries(entries: &Entries) -> Result<()> {
    if entries.holds_any(&names::V3_CONTENT) || entries.holds_any(&names::V3_WRAP) {
        return Err(confusion("V3 entries beside a wrapped data key of an older format"));
    }
    Ok(())
}

fn missing(what: &str) -> Error {
    Error::new(ErrorKind::MissingEnvelope, format!("the object is not encrypted by an S3 encryption client: {what}"))
}

fn confusion(what: &str) -> Error {
    Error::new(ErrorKind::FormatConfusion, format!("the envelope mixes formats: {what}"))
}

fn malformed(name: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the envelope entry {name} {problem}"))
}

fn unsupported(name: &str, value: &str) -> Error {
    // The value is whatever the bucket writer put there: shown in part, and escaped.
    let value: String = value.chars().take(64).collect();
    Error::new(ErrorKind::Unsupported, format!("the envelope entry {name} is {value:?}, which is not supported"))
}

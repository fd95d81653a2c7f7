//! The envelope: what an object carries in its metadata, or in an instruction file beside it, so that whoever has the
//! wrapping key can decrypt it (S3 Encryption Client specification, data format).
//!
//! Reading goes strictly in this order: which format it is, whether the envelope is whole and well-formed, whether this
//! version reads that format and wrap, and only then the keys. A bucket writer controls every byte looked at here; what
//! is refused before a key is used cannot be turned into a question about the key.

mod commitment;
mod content_key;
mod length;
mod metadata;
mod rewrap;
mod rfc2047;
mod v1;
mod v2;
mod v3;

use crate::content::Content;
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::Sealer;
use crate::keyring::{KeyUse, Keyring};
use crate::place::{self, Claim, PlaceBinding};
use crate::policy::Policy;
use metadata::{Entries, names};

pub use content_key::ContentKey;
pub use length::plaintext_len;
pub use metadata::MAX_INSTRUCTION_FILE;
pub use rewrap::Rewrap;

/// How envelopes are made and read: by which keys, in which formats, and from where.
#[derive(Clone, Debug)]
pub struct Envelopes {
    /// The wrapping keys.
    pub keyring: Keyring,
    /// What is written and what is read.
    pub policy: Policy,
    /// What is put behind an object's key to name its instruction file (`.instruction` by custom). `None` reads none:
    /// then whoever can write to the bucket cannot give an object another envelope by adding one.
    pub instruction_file_suffix: Option<String>,
    /// Whether objects are bound to their keys, and must be.
    pub place: PlaceBinding,
}

/// The formats there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Legacy: AES-CBC.
    V1,
    /// AES-GCM under the data key.
    V2,
    /// The same with key commitment.
    V3,
}

impl Format {
    /// A stable name for Ruby and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        }
    }
}

/// An envelope that was opened.
#[derive(Debug)]
pub struct Opened {
    /// What decrypts the body and checks it.
    pub content: Content,
    /// The keys that it is made of.
    pub content_key: ContentKey,
    /// What the object is.
    pub format: Format,
    /// Which key opened it. `None` in V1, where that must not be known before the body was checked.
    pub key: Option<KeyUse>,
}

impl From<Keyring> for Envelopes {
    /// The default policy and place binding, without instruction files.
    fn from(keyring: Keyring) -> Self {
        let (policy, place) = (Policy::default(), PlaceBinding::default());
        Self { keyring, policy, instruction_file_suffix: None, place }
    }
}

impl Envelopes {
    /// Starts a new object under `key`: a fresh data key and nonce or message id, wrapped by the keyring's writing key,
    /// in the format that the policy asks for. `key` is all of the key in the bucket.
    ///
    /// Returns what encrypts the body and the metadata to store with it, as (name, value) pairs in ASCII whose names
    /// lack the `x-amz-meta-` prefix. The body is the ciphertext and then the tag. The plaintext's length is not among
    /// the entries: it is optional, and nothing vouches for it. Instruction files are not written: an object and its
    /// file cannot be replaced in one step, so that a failure between the two would lose the older object.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the operating system's random source or the cipher fails.
    pub fn seal(&self, key: &str) -> Result<(Sealer, Vec<(String, String)>)> {
        let (content_key, mut entries) = match self.policy.written_format() {
            Format::V3 => v3::seal(&self.keyring)?,
            Format::V1 | Format::V2 => v2::seal(&self.keyring)?,
        };
        if self.place.writes() {
            let (name, value) = place::entry(content_key.data_key(), key)?;
            entries.push((name.to_owned(), value));
        }
        let legacy = || Error::new(ErrorKind::Internal, "new objects are not in a legacy form");
        Ok((content_key.into_sealer()?.ok_or_else(legacy)?, entries))
    }

    /// Reads the envelope of the object under `key` and unwraps its data key; returns what decrypts the body and checks
    /// it, and by which key that was found. `key` is all of the key in the bucket.
    ///
    /// `metadata` are the object's own metadata entries as (name, value) pairs, without the `x-amz-meta-` prefix, in any
    /// case, other people's entries included. `instruction_file` is the body of the instruction file, read up to
    /// [`MAX_INSTRUCTION_FILE`] and one byte more; `None` when there is none or it is not to be used. It counts only
    /// when the metadata holds no wrapped key.
    ///
    /// # Errors
    /// In the order of the checks:
    /// [`ErrorKind::MissingEnvelope`], [`ErrorKind::FormatConfusion`], [`ErrorKind::Malformed`] and
    /// [`ErrorKind::Unsupported`] for what the envelope is; [`ErrorKind::CommitmentRequired`] and
    /// [`ErrorKind::LegacyDisabled`] for what the policy forbids; [`ErrorKind::PlaceRequired`] for an object that is bound
    /// to no key where it has to be; [`ErrorKind::KeyMismatch`] when another kind of key
    /// wrapped the data key; [`ErrorKind::Unwrap`] when no configured key opens it, and [`ErrorKind::AlgMismatch`] when
    /// it was wrapped for another content algorithm; [`ErrorKind::Commitment`] when it is not the key that a V3 object
    /// commits to; [`ErrorKind::Misplaced`] when it was written under another key of the bucket.
    pub fn open<'a>(
        &self,
        key: &str,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
        instruction_file: Option<&[u8]>,
    ) -> Result<Opened> {
        let envelope = Envelope::read(metadata.clone(), instruction_file)?;
        envelope.check(self.policy)?;
        let claim = Claim::read(self.place, envelope.legacy().is_some(), metadata)?;
        let (content_key, used) = envelope.open(&self.keyring)?;
        claim.check(content_key.data_key(), key)?;
        Ok(Opened { content: content_key.content()?, format: content_key.format(), content_key, key: used })
    }

    /// The key of the instruction file that has to be read for an object with this `metadata`, if there is one to read.
    pub(crate) fn instruction_file_for<'a>(
        &self,
        key: &str,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<String> {
        let file = self.instruction_file(key)?;
        (!names::hold_wrapped_key(metadata)).then_some(file)
    }

    /// The key under which the instruction file of an object would be, where those are read.
    pub fn instruction_file(&self, key: &str) -> Option<String> {
        self.instruction_file_suffix.as_ref().map(|suffix| format!("{key}{suffix}"))
    }
}

/// What an object's metadata say of it. Nothing vouches for it: it is for counting, not for deciding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The format, by the wrapped key that is there.
    pub format: Format,
    /// The id of the wrapping key, if one is named.
    pub key_id: Option<String>,
}

/// Describes an object by its metadata; `None` when they hold no wrapped key, or several.
pub fn describe<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Description> {
    let entries = Entries::from_metadata(metadata).ok()?;
    let (format, description) = match names::WRAPPED_KEYS.map(|name| entries.holds(name)) {
        [true, false, false] => (Format::V1, names::MATERIAL_DESCRIPTION),
        [false, true, false] => (Format::V2, names::MATERIAL_DESCRIPTION),
        [false, false, true] => (Format::V3, names::V3_MATERIAL_DESCRIPTION),
        _ => return None,
    };
    let key_id = entries.get(description).and_then(crate::keyring::wanted_id);
    Some(Description { format, key_id })
}

/// What tells a body from all others by the object's metadata: the nonce or message id, which no two have in common and
/// which stays when the wrapping key changes. `None` where it is not in the metadata. Nothing vouches for it.
pub(crate) fn body_id<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let entries = Entries::from_metadata(metadata).ok()?;
    entries.get(names::IV).or_else(|| entries.get(names::V3_MESSAGE_ID)).map(str::to_owned)
}

/// A whole and well-formed envelope, by format.
enum Envelope {
    V1(v1::Envelope),
    V2(v2::Envelope),
    V3(v3::Envelope),
}

impl Envelope {
    fn read<'a>(
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
        instruction_file: Option<&[u8]>,
    ) -> Result<Self> {
        let object = Entries::from_metadata(metadata)?;
        let entries = if object.holds_any(&names::WRAPPED_KEYS) { object } else { join(object, instruction_file)? };
        match names::WRAPPED_KEYS.map(|name| entries.holds(name)) {
            [true, false, false] => v1::Envelope::read(&entries).map(Self::V1),
            [false, true, false] => v2::Envelope::read(&entries).map(Self::V2),
            [false, false, true] => v3::Envelope::read(&entries).map(Self::V3),
            [false, false, false] => Err(missing("the instruction file holds no wrapped data key")),
            _ => Err(confusion("wrapped data keys of several formats")),
        }
    }

    /// Whether the policy lets such an object be read; decided before any key is used.
    fn check(&self, policy: Policy) -> Result<()> {
        if matches!(self, Self::V3(_)) {
            return Ok(());
        }
        policy.allow_uncommitted()?;
        self.legacy().map_or(Ok(()), |what| policy.allow_legacy(what))
    }

    /// Unwraps the data key; which key did it is not told of V1.
    fn open(&self, keyring: &Keyring) -> Result<(ContentKey, Option<KeyUse>)> {
        let known = |(content_key, used)| (content_key, Some(used));
        match self {
            Self::V1(envelope) => Ok((envelope.open(keyring)?, None)),
            Self::V2(envelope) => envelope.open(keyring).map(known),
            Self::V3(envelope) => envelope.open(keyring).map(known),
        }
    }

    /// What makes the object a legacy one, if it is.
    fn legacy(&self) -> Option<&'static str> {
        match self {
            Self::V1(_) => Some("is in the legacy V1 format (AES-CBC without integrity)"),
            Self::V2(envelope) => envelope.legacy(),
            Self::V3(_) => None,
        }
    }
}

/// The envelope of an object whose wrapped key is in the instruction file. In V1 and V2 the file holds all of it; in V3
/// the object keeps the entries that commit to the key, so that replacing the file cannot replace the key.
fn join(object: Entries, instruction_file: Option<&[u8]>) -> Result<Entries> {
    let Some(file) = instruction_file else {
        return Err(missing(
            "its metadata holds no wrapped data key, and no instruction file was read (those are read where \
             envelope_location is instruction_file)",
        ));
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

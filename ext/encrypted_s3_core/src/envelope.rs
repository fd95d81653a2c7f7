//! The envelope: the entries, in an object's metadata or in an instruction file beside it, from which the holder of the
//! wrapping key can decrypt the object (S3 Encryption Client specification, data format).
//!
//! Reading follows a strict order: the format is determined, the envelope is checked to be complete and well-formed,
//! the format and the wrapping algorithm are checked to be supported, and only then are keys used. Anybody who can
//! write to the bucket controls every byte of an envelope; an envelope that is refused before a key is used reveals
//! nothing about the key.

mod commitment;
mod content_key;
mod length;
mod metadata;
mod rewrap;
mod rewrap_file;
mod rfc2047;
mod v1;
mod v2;
mod v3;

use crate::error::{Error, ErrorKind, Result};
use crate::gcm::Sealer;
use crate::keyring::{KeyUse, Keyring, RsaKey};
use crate::place::{self, Claim, PlaceBinding};
use crate::policy::Policy;
use crate::recovery::{self, Recovery};
use metadata::{Entries, names};

pub use content_key::ContentKey;
pub use length::plaintext_len;
pub use metadata::MAX_INSTRUCTION_FILE;
pub use rewrap::Rewrap;
pub use rewrap_file::RewrapFile;
pub(crate) use rewrap_file::describe_file;
#[cfg(feature = "testing")]
pub use rfc2047::decode as decode_header;

/// Settings for making and reading envelopes: the keys, the formats and the location of the envelope.
#[derive(Clone, Debug)]
pub struct Envelopes {
    /// The wrapping keys.
    pub keyring: Keyring,
    /// The formats that are written and the formats that may be read.
    pub policy: Policy,
    /// The suffix that is appended to an object's key to get the key of its instruction file (usually `.instruction`).
    /// With `None`, instruction files are not read, and a writer to the bucket cannot give an object another envelope
    /// by adding one.
    pub instruction_file_suffix: Option<String>,
    /// Whether objects are bound to their keys, and whether an object without that binding is refused.
    pub place: PlaceBinding,
    /// Recovery keys, under which every new object can be opened without the keyring.
    pub recovery: Recovery,
}

/// The formats of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Legacy: AES-CBC.
    V1,
    /// AES-GCM under the data key.
    V2,
    /// AES-GCM with key commitment.
    V3,
}

impl Format {
    /// A stable name of the format, for Ruby and logs.
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
    /// The key of the content.
    pub content_key: ContentKey,
    /// The format of the object.
    pub format: Format,
    /// The wrapping key that opened the envelope. `None` for V1, where it must not be revealed before the body was
    /// checked.
    pub key: Option<KeyUse>,
}

impl From<Keyring> for Envelopes {
    /// Uses the default policy and place binding, no instruction files and no recovery keys.
    fn from(keyring: Keyring) -> Self {
        let (policy, place) = (Policy::default(), PlaceBinding::default());
        Self { keyring, policy, instruction_file_suffix: None, place, recovery: Recovery::default() }
    }
}

impl Envelopes {
    /// Starts a new object under `key`: makes a new data key and a new nonce or message id, and wraps the data key with
    /// the keyring's writing key, in the format of the policy. `key` is the whole key in the bucket.
    ///
    /// Returns the sealer that encrypts the body, and the metadata to store with it: (name, value) pairs in ASCII, the
    /// names without the `x-amz-meta-` prefix. The body is the ciphertext followed by the tag. The entries do not
    /// include the length of the plaintext, which is optional and not authenticated. Instruction files are not written:
    /// an object and its file cannot be replaced in one step, and a failure between the two steps would lose the older
    /// object.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the operating system's random source or the cipher fails; for a writing key in KMS
    /// also those of [`KeyService`](crate::kms::KeyService).
    pub async fn seal(&self, key: &str) -> Result<(Sealer, Vec<(String, String)>)> {
        let (content_key, entries) = self.begin(key).await?;
        let legacy = || Error::new(ErrorKind::Internal, "new objects are not in a legacy form");
        Ok((content_key.into_sealer()?.ok_or_else(legacy)?, entries))
    }

    /// Like [`seal`](Self::seal), but returns the key of the content, for callers that also make the object's segment
    /// map.
    ///
    /// # Errors
    /// The errors of [`seal`](Self::seal).
    pub async fn begin(&self, key: &str) -> Result<(ContentKey, Vec<(String, String)>)> {
        let (content_key, mut entries) = match self.policy.written_format() {
            Format::V3 => v3::seal(&self.keyring).await?,
            Format::V1 | Format::V2 => v2::seal(&self.keyring).await?,
        };
        if self.place.writes() {
            let (name, value) = place::entry(content_key.data_key(), key)?;
            entries.push((name.to_owned(), value));
        }
        if let Some((name, value)) = self.recovery.entry(&content_key)? {
            entries.push((name.to_owned(), value));
        }
        Ok((content_key, entries))
    }

    /// Reads the envelope of the object under `key` and unwraps its data key. Returns the key of the content and
    /// the wrapping key that was used. `key` is the whole key in the bucket.
    ///
    /// `metadata` is the object's own metadata as (name, value) pairs, without the `x-amz-meta-` prefix and in any
    /// case; it may include entries of other programs. `instruction_file` is the body of the instruction file, of which
    /// at most [`MAX_INSTRUCTION_FILE`] bytes and one more need to be read; `None` when there is none or it must not be
    /// used. It is used only when the metadata holds no wrapped key.
    ///
    /// # Errors
    /// In the order of the checks:
    /// [`ErrorKind::MissingEnvelope`], [`ErrorKind::FormatConfusion`], [`ErrorKind::Malformed`] and
    /// [`ErrorKind::Unsupported`] for the envelope itself; [`ErrorKind::CommitmentRequired`] and
    /// [`ErrorKind::LegacyDisabled`] for an object that the policy forbids; [`ErrorKind::PlaceRequired`] for an object
    /// that is not bound to a key although the setting requires it; [`ErrorKind::KeyMismatch`] when the data key was
    /// wrapped with another kind of key; [`ErrorKind::Unwrap`] when no configured key opens the envelope, and
    /// [`ErrorKind::AlgMismatch`] when the data key was wrapped for another content algorithm; for a key in KMS
    /// [`ErrorKind::ContextMismatch`] and those of [`KeyService`](crate::kms::KeyService);
    /// [`ErrorKind::Commitment`] when the data key is not the one that a V3 object commits to; [`ErrorKind::Misplaced`]
    /// when the object was written under another key of the bucket.
    pub async fn open<'a>(
        &self,
        key: &str,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)> + Clone,
        instruction_file: Option<&[u8]>,
    ) -> Result<Opened> {
        let envelope = Envelope::read(metadata.clone(), instruction_file)?;
        envelope.check(self.policy)?;
        let claim = Claim::read(self.place, envelope.legacy().is_some(), metadata.clone())?;
        let (content_key, used) = match self.recovery.reading() {
            Some(key) => envelope.recover(key, metadata)?,
            None => envelope.open(&self.keyring).await?,
        };
        claim.check(content_key.data_key(), key)?;
        Ok(Opened { format: content_key.format(), content_key, key: used })
    }

    /// Returns the key of the instruction file of an object with this `metadata`; `None` if the object needs none.
    pub(crate) fn instruction_file_for<'a>(
        &self,
        key: &str,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Option<String> {
        let file = self.instruction_file(key)?;
        (!names::hold_wrapped_key(metadata)).then_some(file)
    }

    /// Returns the key of an object's instruction file, whether or not the file exists; `None` if instruction files are
    /// not read.
    pub fn instruction_file(&self, key: &str) -> Option<String> {
        self.instruction_file_suffix.as_ref().map(|suffix| format!("{key}{suffix}"))
    }
}

/// A description of an object by its metadata. It is not authenticated: use it for counting, not for decisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The format, determined by the entry of the wrapped key.
    pub format: Format,
    /// The id of the wrapping key, if the envelope names one; for a key in KMS its ARN.
    pub key_id: Option<String>,
}

/// Describes an object by its metadata; returns `None` when the metadata holds no wrapped key, or several.
pub fn describe<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Description> {
    described(&Entries::from_metadata(metadata).ok()?)
}

fn described(entries: &Entries) -> Option<Description> {
    let (format, description) = match names::WRAPPED_KEYS.map(|name| entries.holds(name)) {
        [true, false, false] => (Format::V1, names::MATERIAL_DESCRIPTION),
        [false, true, false] => (Format::V2, names::MATERIAL_DESCRIPTION),
        [false, false, true] => (Format::V3, names::V3_MATERIAL_DESCRIPTION),
        _ => return None,
    };
    let in_kms = || entries.get(names::KMS_KEY).map(str::to_owned);
    let key_id = entries.get(description).and_then(crate::keyring::wanted_id).or_else(in_kms);
    Some(Description { format, key_id })
}

/// Returns an identifier of the body from the object's metadata: the nonce or the message id. No two bodies share it,
/// and it stays when the wrapping key changes. `None` when it is not in the metadata. It is not authenticated.
pub(crate) fn body_id<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<String> {
    let entries = Entries::from_metadata(metadata).ok()?;
    entries.get(names::IV).or_else(|| entries.get(names::V3_MESSAGE_ID)).map(str::to_owned)
}

/// A complete and well-formed envelope, by format.
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
            [false, false, false] => Err(missing("the instruction file contains no wrapped data key")),
            _ => Err(confusion("wrapped data keys of several formats")),
        }
    }

    /// Checks that the policy allows reading an object of this kind. This is decided before any key is used.
    fn check(&self, policy: Policy) -> Result<()> {
        if matches!(self, Self::V3(_)) {
            return Ok(());
        }
        policy.allow_uncommitted()?;
        self.legacy().map_or(Ok(()), |reason| policy.allow_legacy(reason))
    }

    /// Unwraps the data key. Returns it and the wrapping key that was used; for V1 the wrapping key is not revealed.
    async fn open(&self, keyring: &Keyring) -> Result<(ContentKey, Option<KeyUse>)> {
        let known = |(content_key, used)| (content_key, Some(used));
        match self {
            Self::V1(envelope) => Ok((envelope.open(keyring)?, None)),
            Self::V2(envelope) => envelope.open(keyring).await.map(known),
            Self::V3(envelope) => envelope.open(keyring).await.map(known),
        }
    }

    /// Unwraps the data key with a private recovery key instead of the keyring, by an entry of the object's own
    /// `metadata`.
    fn recover<'a>(
        &self,
        key: &RsaKey,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<(ContentKey, Option<KeyUse>)> {
        let entry = recovery::Entry::read(metadata)?.ok_or_else(recovery::missing)?;
        let data_key = entry.unwrap(key)?;
        let content_key = match self {
            Self::V2(envelope) if envelope.legacy().is_none() => envelope.content_key(data_key),
            Self::V3(envelope) => envelope.content_key(data_key)?,
            Self::V1(_) | Self::V2(_) => return Err(recovery::missing()),
        };
        entry.check(&content_key)?;
        Ok((content_key, None))
    }

    /// The reason why the object counts as legacy; `None` if it does not.
    fn legacy(&self) -> Option<&'static str> {
        match self {
            Self::V1(_) => Some("is in the legacy V1 format (AES-CBC without integrity)"),
            Self::V2(envelope) => envelope.legacy(),
            Self::V3(_) => None,
        }
    }
}

/// Returns the complete envelope of an object whose wrapped key is in the instruction file. In V1 and V2 the file holds
/// the whole envelope. In V3 the object keeps the entries that commit to the key, so that replacing the file cannot
/// replace the key.
fn join(object: Entries, instruction_file: Option<&[u8]>) -> Result<Entries> {
    let Some(file) = instruction_file else {
        return Err(missing(
            "its metadata contains no wrapped data key, and no instruction file was read (they are read with \
             `envelope_location: instruction_file`). If the object is a copy, it was copied without its metadata: \
             copy it again with its metadata",
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

/// Refuses V3 entries in an older envelope. Otherwise added entries could make an object appear to be key-committing.
fn refuse_v3_entries(entries: &Entries) -> Result<()> {
    if entries.holds_any(&names::V3_CONTENT) || entries.holds_any(&names::V3_WRAP) {
        return Err(confusion("V3 entries beside a wrapped data key of an older format"));
    }
    Ok(())
}

fn missing(detail: &str) -> Error {
    Error::new(ErrorKind::MissingEnvelope, format!("the object is not encrypted by an S3 encryption client: {detail}"))
}

fn confusion(detail: &str) -> Error {
    Error::new(ErrorKind::FormatConfusion, format!("the envelope mixes formats: {detail}"))
}

fn malformed(name: &str, problem: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("the envelope entry {name} {problem}"))
}

fn unsupported(name: &str, value: &str) -> Error {
    // Anybody who can write to the bucket chooses this value: show only a part of it, and escape it.
    let value: String = value.chars().take(64).collect();
    Error::new(ErrorKind::Unsupported, format!("the envelope entry {name} is {value:?}, which is not supported"))
}

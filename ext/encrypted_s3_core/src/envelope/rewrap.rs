//! New metadata for an object whose body stays the same: its data key is wrapped by the writing key, or it is bound to
//! another place.

use super::metadata::names;
use super::{ContentKey, Envelope, Envelopes, Format, v2, v3};
use crate::error::{Error, ErrorKind, Result};
use crate::keyring::{KeyUse, Keyring, ReEncrypted, WrappedKey, Wrapping};
use crate::place::{self, Claim, PlaceBinding};
use crate::secret::DataKey;

/// A metadata entry that changes: its name, and its new value or `None` when it is removed.
pub(super) type Changed = (&'static str, Option<String>);

/// Builds the entries of a wrapped data key in one format.
type Entries = fn(Wrapping) -> Vec<Changed>;

/// The required change of an object's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrap {
    /// No change: the metadata are already correct.
    Current(Format),
    /// All of the object's new metadata, including entries of other programs.
    Metadata(Format, Vec<(String, String)>),
    /// The object must be encrypted again; the text is the reason.
    Reencrypt(&'static str),
}

/// An object whose metadata or instruction file can be replaced.
pub(super) struct Replaceable {
    envelope: Envelope,
    claim: Claim,
}

impl Replaceable {
    pub(super) fn format(&self) -> Format {
        if matches!(self.envelope, Envelope::V3(_)) { Format::V3 } else { Format::V2 }
    }

    /// The wrapped data key, and the function that builds the entries of another wrap in the same format; `None` for
    /// V1.
    fn wrapped(&self) -> Option<(WrappedKey<'_>, Entries)> {
        match &self.envelope {
            Envelope::V1(_) => None,
            Envelope::V2(envelope) => Some((envelope.wrapped(), v2::wrapped_entries)),
            Envelope::V3(envelope) => Some((envelope.wrapped(), v3::wrapped_entries)),
        }
    }

    /// The entries that change when KMS rewraps the data key without revealing it; `None` when KMS alone cannot.
    async fn re_encrypt(&self, keyring: &Keyring) -> Result<Option<Vec<Changed>>> {
        let Some((wrapped, entries)) = self.wrapped() else { return Ok(None) };
        Ok(match keyring.re_encrypt(&wrapped).await? {
            ReEncrypted::Changed(wrapping) => Some(entries(wrapping)),
            ReEncrypted::Current(arn) if wrapped.kms_key == Some(arn.as_str()) => Some(Vec::new()),
            // Written by another client, which does not name the key.
            ReEncrypted::Current(arn) => Some(vec![(names::KMS_KEY, Some(arn))]),
            ReEncrypted::Impossible => None,
        })
    }

    /// The entries that change when the writing key wraps the data key, which `used` has unwrapped; none when `used` is
    /// the writing key, according to the envelope.
    async fn rewrap(&self, keyring: &Keyring, key: &ContentKey, used: Option<&KeyUse>) -> Result<Vec<Changed>> {
        let (Some((wrapped, entries)), Some(used)) = (self.wrapped(), used) else { return Ok(Vec::new()) };
        if used.is_writing && keyring.describes_writing_key(&wrapped) {
            return Ok(Vec::new());
        }
        Ok(entries(keyring.wrap(key.data_key(), wrapped.bind).await?))
    }
}

impl Envelopes {
    /// Wraps the data key of the object under `key`, with this `metadata`, by the writing key. The format stays the
    /// same: a V2 object has no commitment to its data key, and wrapping the key as in V3 would not add one. If place
    /// binding is on, an object without a place entry is bound to `key`. If there are recovery keys, an object whose
    /// recovery entry is not for exactly these keys gets a new one.
    ///
    /// Between two KMS keys the data key does not leave KMS. Then the place entry and the recovery entry are kept
    /// without a check.
    ///
    /// # Errors
    /// The errors of [`open`](Envelopes::open).
    pub async fn rewrap(&self, key: &str, metadata: &[(String, String)]) -> Result<Rewrap> {
        let object = match self.replaceable(self.place, metadata, None)? {
            Ok(object) => object,
            Err(why) => return Ok(Rewrap::Reencrypt(why)),
        };
        let format = object.format();
        let changed = self.changes(&object, key, Some(metadata)).await?;
        Ok(if changed.is_empty() {
            Rewrap::Current(format)
        } else {
            Rewrap::Metadata(format, replaced(metadata, changed))
        })
    }

    /// The entries that change when the writing key wraps the data key of an object. If its own `metadata` can change,
    /// these include the place entry for `key` and the recovery entry.
    pub(super) async fn changes(
        &self,
        object: &Replaceable,
        key: &str,
        metadata: Option<&[(String, String)]>,
    ) -> Result<Vec<Changed>> {
        let binds = metadata.is_some() && self.place.writes() && object.claim.is_absent();
        // A new recovery entry needs the data key.
        let is_recoverable = metadata.is_none_or(|metadata| self.recovery.is_named(pairs(metadata)));
        if !binds
            && is_recoverable
            && let Some(changed) = object.re_encrypt(&self.keyring).await?
        {
            return Ok(changed);
        }
        let (content_key, used) = object.envelope.open(&self.keyring).await?;
        object.claim.check(content_key.data_key(), key)?;
        let mut changed = object.rewrap(&self.keyring, &content_key, used.as_ref()).await?;
        if binds {
            changed.push(place_entry(content_key.data_key(), key)?);
        }
        if let Some(metadata) = metadata {
            let recovery = self.recovery.update(&content_key, pairs(metadata))?;
            changed.extend(recovery.map(|(name, value)| (name, Some(value))));
        }
        Ok(changed)
    }

    /// Binds an object that was written under the key `former`, and renamed or copied since, to its present `key`.
    /// Works with any place binding setting.
    ///
    /// # Errors
    /// The errors of [`open`](Envelopes::open); `Misplaced` when it was written neither under `key` nor under `former`,
    /// `PlaceRequired` when it has no place entry.
    pub async fn rebind(&self, key: &str, former: &str, metadata: &[(String, String)]) -> Result<Rewrap> {
        let object = match self.replaceable(PlaceBinding::Verify, metadata, None)? {
            Ok(object) => object,
            Err(why) => return Ok(Rewrap::Reencrypt(why)),
        };
        let (content_key, _) = object.envelope.open(&self.keyring).await?;
        let (data_key, format) = (content_key.data_key(), object.format());
        if object.claim.is_absent() {
            return Err(unbound());
        }
        if object.claim.check(data_key, key).is_ok() {
            return Ok(Rewrap::Current(format));
        }
        object.claim.check(data_key, former).map_err(|error| match error.kind() {
            ErrorKind::Misplaced => elsewhere(former),
            _ => error,
        })?;
        Ok(Rewrap::Metadata(format, replaced(metadata, vec![place_entry(data_key, key)?])))
    }

    /// Reads the envelope of an object whose metadata, or whose instruction file, can be replaced; or returns the
    /// reason why it must be encrypted again.
    pub(super) fn replaceable(
        &self,
        binding: PlaceBinding,
        metadata: &[(String, String)],
        file: Option<&[u8]>,
    ) -> Result<std::result::Result<Replaceable, &'static str>> {
        if file.is_none() && self.instruction_file_suffix.is_some() && !names::hold_wrapped_key(pairs(metadata)) {
            return Ok(Err("its envelope is in an instruction file"));
        }
        let envelope = Envelope::read(pairs(metadata), file)?;
        envelope.check(self.policy)?;
        match &envelope {
            Envelope::V1(_) => return Ok(Err("it is in the legacy V1 format")),
            Envelope::V2(v2) if v2.legacy().is_some() => return Ok(Err("it is in a legacy form of the V2 format")),
            _ => {}
        }
        let claim = Claim::read(binding, false, pairs(metadata))?;
        Ok(Ok(Replaceable { envelope, claim }))
    }
}

fn place_entry(data_key: &DataKey, key: &str) -> Result<Changed> {
    place::entry(data_key, key).map(|(name, value)| (name, Some(value)))
}

pub(super) fn pairs(metadata: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn replaced(metadata: &[(String, String)], changed: Vec<Changed>) -> Vec<(String, String)> {
    let stays = |name: &str| !changed.iter().any(|(new, _)| new.eq_ignore_ascii_case(name));
    let mut all: Vec<_> = metadata.iter().filter(|(name, _)| stays(name)).cloned().collect();
    all.extend(changed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    all
}

fn unbound() -> Error {
    Error::new(
        ErrorKind::PlaceRequired,
        format!(
            "the object has no metadata entry `{}`, so it is unknown whether it was written under that key. Rotation \
             (`rails encrypted_s3_service:rotate`) binds it to its present key",
            place::ENTRY,
        ),
    )
}

fn elsewhere(former: &str) -> Error {
    Error::new(ErrorKind::Misplaced, format!("the object was written neither under this key nor under {former:?}"))
}

//! Other metadata for an object whose body stays: its data key wrapped by the writing key, or bound to another place.

use super::metadata::names;
use super::{ContentKey, Envelope, Envelopes, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::keyring::KeyUse;
use crate::place::{self, Claim, PlaceBinding};

/// A metadata entry, name and value, that changes or comes new.
pub(super) type Changed = (&'static str, String);

/// What changing an object's metadata comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrap {
    /// They are what they are to be already.
    Current(Format),
    /// All of the object's metadata as they are to be, other people's entries included.
    Metadata(Format, Vec<(String, String)>),
    /// It cannot be done without encrypting the object anew; why.
    Reencrypt(&'static str),
}

/// An object whose data key was unwrapped.
struct Unwrapped {
    envelope: Envelope,
    content_key: ContentKey,
    used: Option<KeyUse>,
    claim: Claim,
}

impl Envelopes {
    /// Wraps the data key of the object under `key`, with this `metadata`, by the writing key. The format stays what it
    /// is: the key of a V2 object is not bound to it, so that wrapping it as a V3 key would commit to nothing. An object
    /// that is bound to no place is bound to this one, where places are written.
    ///
    /// # Errors
    /// As [`open`](Envelopes::open).
    pub fn rewrap(&self, key: &str, metadata: &[(String, String)]) -> Result<Rewrap> {
        let object = match self.unwrapped(self.place, metadata)? {
            Ok(object) => object,
            Err(why) => return Ok(Rewrap::Reencrypt(why)),
        };
        let data_key = object.content_key.data_key();
        object.claim.check(data_key, key)?;
        let mut changed = match (&object.envelope, &object.used) {
            (Envelope::V2(envelope), Some(used)) => envelope.rewrap(&self.keyring, data_key, used)?,
            (Envelope::V3(envelope), Some(used)) => envelope.rewrap(&self.keyring, data_key, used)?,
            _ => Vec::new(),
        };
        if self.place.writes() && object.claim.is_absent() {
            changed.push(place::entry(data_key, key)?);
        }
        let format = object.content_key.format();
        Ok(if changed.is_empty() {
            Rewrap::Current(format)
        } else {
            Rewrap::Metadata(format, replaced(metadata, changed))
        })
    }

    /// Binds an object with this `metadata` to its `key`, whatever the setting says: it was written under the key
    /// `former` and renamed or copied since.
    ///
    /// # Errors
    /// As [`open`](Envelopes::open); `Misplaced` when it was written neither under `key` nor under `former`,
    /// `PlaceRequired` when it does not say where it was written.
    pub fn rebind(&self, key: &str, former: &str, metadata: &[(String, String)]) -> Result<Rewrap> {
        let object = match self.unwrapped(PlaceBinding::Verify, metadata)? {
            Ok(object) => object,
            Err(why) => return Ok(Rewrap::Reencrypt(why)),
        };
        let (data_key, format) = (object.content_key.data_key(), object.content_key.format());
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
        Ok(Rewrap::Metadata(format, replaced(metadata, vec![place::entry(data_key, key)?])))
    }

    /// Reads and opens the envelope of an object whose metadata can be replaced; or says why that is not enough.
    fn unwrapped(
        &self,
        binding: PlaceBinding,
        metadata: &[(String, String)],
    ) -> Result<std::result::Result<Unwrapped, &'static str>> {
        if self.instruction_file_suffix.is_some() && !names::hold_wrapped_key(pairs(metadata)) {
            return Ok(Err("its envelope is in an instruction file"));
        }
        let envelope = Envelope::read(pairs(metadata), None)?;
        envelope.check(self.policy)?;
        match &envelope {
            Envelope::V1(_) => return Ok(Err("it is in the legacy V1 format")),
            Envelope::V2(v2) if v2.legacy().is_some() => return Ok(Err("it is in a legacy form of the V2 format")),
            _ => {}
        }
        let claim = Claim::read(binding, false, pairs(metadata))?;
        let (content_key, used) = envelope.open(&self.keyring)?;
        Ok(Ok(Unwrapped { envelope, content_key, used, claim }))
    }
}

fn pairs(metadata: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> + Clone {
    metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn replaced(metadata: &[(String, String)], changed: Vec<Changed>) -> Vec<(String, String)> {
    let stays = |name: &str| !changed.iter().any(|(new, _)| new.eq_ignore_ascii_case(name));
    let mut all: Vec<_> = metadata.iter().filter(|(name, _)| stays(name)).cloned().collect();
    all.extend(changed.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all
}

fn unbound() -> Error {
    Error::new(
        ErrorKind::PlaceRequired,
        format!(
            "the object has no metadata entry `{}`, so nothing says whether it was written under that key. Rotation \
             (`rails encrypted_s3_service:rotate`) binds it to the key that it has now",
            place::ENTRY,
        ),
    )
}

fn elsewhere(former: &str) -> Error {
    Error::new(ErrorKind::Misplaced, format!("the object was written neither under this key nor under {former:?}"))
}

//! Another wrapping key for an object whose body stays: the data key is unwrapped, and wrapped by the writing key.

use super::metadata::names;
use super::{Envelope, Envelopes, Format};
use crate::error::Result;

/// What wrapping an object's data key anew comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rewrap {
    /// The writing key has wrapped it already.
    Current(Format),
    /// All of the object's metadata as they are to be, other people's entries included.
    Metadata(Format, Vec<(String, String)>),
    /// It cannot be done without encrypting the object anew; why.
    Reencrypt(&'static str),
}

impl Envelopes {
    /// Wraps the data key of an object with this `metadata` by the writing key. The format stays what it is: the key of a
    /// V2 object is not bound to it, so that wrapping it as a V3 key would commit to nothing.
    ///
    /// # Errors
    /// As [`open`](Envelopes::open).
    pub fn rewrap(&self, metadata: &[(String, String)]) -> Result<Rewrap> {
        let entries = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        if self.instruction_file_suffix.is_some() && !names::hold_wrapped_key(entries.clone()) {
            return Ok(Rewrap::Reencrypt("its envelope is in an instruction file"));
        }
        let envelope = Envelope::read(entries, None)?;
        envelope.check(self.policy)?;
        let (format, changed) = match &envelope {
            Envelope::V1(_) => return Ok(Rewrap::Reencrypt("it is in the legacy V1 format")),
            Envelope::V2(envelope) if envelope.legacy().is_some() => {
                return Ok(Rewrap::Reencrypt("it is in a legacy form of the V2 format"));
            }
            Envelope::V2(envelope) => (Format::V2, envelope.rewrap(&self.keyring)?),
            Envelope::V3(envelope) => (Format::V3, envelope.rewrap(&self.keyring)?),
        };
        Ok(match changed {
            None => Rewrap::Current(format),
            Some(changed) => Rewrap::Metadata(format, replaced(metadata, changed)),
        })
    }
}

fn replaced(metadata: &[(String, String)], changed: Vec<(&'static str, String)>) -> Vec<(String, String)> {
    let stays = |name: &str| !changed.iter().any(|(new, _)| new.eq_ignore_ascii_case(name));
    let mut all: Vec<_> = metadata.iter().filter(|(name, _)| stays(name)).cloned().collect();
    all.extend(changed.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all
}

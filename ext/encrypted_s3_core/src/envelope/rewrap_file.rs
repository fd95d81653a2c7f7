//! A new instruction file for an object whose body and metadata stay the same: its data key is wrapped by the writing
//! key.

use serde_json::{Map, Value};

use super::metadata::names;
use super::rewrap::{Changed, pairs};
use super::{Description, Envelopes, Format, described, join, malformed};
use crate::envelope::metadata::Entries;
use crate::error::{Error, ErrorKind, Result};

/// The required change of an object's instruction file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewrapFile {
    /// No change: the file is already correct.
    Current(Format),
    /// The whole new instruction file, including entries of other programs.
    File(Format, Vec<u8>),
    /// The object must be encrypted again; the text is the reason.
    Reencrypt(&'static str),
}

impl Envelopes {
    /// Wraps the data key of the object under `key`, with this `metadata` and this instruction `file`, by the writing
    /// key. As in [`rewrap`](Self::rewrap) the format stays the same. So do the metadata, so an object without a place
    /// entry does not get one.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open).
    pub async fn rewrap_file(&self, key: &str, metadata: &[(String, String)], file: &[u8]) -> Result<RewrapFile> {
        let object = match self.replaceable(self.place, metadata, Some(file))? {
            Ok(object) => object,
            Err(why) => return Ok(RewrapFile::Reencrypt(why)),
        };
        let mut changed = self.changes(&object, key, None).await?;
        // Amazon's Python client refuses entries that it does not know in an instruction file.
        changed.retain(|(name, _)| *name != names::KMS_KEY);
        let format = object.format();
        if changed.is_empty() {
            return Ok(RewrapFile::Current(format));
        }
        Ok(RewrapFile::File(format, replaced(file, changed)?))
    }
}

/// Describes an object by its metadata and its instruction file; `None` when they hold no wrapped key, or several.
pub(crate) fn describe_file(metadata: &[(String, String)], file: &[u8]) -> Option<Description> {
    let object = Entries::from_metadata(pairs(metadata)).ok()?;
    described(&join(object, Some(file)).ok()?)
}

fn replaced(file: &[u8], changed: Vec<Changed>) -> Result<Vec<u8>> {
    let unreadable = || malformed("of the instruction file", "cannot be read");
    let mut entries: Map<String, Value> = serde_json::from_slice(file).map_err(|_| unreadable())?;
    entries.retain(|name, _| !changed.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)));
    let new = changed.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?))));
    entries.extend(new);
    let unwritable = |error| Error::new(ErrorKind::Internal, "cannot write an instruction file").with_source(error);
    serde_json::to_vec(&entries).map_err(unwritable)
}

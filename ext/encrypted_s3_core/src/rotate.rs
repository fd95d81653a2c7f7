//! Another wrapping key for stored objects, whose bodies stay where they are.

use std::sync::Arc;

use crate::envelope::{self, Envelopes, Format, Rewrap};
use crate::store::{ObjectHead, ObjectStore, Replacement};
use crate::task::Task;
use crate::{Error, ErrorKind, Result};

/// How often an object is looked at again that was replaced while it was rotated.
const ATTEMPTS: usize = 3;

/// What became of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Its data key is wrapped by the writing key now.
    Rotated(Format),
    /// It was already.
    Current(Format),
    /// It has to be encrypted anew for that; why.
    Reencrypt(&'static str),
}

/// One object that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// What became of it.
    pub outcome: Rotation,
    /// The id of the key that it asked for before.
    pub former_key_id: Option<String>,
}

/// Wraps the data key of an object by the writing key and replaces the metadata, in one step of the store: readers see
/// the old envelope or the new one, and both open the body. An object that is replaced meanwhile keeps what it was
/// replaced by.
///
/// # Errors
/// `NotFound`; what opening the envelope can fail with; `Changed` when it is replaced again and again.
pub async fn rotate(
    store: Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    key: &str,
    acl: Option<String>,
    largest_copy: u64,
) -> Result<Rotated> {
    let mut last = Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(key);
    for _ in 0..ATTEMPTS {
        let head = Task::spawn(store.head(key)).join().await?;
        let looked_at = |outcome| Ok(Rotated { outcome, former_key_id: key_id(&head) });
        let (format, metadata) = match envelopes.rewrap(&pairs(&head)).map_err(|error| error.for_object(key))? {
            Rewrap::Current(format) => return looked_at(Rotation::Current(format)),
            Rewrap::Reencrypt(why) => return looked_at(Rotation::Reencrypt(why)),
            Rewrap::Metadata(format, metadata) => (format, metadata),
        };
        let replacement = Replacement { metadata, acl: acl.clone(), largest_copy };
        match Task::spawn(store.replace_metadata(key, &head.etag, replacement)).join().await {
            Ok(_) => return looked_at(Rotation::Rotated(format)),
            Err(error) if error.kind() == ErrorKind::Changed => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn key_id(head: &ObjectHead) -> Option<String> {
    let metadata = head.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    envelope::describe(metadata).and_then(|described| described.key_id)
}

fn pairs(head: &ObjectHead) -> Vec<(String, String)> {
    head.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

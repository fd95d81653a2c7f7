//! Another wrapping key for stored objects, whose bodies stay where they are.

use std::sync::Arc;
use std::time::Duration;

use crate::envelope::{self, Envelopes, Format, Rewrap};
use crate::store::{ObjectHead, ObjectStore, Replacement, Stored};
use crate::task;
use crate::transfer::{Aim, Command, Part, Sending};
use crate::{Error, ErrorKind, Result};

/// How often an object is looked at again that was replaced while it was rotated.
const ATTEMPTS: usize = 3;

/// How often the store is asked for the new envelope, and the first pause between: some stores show a change late.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// Parts of a large object that the store copies at once: it is the store that works, and nobody waits.
const PARTS_AT_ONCE: usize = 1;

/// How one object is rotated.
#[derive(Clone, Debug, Default)]
pub struct RotateOptions {
    /// Canned ACL of the object afterwards; stores do not copy the one that it has.
    pub acl: Option<String>,
    /// Objects of more than this many bytes are copied in parts of so many; S3's own limit is 5 GiB.
    pub largest_copy: u64,
    /// Asks the store for the object again and compares its envelope: some stores answer 200 to the copy and change
    /// nothing.
    pub verify: bool,
    /// The key that the object was written under and renamed since: it is bound to the one that it has now, and to no
    /// other wrapping key.
    pub renamed_from: Option<String>,
}

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
/// `NotFound`; what opening the envelope can fail with; `Changed` when it is replaced again and again; `NotRotated`
/// when `verify` is asked for and the store does not show the new envelope.
pub async fn rotate(
    store: Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    key: &str,
    options: &RotateOptions,
) -> Result<Rotated> {
    let mut last = Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(key);
    for _ in 0..ATTEMPTS {
        let head = task::run(store.head(key)).await?;
        let looked_at = |outcome| Ok(Rotated { outcome, former_key_id: key_id(&head) });
        let rewrap = match &options.renamed_from {
            None => envelopes.rewrap(key, &pairs(&head)),
            Some(former) => envelopes.rebind(key, former, &pairs(&head)),
        };
        let (format, metadata) = match rewrap.map_err(|error| error.for_object(key))? {
            Rewrap::Current(format) => return looked_at(Rotation::Current(format)),
            Rewrap::Reencrypt(why) => return looked_at(Rotation::Reencrypt(why)),
            Rewrap::Metadata(format, metadata) => (format, metadata),
        };
        let replacement = Replacement { metadata: metadata.clone(), acl: options.acl.clone() };
        let replaced = if head.size <= options.largest_copy {
            task::run(store.replace_metadata(key, &head.etag, replacement)).await
        } else {
            copy_in_parts(store.clone(), key, &head, replacement, options.largest_copy.max(1)).await
        };
        let rotated = match replaced {
            Ok(_) if options.verify => verify(&store, key, &head, &metadata).await,
            replaced => replaced.map(drop),
        };
        match rotated {
            Ok(()) => return looked_at(Rotation::Rotated(format)),
            Err(error) if error.kind() == ErrorKind::Changed => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// Checks that the store shows the `wanted` metadata, after it has said that it replaced those of `former` by them.
///
/// # Errors
/// `NotRotated` when it still shows the former ones, or no envelope at all; `Changed` when it shows a third envelope.
async fn verify(
    store: &Arc<dyn ObjectStore>,
    key: &str,
    former: &ObjectHead,
    wanted: &[(String, String)],
) -> Result<()> {
    let mut problem = "";
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(PAUSE * 3u32.pow(look - 1)).await;
        }
        let head = task::run(store.head(key)).await?;
        if wanted.iter().all(|(name, value)| holds(&head, name, value)) {
            return Ok(());
        }
        problem = if pairs(former).iter().all(|(name, value)| holds(&head, name, value)) {
            "the object still has its old envelope. Do not remove the old key; use `reencrypt`, or another store"
        } else if envelope::describe(head.entries()).is_none() {
            "the object has no envelope any more and cannot be read. Restore it from a backup or an older version"
        } else {
            return Err(Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(key));
        };
    }
    let what = format!("the store said that it replaced the metadata, but {problem}");
    Err(Error::new(ErrorKind::NotRotated, what).for_object(key))
}

fn holds(head: &ObjectHead, name: &str, value: &str) -> bool {
    head.entries().any(|(other, held)| other.eq_ignore_ascii_case(name) && held == value)
}

/// Copies the object onto itself in parts of `part_size` bytes. Given up, it leaves nothing behind.
async fn copy_in_parts(
    store: Arc<dyn ObjectStore>,
    key: &str,
    head: &ObjectHead,
    replacement: Replacement,
    part_size: u64,
) -> Result<Stored> {
    let aim = Aim::Copy { key: key.to_owned(), etag: head.etag.clone(), replacement };
    let (commands, mut sending) = Sending::start(store, aim, PARTS_AT_ONCE, Arc::default());
    let mut first = 0u64;
    loop {
        let last = first.saturating_add(part_size).min(head.size) - 1;
        let part = Part::Copied(first, last);
        first = last + 1;
        let command = if first < head.size { Command::Part(part) } else { Command::Finish(part) };
        // Taken as long as the task runs; if it has ended, it says why.
        if commands.send(command).await.is_err() || first >= head.size {
            break;
        }
    }
    let copied = sending.result().await;
    copied.unwrap_or_else(|| Err(Error::new(ErrorKind::Internal, "the copy ended before it began")))
}

fn key_id(head: &ObjectHead) -> Option<String> {
    envelope::describe(head.entries()).and_then(|described| described.key_id)
}

fn pairs(head: &ObjectHead) -> Vec<(String, String)> {
    head.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

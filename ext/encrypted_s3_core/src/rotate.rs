//! Changes the wrapping key of stored objects. Their bodies stay in the store.

mod instruction_file;

use std::sync::Arc;
use std::time::Duration;

use crate::envelope::{self, Envelopes, Format, Rewrap};
use crate::store::{ObjectHead, ObjectStore, Replacement, Stored};
use crate::task;
use crate::transfer::{Aim, Command, Part, Sending};
use crate::{Error, ErrorKind, Result};

/// How many times the rotation of one object is tried if the object is replaced meanwhile.
const ATTEMPTS: usize = 3;

/// How many times the store is asked for the new envelope, and the first pause between two requests: some stores show a
/// change late.
const LOOKS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// The number of parts of a large object that the store copies at the same time. One part at a time is enough: the
/// store does the work, and no user waits for it.
const PARTS_AT_ONCE: usize = 1;

/// Settings for rotating one object.
#[derive(Clone, Debug, Default)]
pub struct RotateOptions {
    /// The canned ACL of the object after the rotation. Stores do not copy the present ACL.
    pub acl: Option<String>,
    /// The largest copy in one request, in bytes. Larger objects are copied in parts of this size. S3's own limit is 5
    /// GiB.
    pub largest_copy: u64,
    /// Whether to request the object again and compare its envelope: some stores answer 200 to the copy and change
    /// nothing.
    pub verify: bool,
    /// Whether to rotate an envelope in an instruction file by replacing that file. Otherwise such an object must be
    /// encrypted again.
    pub instruction_files: bool,
    /// The key in the bucket under which the object was written, if it was renamed since. The object is then bound to
    /// its present key, and its wrapping key is not changed.
    pub renamed_from: Option<String>,
}

/// The outcome for one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The metadata or the instruction file was replaced: the data key is now wrapped with the writing key (with
    /// `renamed_from`: the object is now bound to its present key).
    Rotated(Format),
    /// The data key was already wrapped with the writing key (with `renamed_from`: the object was already bound to its
    /// present key).
    Current(Format),
    /// The object must be encrypted again instead; the text is the reason.
    Reencrypt(&'static str),
    /// The object must stay as it is: it is archived or locked. The text is the reason.
    Immovable(String),
}

/// The result of rotating one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The outcome.
    pub outcome: Rotation,
    /// The id of the wrapping key that the old envelope named, if it named one.
    pub former_key_id: Option<String>,
}

/// Wraps the data key of the object `key` with the writing key and replaces the metadata, or the instruction file that
/// holds the envelope, in one step of the store. Readers see the old envelope or the new one, and both open the body.
/// If another writer replaces the object meanwhile, that writer's object stays.
///
/// # Errors
/// `NotFound`; the errors of opening the envelope; `Changed` when the object is replaced repeatedly; `NotRotated` when
/// `verify` is set and the store does not show the new envelope.
pub async fn rotate(
    store: Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    key: &str,
    options: &RotateOptions,
) -> Result<Rotated> {
    let mut last = Error::new(ErrorKind::Changed, "the object was replaced meanwhile").for_object(key);
    for _ in 0..ATTEMPTS {
        let head = task::run(store.head(key)).await?;
        let file = envelopes.instruction_file_for(key, head.entries()).filter(|_| options.instruction_files);
        let rotated = match file {
            Some(file) => instruction_file::rotate(&store, envelopes, key, &head, &file, options.verify).await,
            None => in_metadata(&store, envelopes, key, &head, options).await,
        };
        match rotated {
            Err(error) if error.kind() == ErrorKind::Changed => last = error,
            rotated => return rotated,
        }
    }
    Err(last)
}

async fn in_metadata(
    store: &Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    key: &str,
    head: &ObjectHead,
    options: &RotateOptions,
) -> Result<Rotated> {
    let looked_at = |outcome| Ok(Rotated { outcome, former_key_id: key_id(head) });
    let rewrap = match &options.renamed_from {
        None => envelopes.rewrap(key, &pairs(head)).await,
        Some(former) => envelopes.rebind(key, former, &pairs(head)).await,
    };
    let (format, metadata) = match rewrap.map_err(|error| error.for_object(key))? {
        Rewrap::Current(format) => return looked_at(Rotation::Current(format)),
        Rewrap::Reencrypt(why) => return looked_at(Rotation::Reencrypt(why)),
        Rewrap::Metadata(format, metadata) => (format, metadata),
    };
    if let Some(why) = &head.immovable {
        return looked_at(Rotation::Immovable(why.clone()));
    }
    let replacement = Replacement { metadata: metadata.clone(), acl: options.acl.clone() };
    if head.size <= options.largest_copy {
        task::run(store.replace_metadata(key, &head.etag, replacement)).await?;
    } else {
        copy_in_parts(store.clone(), key, head, replacement, options.largest_copy.max(1)).await?;
    }
    if options.verify {
        verify(store, key, head, &metadata).await?;
    }
    looked_at(Rotation::Rotated(format))
}

/// Checks that the store shows the `wanted` metadata, after it answered that it replaced the metadata of `former`.
///
/// # Errors
/// `NotRotated` when the store still shows the former metadata, or no envelope at all; `Changed` when it shows a third
/// envelope.
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
    let message = format!("the store reported that it replaced the metadata, but {problem}");
    Err(Error::new(ErrorKind::NotRotated, message).for_object(key))
}

fn holds(head: &ObjectHead, name: &str, value: &str) -> bool {
    head.entries().any(|(other, held)| other.eq_ignore_ascii_case(name) && held == value)
}

/// Copies the object onto itself in parts of `part_size` bytes. If the copy is abandoned, it leaves nothing in the
/// store.
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
        // The send fails only if the task has ended; its result then gives the reason.
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

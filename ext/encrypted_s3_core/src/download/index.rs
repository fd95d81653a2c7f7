//! Making the segment map of an object that was stored without one: by another client, by an older version, or by an
//! upload that was interrupted.

use std::sync::Arc;

use super::origin::{Unlocked, unlock};
use super::ranges::{RangePlan, Ranges};
use super::{pass, small};
use crate::envelope::Envelopes;
use crate::segments::{self, HEADER_LEN, Layout, Map, NoMap, Purpose};
use crate::store::{ObjectHead, ObjectSettings, ObjectStore};
use crate::{Error, ErrorKind, Result, sidecar, task};

/// How many times indexing restarts because the object got another envelope meanwhile.
const ATTEMPTS: u32 = 3;

/// Settings for indexing objects.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// Objects of at most this many bytes of plaintext get no map.
    pub above: u64,
    /// The settings of the objects; their maps are stored with the same settings.
    pub settings: ObjectSettings,
    /// Whether to store nothing, and to read only enough to see whether an object lacks a map.
    pub dry_run: bool,
}

/// The result for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// Its map was stored.
    Stored,
    /// It already had a map, perhaps in a later version of the format. Only the map's header was checked; readers
    /// detect a wrong tag.
    Present,
    /// It is too small for one.
    Small,
    /// It cannot have one: it is in a legacy form, or its key is too long.
    Impossible,
    /// It has no map, and none was stored because this is a dry run.
    Lacking,
}

/// Stores the segment map of the object `key`, if it has none. This reads the whole object once and checks its own tag.
///
/// # Errors
/// `NotFound`; the errors of opening the envelope; `Auth` when the object was changed after it was encrypted; `Changed`
/// when it is replaced repeatedly; the errors of [`sidecar::put`].
pub async fn index(
    store: Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    plan: RangePlan,
    key: &str,
    options: &IndexOptions,
) -> Result<Indexed> {
    let object = Indexing { store, envelopes, plan, key, options };
    let mut last = Error::new(ErrorKind::Changed, "the object was replaced meanwhile");
    for _ in 0..ATTEMPTS {
        match object.attempt().await {
            Err(error) if error.kind() == ErrorKind::Changed => last = error,
            answer => return answer.map_err(|error| error.for_object(key)),
        }
    }
    Err(last.for_object(key))
}

struct Indexing<'a> {
    store: Arc<dyn ObjectStore>,
    envelopes: &'a Envelopes,
    plan: RangePlan,
    key: &'a str,
    options: &'a IndexOptions,
}

impl Indexing<'_> {
    async fn attempt(&self) -> Result<Indexed> {
        let head = task::run(self.store.head(self.key)).await?;
        // A legacy object is a little longer than its plaintext; it gets no map anyway.
        if !segments::wants_sidecar(head.size.saturating_sub(crate::gcm::TAG_LEN as u64), self.options.above) {
            return Ok(Indexed::Small);
        }
        let Some(sidecar) = segments::sidecar_key(self.key) else { return Ok(Indexed::Impossible) };
        let object = self.unlock(&head).await?;
        if object.content_key.is_legacy() {
            return Ok(Indexed::Impossible);
        }
        if self.is_present(sidecar, &object).await? {
            return Ok(Indexed::Present);
        }
        if self.options.dry_run {
            return Ok(Indexed::Lacking);
        }
        let map = self.checked(&head, object).await?;
        let (store, name, settings) = (self.store.clone(), self.key.to_owned(), self.options.settings.clone());
        task::run(async move { sidecar::put(store, &name, &map, settings).await }).await?;
        Ok(Indexed::Stored)
    }

    async fn unlock(&self, head: &ObjectHead) -> Result<Unlocked> {
        unlock(&self.store, self.envelopes, head, self.key).await
    }

    /// Whether this object has a map, in this version of the format or a later one.
    ///
    /// # Errors
    /// `Rejected` when another object is stored under the map's key.
    async fn is_present(&self, sidecar: String, object: &Unlocked) -> Result<bool> {
        let found = match task::run(beginning(self.store.clone(), sidecar.clone())).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let (size, header) = found;
        match Map::read_part(&header, &[], 0..0, &object.content_key, object.size) {
            Ok(_) => Ok(Some(size) == Layout::of(object.size).sidecar_len()),
            Err(NoMap::Version(_)) => Ok(true),
            Err(NoMap::OtherObject | NoMap::Commitment | NoMap::Derivation | NoMap::Legacy) => Ok(false),
            Err(NoMap::Length) if segments::may_be_replaced(&header) => Ok(false),
            Err(NoMap::Length | NoMap::Magic) => Err(sidecar::taken(&sidecar)),
        }
    }

    /// Reads the whole object once, in one version, and returns its map. `object` has the properties from the HEAD
    /// request.
    async fn checked(&self, head: &ObjectHead, mut object: Unlocked) -> Result<Map> {
        let plan = self.plan.ending_with_segments();
        let (now, ranges) = Ranges::open(self.store.clone(), self.key, plan, 0..u64::MAX).await?;
        if now != *head {
            // The object was replaced, or got another envelope, after its properties were read.
            object = self.unlock(&now).await?;
        }
        pass::checked(ranges, &object.content_key, object.size, Purpose::Storing).await
    }
}

/// The size of an object and its first [`HEADER_LEN`] bytes, or fewer if it has fewer.
async fn beginning(store: Arc<dyn ObjectStore>, key: String) -> Result<(u64, Vec<u8>)> {
    let (head, bytes) = match small::read(&store, &key, HEADER_LEN).await {
        // The object is empty.
        Err(error) if error.kind() == ErrorKind::InvalidRange => return Ok((0, Vec::new())),
        read => read?,
    };
    Ok((head.size, bytes))
}

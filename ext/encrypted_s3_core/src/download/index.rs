//! Making the segment map of an object that was stored without one: by another client, by an older version, or by an
//! upload that was interrupted.

use std::sync::Arc;

use super::ranges::{RangePlan, Ranges};
use super::{instruction_file, pass};
use crate::cbc::BLOCK_LEN;
use crate::envelope::{ContentKey, Envelopes, Opened};
use crate::segments::{self, HEADER_LEN, Layout, Map, NoMap, Purpose};
use crate::store::{ObjectHead, ObjectSettings, ObjectStore, Reading};
use crate::{Error, ErrorKind, Result, sidecar, task};

/// How many times an object that gets another envelope meanwhile is begun again.
const ATTEMPTS: u32 = 3;

/// How objects are indexed.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// Objects of up to so many bytes of plaintext get no map.
    pub above: u64,
    /// Settings of the objects, which their maps get too.
    pub settings: ObjectSettings,
    /// Whether nothing is read or stored beyond what tells if an object lacks a map.
    pub dry_run: bool,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// It has a map now.
    Stored,
    /// It had one, or one of a later version. Only the map's header was looked at: a reader finds out whether a tag is
    /// wrong.
    Present,
    /// It is too small for one.
    Small,
    /// It cannot have one: it is in a legacy form, or its key is too long.
    Impossible,
    /// It has none, and it is a dry run.
    Lacking,
}

/// Stores the segment map of the object `key`, if it has none. The object is read whole once, and its own tag has to be
/// right in this pass.
///
/// # Errors
/// `NotFound`; the errors of opening the envelope; `Auth` when the object is not the one that was encrypted; `Changed`
/// when it is replaced again and again; the errors of [`sidecar::put`].
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
        let Some(place) = segments::sidecar_key(self.key) else { return Ok(Indexed::Impossible) };
        let (key, text_len) = self.open(&head).await?;
        if key.is_legacy() {
            return Ok(Indexed::Impossible);
        }
        if self.is_present(place, &key, text_len).await? {
            return Ok(Indexed::Present);
        }
        if self.options.dry_run {
            return Ok(Indexed::Lacking);
        }
        let map = self.checked(&head, &key, text_len).await?;
        let (store, name, settings) = (self.store.clone(), self.key.to_owned(), self.options.settings.clone());
        task::run(async move { sidecar::put(store, &name, &map, settings).await }).await?;
        Ok(Indexed::Stored)
    }

    /// The key of the content, and the length of the text.
    async fn open(&self, head: &ObjectHead) -> Result<(ContentKey, u64)> {
        let file = instruction_file::read(self.store.clone(), self.envelopes, head, self.key).await?;
        let Opened { content, content_key, .. } =
            self.envelopes.open(self.key, head.entries(), file.as_deref()).await?;
        Ok((content_key, content.text_len(head.size)?))
    }

    /// Whether there is a map of this object, or one that a later version has stored.
    ///
    /// # Errors
    /// `Rejected` when another object is in its place.
    async fn is_present(&self, place: String, key: &ContentKey, text_len: u64) -> Result<bool> {
        let found = match task::run(beginning(self.store.clone(), place.clone())).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            found => found?,
        };
        let (size, header) = found;
        match Map::read_part(&header, &[], 0..0, key, text_len) {
            Ok(_) => Ok(Some(size) == Layout::of(text_len).sidecar_len()),
            Err(NoMap::Version(_)) => Ok(true),
            Err(NoMap::OtherObject | NoMap::Commitment | NoMap::Derivation | NoMap::Legacy) => Ok(false),
            Err(NoMap::Length) if segments::may_be_replaced(&header) => Ok(false),
            Err(NoMap::Length | NoMap::Magic) => Err(sidecar::taken(&place)),
        }
    }

    /// Reads all of the object once, in one version, and returns its map. `key` and `text_len` are those of `head`.
    async fn checked(&self, head: &ObjectHead, key: &ContentKey, text_len: u64) -> Result<Map> {
        // Ranges end at a block boundary, as for every reader.
        let size = self.plan.size.max(1).next_multiple_of(BLOCK_LEN as u64);
        let plan = RangePlan { size, ..self.plan };
        let (now, ranges) = Ranges::open(self.store.clone(), self.key, plan, 0..u64::MAX).await?;
        if now == *head {
            return pass::checked(ranges, key, text_len, Purpose::Storing).await;
        }
        // It was replaced, or has another envelope, since its head was read.
        let (key, text_len) = self.open(&now).await?;
        pass::checked(ranges, &key, text_len, Purpose::Storing).await
    }
}

/// The size of an object and its first [`HEADER_LEN`] bytes, or fewer if it has fewer.
async fn beginning(store: Arc<dyn ObjectStore>, key: String) -> Result<(u64, Vec<u8>)> {
    let range = Some((0, HEADER_LEN as u64 - 1));
    let mut object = match store.get(&key, Reading { range, if_match: None }).await {
        // The object is empty.
        Err(error) if error.kind() == ErrorKind::InvalidRange => return Ok((0, Vec::new())),
        object => object?,
    };
    let mut bytes = Vec::new();
    while bytes.len() < HEADER_LEN
        && let Some(piece) = object.body.next().await
    {
        bytes.extend_from_slice(&piece?);
    }
    bytes.truncate(HEADER_LEN);
    Ok((object.head.size, bytes))
}

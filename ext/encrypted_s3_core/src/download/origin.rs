//! The first request for an object: it returns the head, the envelope and the first bytes.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::maps::{MAP_MEMORY, Maps};
use super::ranges::Ranges;
use super::stored_map::{self, Asked};
use super::{DownloadPlan, Used, instruction_file};
use crate::envelope::{self, ContentKey, Envelopes, Opened};
use crate::segments::{SEGMENT_LEN, Version, wants_sidecar};
use crate::store::{ObjectHead, ObjectStore};
use crate::task;
use crate::{Error, ErrorKind, Result};

const SEGMENT: u64 = SEGMENT_LEN as u64;

/// The bytes of the plaintext that will be read: from `first` on, `length` bytes or, for `None`, up to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) length: Option<u64>,
}

impl Part {
    /// The whole object.
    pub(super) const WHOLE: Self = Self { first: 0, length: None };

    /// From the byte `first` to the end.
    pub(super) fn from(first: u64) -> Self {
        Self { first, length: None }
    }

    /// Returns the position of the segments that hold these bytes.
    pub(super) fn segments(self) -> Range<u64> {
        // An empty range cannot be requested from a store.
        let end = self.length.map_or(u64::MAX, |length| self.first.saturating_add(length.max(1)));
        self.first / SEGMENT * SEGMENT..end.checked_next_multiple_of(SEGMENT).unwrap_or(u64::MAX)
    }

    /// Returns the numbers of these segments.
    pub(super) fn numbers(self) -> Range<u64> {
        let Range { start, end } = self.segments();
        start / SEGMENT..end.div_ceil(SEGMENT)
    }
}

/// An object and the settings for reading it.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) envelopes: Envelopes,
    pub(super) plan: DownloadPlan,
    pub(super) key: String,
    /// Whether the map beside the object was found to be wrong.
    pub(super) bad_sidecar: AtomicBool,
}

/// An object whose head and envelope have been read.
pub(super) struct Begun {
    pub(super) ranges: Ranges,
    pub(super) unlocked: Unlocked,
    pub(super) etag: String,
    /// Identifies the body; no other body has the same value.
    body_id: Option<String>,
    /// The map beside the object, if it was requested together with the object.
    pub(super) asked: Option<Asked>,
}

/// An opened envelope.
pub(super) struct Unlocked {
    pub(super) content_key: ContentKey,
    /// The number of bytes of ciphertext without the trailer.
    pub(super) size: u64,
    pub(super) used: Used,
}

impl Origin {
    pub(super) fn new(store: Arc<dyn ObjectStore>, envelopes: &Envelopes, plan: &DownloadPlan, key: &str) -> Self {
        Self {
            store,
            envelopes: envelopes.clone(),
            plan: plan.clone(),
            key: key.to_owned(),
            bad_sidecar: AtomicBool::new(false),
        }
    }

    /// Requests the object and opens its envelope. `part` is the part that will be read.
    pub(super) async fn begin(&self, part: Part) -> Result<Begun> {
        let is_known = self.is_known();
        // An object that has this part must be large.
        let is_large = wants_sidecar(part.first, self.plan.memory_limit);
        let span = if is_known || is_large { part.segments() } else { Part::WHOLE.segments() };
        let asked = (is_large && !is_known && self.plan.segment_index).then(|| self.ask_for_map(part.numbers(), None));
        let open = |span| Ranges::open(self.store.clone(), &self.key, self.plan.ranges.ending_with_segments(), span);
        let opened = match open(span).await {
            // The size of the object is needed to report this.
            Err(error) if error.kind() == ErrorKind::InvalidRange => open(Part::WHOLE.segments()).await,
            opened => opened,
        };
        let (head, ranges) = opened?;
        let unlocked = self.unlock(&head).await?;
        let body_id = envelope::body_id(head.entries());
        Ok(Begun { ranges, unlocked, etag: head.etag, body_id, asked: asked.flatten() })
    }

    /// Requests the object again after it was replaced. No byte of the body of `former` may have been used.
    ///
    /// # Errors
    /// `changed`, when the object was deleted or has another body now.
    pub(super) async fn begin_anew(&self, former: &Mark, part: Part, changed: Error) -> Result<Begun> {
        match self.begin(part).await {
            Ok(next) if former.1.is_some() && next.mark() == *former => Ok(next),
            Ok(_) => Err(changed),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(changed),
            Err(error) => Err(error),
        }
    }

    /// Requests the head of the object alone.
    pub(super) async fn head(&self) -> Result<ObjectHead> {
        task::run(self.store.head(&self.key)).await
    }

    /// Opens the envelope of the object.
    pub(super) async fn unlock(&self, head: &ObjectHead) -> Result<Unlocked> {
        unlock(&self.store, &self.envelopes, head, &self.key).await
    }

    /// Returns the maps of the process, and the identity of this version in them; `None` when no map of it is kept.
    pub(super) fn shared(&self, etag: &str) -> Option<(&Arc<Maps>, Version)> {
        let maps = self.plan.maps.as_ref()?;
        let (store, bucket) = self.store.name().filter(|_| !etag.is_empty())?;
        Some((maps, Version { store, bucket, key: self.key.clone(), etag: etag.to_owned() }))
    }

    /// Reports that the map beside the object is wrong.
    pub(super) fn report_bad_sidecar(&self) {
        self.bad_sidecar.store(true, Ordering::Relaxed);
    }

    /// Requests the map beside the object, for these segments. `text_len` is the size of the ciphertext in bytes, if it
    /// is known.
    pub(super) fn ask_for_map(&self, numbers: Range<u64>, text_len: Option<u64>) -> Option<Asked> {
        self.map_size().ask(&self.store, &self.key, numbers, text_len)
    }

    /// The amount of a stored map that is read at once.
    pub(super) fn map_size(&self) -> stored_map::Size {
        stored_map::Size::of(self.plan.maps.as_ref().map_or(MAP_MEMORY, |maps| maps.memory()))
    }

    fn is_known(&self) -> bool {
        let name = self.store.name();
        let is_known = |maps: &Arc<Maps>| name.is_some_and(|(store, bucket)| maps.knows(&store, &bucket, &self.key));
        self.plan.maps.as_ref().is_some_and(is_known)
    }
}

/// Opens the envelope of the object `key` with this `head`.
///
/// # Errors
/// The errors of [`Envelopes::open`] and of reading an instruction file.
pub(super) async fn unlock(
    store: &Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    head: &ObjectHead,
    key: &str,
) -> Result<Unlocked> {
    let file = instruction_file::read(store.clone(), envelopes, head, key).await?;
    let opened = envelopes.open(key, head.entries(), file.as_deref()).await;
    let Opened { content_key, format, key: used } = opened.map_err(|error| error.for_object(key))?;
    let size = content_key.text_len(head.size).map_err(|error| error.for_object(key))?;
    Ok(Unlocked { content_key, size, used: Used { format, key: used } })
}

/// The size of the ciphertext in bytes, and the identifier of the body.
pub(super) type Mark = (u64, Option<String>);

impl Begun {
    /// Whether the object is too large to be kept in memory until it is authenticated.
    pub(super) fn is_large(&self, plan: &DownloadPlan) -> bool {
        self.unlocked.size > plan.memory_limit
    }

    /// Whether the plaintext may be shorter than the ciphertext.
    pub(super) fn is_padded(&self) -> bool {
        self.unlocked.content_key.is_legacy()
    }

    /// Returns the properties that must be the same in a version that is read instead of this one.
    pub(super) fn mark(&self) -> Mark {
        (self.unlocked.size, self.body_id.clone())
    }
}

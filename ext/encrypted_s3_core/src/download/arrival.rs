//! Prepares the body of an object for reading: a small object is read whole and checked in memory, a large one is read
//! by its segment map.

use std::ops::Range;
use std::sync::Arc;

use super::Used;
use super::origin::{Begun, Mark, Origin, Part};
use super::pass;
use super::pieces::Pieces;
use super::ranges::Ranges;
use super::segmented::Segmented;
use super::stored_map::{Asked, Stored};
use super::trailer::Cut;
use crate::content::Content;
use crate::envelope::ContentKey;
use crate::segments::{Map, Purpose, SEGMENT_LEN, wants_sidecar};
use crate::sidecar;
use crate::{ErrorKind, Result};

/// How many times reading restarts because the object got another envelope meanwhile. A key rotation replaces the
/// envelope and leaves the body unchanged.
pub(super) const RESTARTS: usize = 2;

/// An object whose bytes can be returned.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) body: Verified,
    pub(super) etag: String,
    pub(super) used: Used,
}

/// A body that returns authenticated bytes only. The padding of a legacy CBC object has been checked.
#[derive(Debug)]
pub(super) enum Verified {
    Memory(Pieces),
    Segmented(Box<Segmented>),
}

impl Verified {
    /// The size of the plaintext in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory(plaintext) => plaintext.size() as u64,
            Self::Segmented(reader) => reader.size(),
        }
    }

    /// Returns the next `most` bytes of plaintext, fewer at the end of the object and none after it.
    pub(super) async fn read(&mut self, most: usize) -> Result<&[u8]> {
        match self {
            Self::Segmented(reader) => reader.read(most).await,
            Self::Memory(plaintext) => Ok(plaintext.read(most)),
        }
    }

    /// Skips `bytes` bytes of plaintext, or the rest.
    pub(super) fn skip(&mut self, bytes: u64) {
        match self {
            Self::Segmented(reader) => reader.skip(bytes),
            Self::Memory(plaintext) => plaintext.skip(bytes),
        }
    }

    /// Moves to the first byte of `part`. Bytes after the part are not requested in advance.
    pub(super) fn begin_at(&mut self, part: Part) {
        match self {
            Self::Segmented(reader) => reader.begin_at(part),
            Self::Memory(plaintext) => plaintext.go_to(part.first),
        }
    }

    /// The number of bytes of memory that this uses.
    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Memory(plaintext) => plaintext.buffered(),
            Self::Segmented(reader) => reader.buffered(),
        }
    }
}

impl Origin {
    /// Prepares `begun` for reading `part`. If the object was replaced meanwhile by a version with the same body and
    /// another envelope, that version is read instead. This is safe because no byte of the body has been returned yet.
    ///
    /// # Errors
    /// `Changed` when the object is replaced repeatedly, when the new version has another body, or when the object was
    /// deleted. Otherwise the errors of reading and checking the body.
    pub(super) async fn arrive(self: Arc<Self>, mut begun: Begun, part: Part) -> Result<Arrived> {
        let mark: Mark = begun.mark();
        for _ in 0..RESTARTS {
            let changed = match self.ready(begun, part).await {
                Err(error) if error.kind() == ErrorKind::Changed => error,
                arrived => return arrived,
            };
            begun = self.begin_anew(&mark, part, changed).await?;
        }
        self.ready(begun, part).await
    }

    async fn ready(self: &Arc<Self>, begun: Begun, part: Part) -> Result<Arrived> {
        let is_large = begun.is_large(&self.plan);
        let Begun { mut ranges, unlocked, etag, asked, .. } = begun;
        let (size, key) = (unlocked.size, unlocked.content_key);
        let body = if is_large {
            // Otherwise unwanted bytes of the first range would be in memory while the map is fetched or made.
            let wanted = if part.first < size { part } else { Part::WHOLE };
            ranges.read_part(wanted.segments());
            let (map, ranges) = self.map(ranges, &key, size, &etag, asked, part).await?;
            let reader = Segmented::new(self.clone(), ranges, map, key, etag.clone())?;
            Verified::Segmented(Box::new(reader))
        } else {
            ranges.read_part(0..ranges.size());
            in_memory(ranges, key.content()?, size).await?
        };
        Ok(Arrived { body, etag, used: unlocked.used })
    }

    /// Finds or makes the map of a large object. Returns the map and the ranges of the object that are still to be
    /// read.
    async fn map(
        &self,
        ranges: Ranges,
        key: &ContentKey,
        size: u64,
        etag: &str,
        asked: Option<Asked>,
        part: Part,
    ) -> Result<(Arc<Map>, Ranges)> {
        let Some((maps, version)) = self.shared(etag) else {
            return self.new_map(ranges, key, size, asked, part).await;
        };
        if let Some(map) = maps.cached(&version, key, size) {
            return Ok((map, ranges));
        }
        let mut making = maps.alone(&version).await;
        if let Some(map) = maps.cached(&version, key, size).or_else(|| making.map(key, size)) {
            return Ok((map, ranges));
        }
        let (map, ranges) = self.new_map(ranges, key, size, asked, part).await?;
        if map.is_whole() {
            making.made(&map);
            maps.keep(version, map.clone());
        }
        Ok((map, ranges))
    }

    /// Reads the map stored beside the object, or makes a new one from the object.
    async fn new_map(
        &self,
        mut ranges: Ranges,
        key: &ContentKey,
        size: u64,
        asked: Option<Asked>,
        part: Part,
    ) -> Result<(Arc<Map>, Ranges)> {
        // The requested ranges can be used only if the map has their tags.
        let Range { start, end } = part.numbers();
        let numbers = start.min(number(ranges.position()))..end.max(number(ranges.requested()));
        let purpose = match self.stored_map(key, size, asked, numbers).await {
            Stored::Map(map) => return Ok((Arc::new(map), ranges)),
            Stored::Nothing => Purpose::Memory,
            Stored::Bad => Purpose::Storing,
        };
        let again = ranges.again(ranges.rest());
        ranges.read_part(0..ranges.size());
        let map = self.checked(ranges, key, size, purpose).await?;
        Ok((map, again))
    }

    async fn stored_map(&self, key: &ContentKey, size: u64, asked: Option<Asked>, numbers: Range<u64>) -> Stored {
        if key.is_legacy() || !self.plan.segment_index || !wants_sidecar(size, self.plan.memory_limit) {
            return Stored::Nothing;
        }
        let asked = asked.filter(|asked| asked.is_for(size, self.map_size()));
        match asked.or_else(|| self.ask_for_map(numbers, Some(size))) {
            Some(asked) => asked.read(key, size).await,
            None => Stored::Nothing,
        }
    }

    /// Returns a map with the tags of the segments from `number` on, for a reader that has only a part of the stored
    /// map and continues after it. `whole` are the ranges of the whole object, which is checked if that map no longer
    /// exists.
    pub(super) async fn next_map(&self, whole: Ranges, key: &ContentKey, size: u64, number: u64) -> Result<Arc<Map>> {
        match self.stored_map(key, size, None, number..u64::MAX).await {
            Stored::Map(map) => Ok(Arc::new(map)),
            Stored::Nothing => self.checked(whole, key, size, Purpose::Memory).await,
            Stored::Bad => self.checked(whole, key, size, Purpose::Storing).await,
        }
    }

    /// Waits for its turn, checks the whole object and returns its map. A map for storing replaces the wrong one beside
    /// the object.
    pub(super) async fn checked(
        &self,
        ranges: Ranges,
        key: &ContentKey,
        size: u64,
        purpose: Purpose,
    ) -> Result<Arc<Map>> {
        let _turn = match &self.plan.maps {
            Some(maps) => maps.turn().await,
            None => None,
        };
        let map = Arc::new(pass::checked(ranges, key, size, purpose).await?);
        if purpose == Purpose::Storing {
            self.report_bad_sidecar();
            self.replace_sidecar(&map);
        }
        Ok(map)
    }

    /// Stores a map beside the object without waiting for the answer. The reader may lack the permission; then the
    /// wrong map stays, and the next process detects it again.
    fn replace_sidecar(&self, map: &Arc<Map>) {
        let (store, key, map) = (self.store.clone(), self.key.clone(), map.clone());
        let settings = self.plan.map_settings.as_deref().cloned().unwrap_or_default();
        tokio::spawn(async move { sidecar::put(store, &key, &map, settings).await });
    }
}

/// The number of the first segment that begins at this position or after it.
fn number(position: u64) -> u64 {
    position.div_ceil(SEGMENT_LEN as u64)
}

/// Reads the whole body, decrypts its first `size` bytes and checks them.
async fn in_memory(mut ranges: Ranges, mut content: Content, size: u64) -> Result<Verified> {
    let mut plaintext = Pieces::default();
    let mut cut = Cut::after(size);
    while let Some(mut bytes) = ranges.next().await? {
        cut.apply(&mut bytes);
        content.update(bytes.bytes_from(0))?;
        plaintext.push(bytes);
    }
    let padding = content.finish(cut.trailer())?;
    plaintext.truncate(plaintext.size().saturating_sub(padding));
    Ok(Verified::Memory(plaintext))
}

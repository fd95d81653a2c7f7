//! Reading a large object by its segment map: only the wanted segments are requested, and each segment is checked
//! before a byte of it is returned (`docs/format.md`, 3.6).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::arrival::RESTARTS;
use super::origin::{Origin, Part};
use super::ranges::{Ranges, Work};
use crate::buffer::Buffer;
use crate::content::Content;
use crate::envelope::ContentKey;
use crate::segments::{Map, Purpose, SEGMENT_LEN, SegmentReader};
use crate::{Error, ErrorKind, Result};

/// The plaintext of an object, from any byte on.
pub(super) struct Segmented {
    origin: Arc<Origin>,
    map: Arc<Map>,
    key: Arc<ContentKey>,
    etag: String,
    /// The segments that are being read, checked and, except in a legacy object, decrypted.
    ranges: Ranges,
    /// Decrypts a legacy object, whose blocks must be decrypted in order. The map ensures that this pass reads the same
    /// bytes as the pass that checked the padding.
    legacy: Option<Content>,
    /// The plaintext that arrived last, and the position of the byte after it.
    arrived: Buffer,
    fetched: u64,
    /// Plaintext of several ranges, for a chunk that one range does not hold. Its first `given` bytes were returned.
    chunk: Vec<u8>,
    given: usize,
    /// The position of the byte after those in `chunk`, and the size of the plaintext.
    position: u64,
    size: u64,
    /// How many times in a row the object got another envelope while nothing arrived.
    renewals: usize,
    /// After an error, a later call must not look like the end of the object.
    failed: bool,
}

impl Segmented {
    /// Reads the object of `origin`. `ranges` begin with its first request; running requests are used as soon as their
    /// bytes are wanted. Must be called within a tokio runtime.
    pub(super) fn new(
        origin: Arc<Origin>,
        ranges: Ranges,
        map: Arc<Map>,
        key: ContentKey,
        etag: String,
    ) -> Result<Self> {
        let legacy = if key.is_legacy() { Some(key.content()?) } else { None };
        let (key, text_len) = (Arc::new(key), map.layout().text_len());
        let covered = covered(&map);
        // If the map is partial, the requested ranges can be used only if it has all their tags.
        let is_covered = covered.start <= ranges.position() && ranges.requested().min(text_len) <= covered.end;
        let position = ranges.position();
        let ranges = if is_covered { ranges } else { ranges.again(position..position) };
        Ok(Self {
            origin,
            size: text_len.saturating_sub(map.padding()),
            ranges: ranges.end_at(covered.end).paced().with_work(opening(&map, &key)),
            map,
            key,
            etag,
            legacy,
            arrived: Buffer::default(),
            fetched: 0,
            chunk: Vec::new(),
            given: 0,
            position: 0,
            renewals: 0,
            failed: false,
        })
    }

    /// The size of the plaintext in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The number of bytes of memory that this uses.
    pub(super) fn buffered(&self) -> usize {
        self.arrived.capacity() + self.chunk.capacity()
    }

    /// Moves to the first byte of `part`; call it before anything is read. Bytes after the part are not requested in
    /// advance.
    pub(super) fn begin_at(&mut self, part: Part) {
        self.position = part.first.min(self.size);
        let end = part.segments().end;
        self.ranges.read_part(self.next_span(end));
    }

    /// Skips `bytes` bytes of plaintext, or the rest. Whole segments among them are not requested.
    pub(super) fn skip(&mut self, bytes: u64) {
        let held = bytes.min((self.chunk.len() - self.given) as u64);
        self.given += usize::try_from(held).unwrap_or_default();
        self.position = self.position.saturating_add(bytes - held).min(self.size);
    }

    /// Returns the next `most` bytes, fewer at the end and none after it. If the future is dropped before it has
    /// returned, no byte is lost.
    ///
    /// # Errors
    /// `Auth` when a segment was changed after it was encrypted, `Changed` when the object was replaced, and the errors
    /// of the requests.
    pub(super) async fn read(&mut self, most: usize) -> Result<&[u8]> {
        if self.failed {
            return Err(Error::new(ErrorKind::Closed, "the download failed earlier; start again"));
        }
        self.chunk.drain(..self.given);
        self.given = 0;
        let left = (self.size - self.position).saturating_add(self.chunk.len() as u64);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(most);
        while self.chunk.len() + self.ready().len() < length {
            self.move_to_chunk(usize::MAX);
            let needed = (length - self.chunk.len()) as u64;
            self.fetch(needed).await.inspect_err(|_| self.failed = true)?;
        }
        // If one range holds the whole chunk, nothing is copied.
        if self.chunk.is_empty() {
            let from = self.offset();
            self.position += length as u64;
            return Ok(self.arrived.bytes().get(from..from + length).unwrap_or_default());
        }
        self.move_to_chunk(length.saturating_sub(self.chunk.len()));
        self.given = length;
        Ok(self.chunk.get(..length).unwrap_or_default())
    }

    /// Moves up to `most` bytes that have arrived to the end of the chunk.
    fn move_to_chunk(&mut self, most: usize) {
        let ready = self.arrived.bytes().get(self.offset()..).unwrap_or_default();
        let moved = ready.get(..most).unwrap_or(ready);
        self.chunk.extend_from_slice(moved);
        self.position += moved.len() as u64;
    }

    /// The bytes that have arrived and are returned next.
    fn ready(&self) -> &[u8] {
        self.arrived.bytes().get(self.offset()..).unwrap_or_default()
    }

    /// The offset of the next byte in the plaintext that arrived last.
    fn offset(&self) -> usize {
        let start = self.fetched - self.arrived.len() as u64;
        usize::try_from(self.position.saturating_sub(start)).unwrap_or(usize::MAX).min(self.arrived.len())
    }

    /// Waits for the next range, of which `needed` bytes are wanted at once. The range can end before the next byte to
    /// return.
    async fn fetch(&mut self, needed: u64) -> Result<()> {
        // Frees the memory for the next range.
        self.arrived = Buffer::default();
        if !self.is_coming() {
            self.go_on().await?;
        }
        loop {
            let first = self.ranges.position();
            let error = match self.ranges.next_for(needed).await {
                Ok(Some(bytes)) => return self.arrive(first, bytes),
                Ok(None) if first < self.map.layout().text_len() => {
                    // The announced part ends here, and the reader continues.
                    self.go_on().await?;
                    continue;
                }
                Ok(None) => return Err(Error::new(ErrorKind::Transport, "the store sent fewer bytes than announced")),
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Changed => self.renew(error).await?,
                ErrorKind::Auth if self.map.was_read() => match self.replace_map().await {
                    Err(error) if error.kind() == ErrorKind::Changed => self.renew(error).await?,
                    replaced => replaced?,
                },
                _ => return Err(error),
            }
        }
    }

    /// Requests the next bytes, and their tags if the map is partial and ends before them.
    async fn go_on(&mut self) -> Result<()> {
        let start = self.start();
        let (text_len, covered) = (self.map.layout().text_len(), covered(&self.map));
        if start < text_len && !covered.contains(&start) {
            let whole = self.ranges.again(0..self.ranges.size());
            let number = start / SEGMENT_LEN as u64;
            self.map = self.origin.next_map(whole, &self.key, text_len, number).await?;
            self.begin_again();
        }
        self.ranges.read_part(self.next_span(u64::MAX));
        Ok(())
    }

    /// Whether the next byte to return is in a range that is under way, or will be requested next.
    fn is_coming(&self) -> bool {
        let first = self.ranges.position();
        if self.legacy.is_some() {
            return first == self.fetched;
        }
        first == self.position || (first..self.ranges.requested()).contains(&self.position)
    }

    /// Returns the next part to request, up to `end`; empty where the map has no tags.
    fn next_span(&self, end: u64) -> Range<u64> {
        let (start, covered) = (self.start().min(self.map.layout().text_len()), covered(&self.map));
        if start < covered.start { start..start } else { start..end.min(covered.end).max(start) }
    }

    /// The position of the first byte to request next. A legacy object must be decrypted in order.
    fn start(&self) -> u64 {
        if self.legacy.is_some() { self.fetched } else { Part::from(self.position).segments().start }
    }

    fn arrive(&mut self, first: u64, mut bytes: Buffer) -> Result<()> {
        if let Some(content) = &mut self.legacy {
            content.update(bytes.bytes_from(0))?;
        }
        self.fetched = first + bytes.len() as u64;
        self.arrived = bytes;
        self.renewals = 0;
        Ok(())
    }

    /// Reads the same body under another envelope: after a rotation of its key the object has another entity tag.
    ///
    /// # Errors
    /// `changed`, when the object has another body now, or when this happens repeatedly.
    async fn renew(&mut self, changed: Error) -> Result<()> {
        if self.renewals == RESTARTS {
            return Err(changed);
        }
        let head = match self.origin.head().await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(changed),
            head => head?,
        };
        let Ok(unlocked) = self.origin.unlock(&head).await else { return Err(changed) };
        let text_len = self.map.layout().text_len();
        if head.size != self.ranges.size() || !self.map.is_of(&unlocked.content_key, text_len) {
            return Err(changed);
        }
        // Not counted before, because a caller that is interrupted meanwhile calls again.
        self.renewals += 1;
        self.etag = head.etag;
        self.key = Arc::new(unlocked.content_key);
        if let Some((maps, version)) = self.origin.shared(&self.etag) {
            maps.keep(version, self.map.clone());
        }
        self.begin_again();
        Ok(())
    }

    /// Handles a segment that does not match the map stored beside the object. Either the object or the map was
    /// changed, and the object's own tag decides: checks the whole object and continues with the map of that pass.
    ///
    /// # Errors
    /// `Auth` when the object was changed; the errors of reading it.
    async fn replace_map(&mut self) -> Result<()> {
        let text_len = self.map.layout().text_len();
        let (origin, key) = (self.origin.clone(), self.key.clone());
        let whole = self.ranges.again(0..self.ranges.size());
        let Some((maps, version)) = origin.shared(&self.etag) else {
            self.map = origin.checked(whole, &key, text_len, Purpose::Storing).await?;
            self.begin_again();
            return Ok(());
        };
        let mut making = maps.alone(&version).await;
        let made = maps.cached(&version, &key, text_len).or_else(|| making.map(&key, text_len));
        self.map = match made.filter(|map| !map.was_read()) {
            Some(map) => map,
            None => {
                maps.forget(&version);
                let map = origin.checked(whole, &key, text_len, Purpose::Storing).await?;
                making.made(&map);
                maps.keep(version, map.clone());
                map
            }
        };
        self.begin_again();
        Ok(())
    }

    /// Requests the next bytes with the current entity tag and map.
    fn begin_again(&mut self) {
        let rest = self.next_span(u64::MAX);
        self.ranges = self.ranges.of_version(&self.etag, rest).with_work(opening(&self.map, &self.key));
    }
}

/// The bytes of the object for which the map has tags.
fn covered(map: &Map) -> Range<u64> {
    map.layout().bytes_of(map.numbers())
}

/// Returns the [`Work`] for each range: it checks and decrypts every segment. The segments of a legacy object are only
/// checked.
fn opening(map: &Arc<Map>, key: &Arc<ContentKey>) -> Arc<Work> {
    let (map, key) = (map.clone(), key.clone());
    Arc::new(move |first, bytes| {
        let text_len = map.layout().text_len();
        // The first request of an object can return its tag as well.
        bytes.truncate(usize::try_from(text_len.saturating_sub(first)).unwrap_or(usize::MAX));
        // Each range has its own ciphers, because ranges are processed concurrently.
        let mut reader: SegmentReader = map.reader(&key, text_len)?;
        let numbers = first / SEGMENT_LEN as u64..;
        numbers.zip(bytes.bytes_from(0).chunks_mut(SEGMENT_LEN)).try_for_each(|(number, segment)| {
            if key.is_legacy() { reader.check(number, segment) } else { reader.open(number, segment) }
        })
    })
}

impl fmt::Debug for Segmented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Segmented(byte {} of {})", self.position, self.size)
    }
}

//! A map: the tags of an object's segments, and the identity of that object.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::header::{Derivation, Header};
use super::{HEADER_LEN, Layout, NoMap, SegmentReader};
use crate::envelope::ContentKey;
use crate::error::Result;
use crate::gcm::gmac::MacKey;
use crate::gcm::{Backend, TAG_LEN, Tag};

/// Authenticates each segment of one version of one object.
pub struct Map {
    header: Header,
    key: MacKey,
    origin: Origin,
    layout: Layout,
    /// The number of the segment of the first tag.
    first: u64,
    tags: Vec<Tag>,
    /// The number of bytes at the end of the plaintext that are padding. Only legacy CBC has any.
    padding: u8,
}

/// The source of a map's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The object's data key, in a map that was read from beside the object.
    Read,
    /// The object's data key: anybody who has the data key can check the map.
    Derived,
    /// The random source: only this process can check the map, so it is of no use elsewhere.
    Random,
}

impl Map {
    pub(super) fn new(header: Header, key: MacKey, origin: Origin, text_len: u64, tags: Vec<Tag>) -> Self {
        Self { header, key, origin, layout: Layout::of(text_len), first: 0, tags, padding: 0 }
    }

    /// Records how many bytes at the end of the plaintext are padding.
    pub(super) fn with_padding(self, padding: u8) -> Self {
        Self { padding, ..self }
    }

    /// Reads a stored map of the object that `key` was opened from. `text_len` is the number of bytes of its
    /// ciphertext: the size of the stored body, as the store returned it for the version that is read, without the tag.
    ///
    /// `sidecar` is the whole content of `<key>.segments`. Read at most [`Layout::sidecar_len`] bytes of it and one
    /// more: a longer file is not a map of this object.
    ///
    /// # Errors
    /// [`NoMap`] is the reason why the bytes are not a map of this object. The object itself is not damaged; read it
    /// like an object without a map.
    pub fn read(sidecar: &[u8], key: &ContentKey, text_len: u64) -> std::result::Result<Self, NoMap> {
        let (header, tags) = sidecar.split_at_checked(HEADER_LEN).ok_or(NoMap::Length)?;
        Self::read_part(header, tags, 0..Layout::of(text_len).count(), key, text_len)
    }

    /// Like [`Map::read`], but reads only the tags of the segments with these `numbers`; [`Layout::tags_of`] returns
    /// their position. The whole map of an object of 64 GiB has 16 MiB. `header` is the first [`HEADER_LEN`] bytes of
    /// the stored map.
    ///
    /// # Errors
    /// The errors of [`Map::read`].
    pub fn read_part(
        header: &[u8],
        tags: &[u8],
        numbers: Range<u64>,
        key: &ContentKey,
        text_len: u64,
    ) -> std::result::Result<Self, NoMap> {
        if key.is_legacy() {
            return Err(NoMap::Legacy);
        }
        let derivation = Derivation::new(key);
        let expected = derivation.header(text_len).map_err(|_| NoMap::Derivation)?;
        expected.check(header)?;
        let layout = Layout::of(text_len);
        let (tags, rest) = tags.as_chunks::<TAG_LEN>();
        let wanted = numbers.end.checked_sub(numbers.start).ok_or(NoMap::Length)?;
        if !rest.is_empty() || tags.len() as u64 != wanted || numbers.end > layout.count() {
            return Err(NoMap::Length);
        }
        let key = derivation.segment_key().map_err(|_| NoMap::Derivation)?;
        let (first, tags) = (numbers.start, tags.to_vec());
        Ok(Self { header: expected, key, origin: Origin::Read, layout, first, tags, padding: 0 })
    }

    /// Returns the bytes to store as `<key>.segments`. Store them after the object itself. Returns `None` for a map
    /// that was made for this process only, or that is not whole.
    pub fn to_sidecar(&self) -> Option<Vec<u8>> {
        if self.origin == Origin::Random || !self.is_whole() {
            return None;
        }
        let mut bytes: Vec<u8> = Vec::with_capacity(HEADER_LEN + self.tags.len() * TAG_LEN);
        bytes.extend(self.header.bytes());
        bytes.extend_from_slice(self.tags.as_flattened());
        Some(bytes)
    }

    /// The division of the object into segments.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Whether the map holds the tags of all segments.
    pub fn is_whole(&self) -> bool {
        self.first == 0 && self.tags.len() as u64 == self.layout.count()
    }

    /// The numbers of the segments whose tags the map holds.
    pub fn numbers(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.tags.len() as u64)
    }

    /// Whether the map was read from beside the object, or can be stored there. If so, a segment that does not match it
    /// can also mean that the map is wrong.
    pub fn is_stored(&self) -> bool {
        self.origin != Origin::Random
    }

    /// Whether the map was read from beside the object. If not, it was made by this process from an object whose own
    /// tag was right, and a segment that does not match it was changed.
    pub fn was_read(&self) -> bool {
        self.origin == Origin::Read
    }

    /// The number of bytes at the end of the plaintext that are padding. Only legacy CBC has any.
    pub fn padding(&self) -> u64 {
        self.padding.into()
    }

    /// The number of bytes of memory that the map uses.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<MacKey>() + self.tags.capacity() * TAG_LEN
    }

    /// Whether this is a map of the object that `key` was opened from, with `text_len` bytes of ciphertext.
    pub fn is_of(&self, key: &ContentKey, text_len: u64) -> bool {
        Derivation::new(key).header(text_len).is_ok_and(|header| self.header.is_that_of(&header))
    }

    /// Returns a reader that checks and decrypts the segments. Each thread needs its own. `key` and `text_len` are
    /// those of the current reading of the object, as for [`Map::read`].
    ///
    /// # Errors
    /// [`ErrorKind::Auth`](crate::ErrorKind::Auth) when the map belongs to another object, another version of it or
    /// another envelope; [`ErrorKind::Internal`](crate::ErrorKind::Internal) when a cipher cannot be set up.
    pub fn reader<B: Backend>(self: &Arc<Self>, key: &ContentKey, text_len: u64) -> Result<SegmentReader<B>> {
        SegmentReader::new(self.clone(), key, text_len)
    }

    pub(super) fn key(&self) -> &MacKey {
        &self.key
    }

    /// Returns the tag of a segment; `None` when the object has no such segment or the map does not hold its tag.
    pub(super) fn tag(&self, number: u64) -> Option<&Tag> {
        let index = number.checked_sub(self.first)?;
        self.tags.get(usize::try_from(index).ok()?)
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("text_len", &self.layout.text_len())
            .field("origin", &self.origin)
            .field("tags", &self.tags.len())
            .finish_non_exhaustive()
    }
}

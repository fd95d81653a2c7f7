//! The positions of an object's segments and of their tags.

use std::ops::Range;

use super::{HEADER_LEN, SEGMENT_LEN};
use crate::gcm::TAG_LEN;

const SEGMENT: u64 = SEGMENT_LEN as u64;

/// The division of an object's ciphertext into segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    text_len: u64,
}

impl Layout {
    /// Returns the layout of an object with `text_len` bytes of ciphertext, not counting its tag.
    pub fn of(text_len: u64) -> Self {
        Self { text_len }
    }

    /// The number of bytes of ciphertext, not counting the tag.
    pub fn text_len(self) -> u64 {
        self.text_len
    }

    /// The number of segments; 0 for an empty object.
    pub fn count(self) -> u64 {
        self.text_len.div_ceil(SEGMENT)
    }

    /// The length of the stored map in bytes; `None` for a length that no object can have.
    pub fn sidecar_len(self) -> Option<u64> {
        self.count().checked_mul(TAG_LEN as u64)?.checked_add(HEADER_LEN as u64)
    }

    /// Returns the position in the object, in bytes, of the segment with this number; `None` after the last segment.
    pub fn segment(self, number: u64) -> Option<Range<u64>> {
        let start = number.checked_mul(SEGMENT).filter(|start| *start < self.text_len)?;
        Some(start..start.saturating_add(SEGMENT).min(self.text_len))
    }

    /// Returns the numbers of the segments that hold these bytes of the plaintext, as far as the object has them.
    pub fn segments_of(self, bytes: Range<u64>) -> Range<u64> {
        let end = bytes.end.min(self.text_len);
        if bytes.start >= end { 0..0 } else { bytes.start / SEGMENT..end.div_ceil(SEGMENT) }
    }

    /// Returns the position in the object, in bytes, of the segments with these numbers, as far as they exist.
    pub fn bytes_of(self, numbers: Range<u64>) -> Range<u64> {
        let at = |number: u64| number.saturating_mul(SEGMENT).min(self.text_len);
        at(numbers.start)..at(numbers.end).max(at(numbers.start))
    }

    /// Returns the position in the stored map, in bytes, of the tags of the segments with these numbers, as far as they
    /// exist.
    pub fn tags_of(self, numbers: Range<u64>) -> Range<u64> {
        // The product cannot overflow: there are at most 2^48 segments.
        let at = |number: u64| HEADER_LEN as u64 + number.min(self.count()) * TAG_LEN as u64;
        at(numbers.start)..at(numbers.end).max(at(numbers.start))
    }
}

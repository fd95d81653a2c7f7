//! Collecting the ciphertext of an upload and dividing it into parts.

use bytes::Bytes;

use super::plan::{Division, PartPlan};
use crate::buffer::{Buffer, Pool};
use crate::error::reason;
use crate::gcm::{TAG_LEN, Tag};
use crate::{Error, ErrorKind, Result};

/// The initial buffer in bytes for an object of unknown size.
const FIRST: usize = 64 * 1024;

/// Buffers of parts that have arrived, for reuse. An upload that fills them slowly, or may have fewer parts in flight
/// than before, returns the others to the system.
const KEPT: usize = 4;

/// Ciphertext that was not sent yet. No part is made before it is clear that the object is sent in parts.
#[derive(Debug)]
pub(super) struct Parts {
    division: Division,
    pool: Pool,
    buffer: Buffer,
    /// The bytes that remained when parts were made. They precede the bytes in the buffer.
    rest: Bytes,
    cut: usize,
}

impl Parts {
    /// Starts empty, for an object of `expected` plaintext bytes.
    pub(super) fn new(plan: PartPlan, expected: Option<u64>) -> Result<Self> {
        let mut parts = Self {
            division: plan.divide(expected),
            pool: Pool::new(KEPT),
            buffer: Buffer::default(),
            rest: Bytes::new(),
            cut: 0,
        };
        // One byte more, for the read that finds the end of the file.
        let first = expected.map_or(FIRST, |size| usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1));
        parts.grow(first.min(parts.limit()))?;
        Ok(parts)
    }

    /// Appends `plaintext` of at most [`room`](Self::room) bytes and returns its length.
    pub(super) fn fill(&mut self, plaintext: &[u8]) -> Result<usize> {
        let before = self.buffer()?.len();
        self.buffer.fill(plaintext);
        Ok(self.buffer.len() - before)
    }

    /// Lets `read` fill at most `most` bytes and returns how many it filled.
    pub(super) fn fill_with(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>,
    ) -> Result<usize> {
        self.buffer()?.read_with(most, read).map_err(|error| {
            Error::new(ErrorKind::Io, format!("the file to upload could not be read: {}", reason(&error)))
                .with_source(error)
        })
    }

    /// A buffer with room for at least one more byte. [`cut_off`](Self::cut_off) must have been called since it was
    /// filled.
    fn buffer(&mut self) -> Result<&mut Buffer> {
        if self.buffer.room() <= TAG_LEN {
            self.grow(self.limit())?;
        }
        Ok(&mut self.buffer)
    }

    /// The last `length` bytes that were appended.
    pub(super) fn newest(&mut self, length: usize) -> &mut [u8] {
        let from = self.buffer.len().saturating_sub(length);
        self.buffer.bytes_from(from)
    }

    /// The number of bytes that fit before [`cut_off`](Self::cut_off) must be called.
    pub(super) fn room(&self) -> usize {
        let free = self.buffer.room().saturating_sub(TAG_LEN);
        let left = self.limit().saturating_sub(self.buffer.len() + self.rest.len());
        if free == 0 { left } else { free.min(left) }
    }

    /// Removes the complete parts, in order. A buffer for the next part is allocated only when it is needed, so that no
    /// memory beyond the parts is held while they wait to be sent.
    pub(super) fn cut_off(&mut self) -> Vec<Bytes> {
        let mut parts = Vec::new();
        if self.buffer.len() < self.limit() {
            return parts;
        }
        let mut full = Bytes::from(std::mem::take(&mut self.buffer));
        while full.len() >= self.part_size() {
            parts.push(full.split_to(self.part_size()));
            self.cut += 1;
        }
        self.rest = full;
        parts
    }

    /// Returns the rest with the tag after it. The second value is the last part, or the whole of a small object. The
    /// first is the part before it, if the tag makes one part too large: Cloudflare R2 refuses an object with a part
    /// that is larger than the first.
    pub(super) fn finish(mut self, tag: &Tag) -> Result<(Option<Bytes>, Bytes)> {
        if self.buffer.room() < TAG_LEN {
            self.grow(self.buffer.len() + self.rest.len())?;
        }
        self.buffer.fill(tag);
        let part_size = self.part_size();
        let mut rest = Bytes::from(self.buffer);
        let full = (self.cut > 0 && rest.len() > part_size).then(|| rest.split_to(part_size));
        Ok((full, rest))
    }

    /// Bytes of memory in use.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len() + self.rest.len()
    }

    fn limit(&self) -> usize {
        if self.cut == 0 { self.division.first } else { self.part_size() }
    }

    fn part_size(&self) -> usize {
        self.division.size_of(self.cut + 1)
    }

    fn grow(&mut self, size: usize) -> Result<()> {
        // The buffer before the first part may be larger than a part, and would stay so in the pool.
        let fits = size <= self.part_size();
        let mut grown = if fits { self.pool.buffer(size + TAG_LEN)? } else { Buffer::with_capacity(size + TAG_LEN)? };
        grown.fill(&std::mem::take(&mut self.rest));
        grown.fill(self.buffer.bytes());
        self.buffer = grown;
        Ok(())
    }
}

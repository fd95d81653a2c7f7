//! How the ciphertext of an upload is gathered and cut into parts.

use bytes::Bytes;

use super::PartPlan;
use crate::Result;
use crate::buffer::{Buffer, Pool};
use crate::gcm::{TAG_LEN, Tag};

/// What an upload begins with; most files of most applications are no larger.
const FIRST: usize = 64 * 1024;

/// Ciphertext that was not handed over yet. Nothing is cut off before the object has reached the multipart threshold.
#[derive(Debug)]
pub(super) struct Parts {
    plan: PartPlan,
    pool: Pool,
    buffer: Buffer,
    cut: usize,
}

impl Parts {
    /// No bytes and no parts yet.
    pub(super) fn new(plan: PartPlan) -> Result<Self> {
        // Those in flight, the one that waits to be sent and the one that is filled.
        let pool = Pool::new(plan.concurrency + 2);
        Ok(Self { plan, pool, buffer: Buffer::with_capacity(FIRST)?, cut: 0 })
    }

    /// A buffer that takes at least one byte more, and says where its new bytes will begin. [`cut_off`](Self::cut_off)
    /// must have been called since it was filled.
    pub(super) fn buffer(&mut self) -> Result<(&mut Buffer, usize)> {
        if self.buffer.room() <= TAG_LEN {
            self.grow(self.limit())?;
        }
        let length = self.buffer.len();
        Ok((&mut self.buffer, length))
    }

    /// What was put into the buffer from `from` on.
    pub(super) fn filled_from(&mut self, from: usize) -> &mut [u8] {
        self.buffer.bytes_from(from)
    }

    /// How many bytes may be put into the buffer before [`cut_off`](Self::cut_off) must be called.
    pub(super) fn room(&self) -> usize {
        let free = self.buffer.room().saturating_sub(TAG_LEN);
        let left = self.limit().saturating_sub(self.buffer.len());
        if free == 0 { left } else { free.min(left) }
    }

    /// Takes off the parts that are complete, in order.
    pub(super) fn cut_off(&mut self) -> Result<Vec<Bytes>> {
        let mut parts = Vec::new();
        if self.buffer.len() < self.limit() {
            return Ok(parts);
        }
        let mut full = Bytes::from(std::mem::replace(&mut self.buffer, Buffer::with_capacity(0)?));
        while full.len() >= self.part_size() {
            parts.push(full.split_to(self.part_size()));
            self.cut += 1;
        }
        self.buffer = self.pool.buffer(self.part_size() + TAG_LEN)?;
        self.buffer.fill(&full);
        Ok(parts)
    }

    /// What is left, and the tag behind it. The second is the last part, or the whole of a small object. The first is
    /// the part before it, where the tag makes one part too large: Cloudflare R2 refuses an object of which any part is
    /// larger than the first.
    pub(super) fn finish(mut self, tag: &Tag) -> Result<(Option<Bytes>, Bytes)> {
        if self.buffer.room() < TAG_LEN {
            self.grow(self.buffer.len())?;
        }
        self.buffer.fill(tag);
        let part_size = self.part_size();
        let mut rest = Bytes::from(self.buffer);
        let full = (self.cut > 0 && rest.len() > part_size).then(|| rest.split_to(part_size));
        Ok((full, rest))
    }

    /// Bytes of memory that this holds.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.len()
    }

    fn limit(&self) -> usize {
        if self.cut == 0 { self.plan.multipart_threshold.max(self.part_size()) } else { self.part_size() }
    }

    fn part_size(&self) -> usize {
        self.plan.size_of(self.cut + 1)
    }

    fn grow(&mut self, size: usize) -> Result<()> {
        // Not of the pool: it is larger than a part, and would stay so as one.
        let mut grown = Buffer::with_capacity(size + TAG_LEN)?;
        grown.fill(self.buffer.bytes());
        self.buffer = grown;
        Ok(())
    }
}

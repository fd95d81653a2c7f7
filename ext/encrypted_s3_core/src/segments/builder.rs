//! Computes the tags of a map from a stream of ciphertext.

use super::{SEGMENT_LEN, segment_nonce};
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::gmac::{Gmac, MacKey};
use crate::gcm::{Backend, Tag};

/// The tags computed so far. They must not be used before the object's own tag was made or successfully checked;
/// [`super::pass`] ensures that.
pub(super) struct Builder<B: Backend> {
    mac: Gmac<B>,
    tags: Vec<Tag>,
    /// The number of bytes of the current segment so far.
    filled: usize,
    failed: bool,
}

impl<B: Backend> Builder<B> {
    pub(super) fn new(key: &MacKey) -> Result<Self> {
        Ok(Self { mac: Gmac::with_backend(key)?, tags: Vec::new(), filled: 0, failed: false })
    }

    /// Adds the next bytes of the ciphertext. The result does not depend on how the ciphertext is cut into pieces.
    pub(super) fn update(&mut self, text: &[u8]) -> Result<()> {
        // A caller that ignores an error would otherwise get tags over a text with a gap.
        self.take_in(text).inspect_err(|_| self.failed = true)
    }

    /// Makes [`finish`](Self::finish) return an error.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    fn take_in(&mut self, mut text: &[u8]) -> Result<()> {
        while !text.is_empty() {
            if self.filled == 0 {
                self.mac.start(&segment_nonce(self.tags.len() as u64))?;
            }
            let (head, rest) = text.split_at(text.len().min(SEGMENT_LEN - self.filled));
            self.mac.update(head)?;
            self.filled += head.len();
            text = rest;
            if self.filled == SEGMENT_LEN {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let tag = self.mac.finish()?;
        self.tags.push(tag);
        self.filled = 0;
        Ok(())
    }

    /// Returns the length of the text in bytes and the tags of all segments.
    ///
    /// # Errors
    /// `Internal` after an earlier error or after [`fail`](Self::fail), and when the cipher fails.
    pub(super) fn finish(mut self) -> Result<(u64, Vec<Tag>)> {
        if self.failed {
            return Err(Error::new(ErrorKind::Internal, "the segment map failed earlier"));
        }
        let text_len = self.tags.len() as u64 * SEGMENT_LEN as u64 + self.filled as u64;
        if self.filled > 0 {
            self.close()?;
        }
        Ok((text_len, self.tags))
    }
}

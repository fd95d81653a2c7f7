//! Checks and decrypts segments in any order.

use std::fmt;
use std::sync::Arc;

use super::{Layout, Map, segment_nonce};
use crate::envelope::ContentKey;
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::gmac::Gmac;
use crate::gcm::keystream::Keystream;
use crate::gcm::{Backend, DefaultBackend};

/// Opens the segments of one object. Several readers can work on several threads at the same time; each has its own
/// ciphers.
#[must_use]
pub struct SegmentReader<B: Backend = DefaultBackend> {
    map: Arc<Map>,
    mac: Gmac<B>,
    /// `None` for legacy CBC, which has no keystream.
    keystream: Option<Keystream<B>>,
}

impl<B: Backend> SegmentReader<B> {
    pub(super) fn new(map: Arc<Map>, key: &ContentKey, text_len: u64) -> Result<Self> {
        // With another nonce or key the ciphertext would match the map but decrypt to something else.
        if !map.is_of(key, text_len) {
            return Err(Error::new(ErrorKind::Auth, "the segment map is of another object or another version of it"));
        }
        let mac = Gmac::with_backend(map.key())?;
        let keystream = key.gcm().map(|(key, nonce, _)| Keystream::with_backend(key, nonce)).transpose()?;
        Ok(Self { map, mac, keystream })
    }

    /// The division of the object into segments.
    pub fn layout(&self) -> Layout {
        self.map.layout()
    }

    /// Checks the segment with this `number`. `text` is its whole ciphertext.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] when the content or the length of the segment does not match the map. If the map was stored,
    /// check the whole object now ([`Checking`](super::Checking)) to find out whether the object or the map was
    /// changed. [`ErrorKind::Internal`] when the map has no such segment.
    pub fn check(&mut self, number: u64, text: &[u8]) -> Result<()> {
        let tag = self.map.tag(number).zip(self.layout().segment(number));
        let (tag, span) = tag.ok_or_else(|| missing(number))?;
        if text.len() as u64 != span.end - span.start {
            return Err(changed(number));
        }
        self.mac.verify(&segment_nonce(number), text, tag).map_err(|error| match error.kind() {
            ErrorKind::Auth => changed(number),
            _ => error,
        })
    }

    /// Checks the segment with this `number` and then decrypts it in place. `text` is its whole ciphertext; it stays
    /// unchanged when the check fails.
    ///
    /// # Errors
    /// The errors of [`SegmentReader::check`]; [`ErrorKind::Unsupported`] for legacy CBC, which can be decrypted only
    /// in order.
    pub fn open(&mut self, number: u64, text: &mut [u8]) -> Result<()> {
        self.check(number, text)?;
        let keystream = self.keystream.as_mut().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "a segment of a legacy object cannot be decrypted by itself")
        })?;
        let span = self.map.layout().segment(number).ok_or_else(|| missing(number))?;
        keystream.apply(span.start, text)
    }
}

impl<B: Backend> fmt::Debug for SegmentReader<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentReader").field("map", &self.map).finish_non_exhaustive()
    }
}

fn changed(number: u64) -> Error {
    Error::new(ErrorKind::Auth, format!("segment {number} of the object was changed after it was encrypted"))
}

fn missing(number: u64) -> Error {
    Error::new(ErrorKind::Internal, format!("the segment map has no segment {number}"))
}

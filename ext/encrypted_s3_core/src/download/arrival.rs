//! Receiving an object: first its head and envelope, then its body. Nothing of the body is used before all of it has
//! been checked.

use std::sync::Arc;

use super::ranges::{RangePlan, Ranges};
use super::spool::{Spool, SpoolReader, Waiting};
use super::{DownloadPlan, Used, instruction_file, passes};
use crate::buffer::Buffer;
use crate::cbc::BLOCK_LEN;
use crate::content::Content;
use crate::envelope::{self, Envelopes, Opened};
use crate::store::ObjectStore;
use crate::{Error, ErrorKind, Result};

/// How many times reading starts again because the object got another envelope meanwhile. A rotation of its key does
/// that and leaves the body unchanged.
const ANEW: usize = 2;

/// An object and the settings for reading it.
pub(super) struct Origin {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) envelopes: Envelopes,
    pub(super) plan: DownloadPlan,
    pub(super) key: String,
    pub(super) waiting: Waiting,
}

/// An object whose head and envelope have been read.
pub(super) struct Begun {
    ranges: Ranges,
    content: Content,
    /// The second opener, for an object that is read in two passes over the ciphertext: the first pass authenticates
    /// with `content`, the second decrypts with this one.
    second: Option<Content>,
    /// The number of bytes of ciphertext without the trailer.
    pub(super) size: u64,
    /// Identifies the body; no other body has the same value.
    body_id: Option<String>,
    pub(super) etag: String,
    pub(super) used: Used,
}

/// An object that was read to its end and checked.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) body: Verified,
    pub(super) etag: String,
    pub(super) used: Used,
}

/// A body whose tag (legacy CBC: whose padding) has been checked.
#[derive(Debug)]
pub(super) enum Verified {
    Memory { plaintext: Buffer, given: usize },
    Spooled(Box<SpoolReader>),
}

impl Verified {
    /// The size of the plaintext in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Memory { plaintext, .. } => plaintext.len() as u64,
            Self::Spooled(reader) => reader.size(),
        }
    }

    /// Returns the next `most` bytes of plaintext, fewer at the end of the object and none after it.
    pub(super) fn read(&mut self, most: usize) -> Result<&[u8]> {
        match self {
            Self::Spooled(reader) => reader.read(most),
            Self::Memory { plaintext, given } => {
                let rest = plaintext.bytes().get(*given..).unwrap_or_default();
                let chunk = rest.get(..most).unwrap_or(rest);
                *given += chunk.len();
                Ok(chunk)
            }
        }
    }

    /// The number of bytes of memory that this uses.
    pub(super) fn buffered(&self) -> usize {
        match self {
            Self::Memory { plaintext, .. } => plaintext.len(),
            Self::Spooled(reader) => reader.buffered(),
        }
    }
}

impl Origin {
    /// Requests the object and opens its envelope.
    pub(super) async fn begin(&self) -> Result<Begun> {
        // Ranges end at a block boundary, so that each can be decrypted when it arrives.
        let ranges = self.plan.ranges;
        let size = ranges.size.max(1).checked_next_multiple_of(BLOCK_LEN as u64).unwrap_or(ranges.size);
        let (head, ranges) = Ranges::open(self.store.clone(), &self.key, RangePlan { size, ..ranges }).await?;
        let file = instruction_file::read(self.store.clone(), &self.envelopes, &head, &self.key).await?;
        let opened = self.envelopes.open(&self.key, head.entries(), file.as_deref()).await;
        let Opened { content, content_key, format, key } = opened.map_err(|error| error.for_object(&self.key))?;
        let size = content.text_len(head.size).map_err(|error| error.for_object(&self.key))?;
        let second = if size > self.plan.memory_limit { Some(content_key.content()?) } else { None };
        let body_id = envelope::body_id(head.entries());
        Ok(Begun { ranges, content, second, size, body_id, etag: head.etag, used: Used { format, key } })
    }

    /// Reads and checks the body of `begun`. If the store has another version of the object meanwhile, and that version
    /// has the same body under another envelope, that version is read instead. This is safe because nothing of the body
    /// has been returned yet.
    ///
    /// # Errors
    /// `Changed` when the object is replaced again and again, when the new version has another body, or when the object
    /// was deleted. Otherwise the errors of reading and checking the body.
    pub(super) async fn arrive(self, mut begun: Begun) -> Result<Arrived> {
        let (size, body_id) = (begun.size, begun.body_id.clone());
        for _ in 0..ANEW {
            let changed = match begun.verify(&self.waiting).await {
                Err(error) if error.kind() == ErrorKind::Changed => error,
                arrived => return arrived,
            };
            begun = match self.begin().await {
                Ok(next) if next.size == size && body_id.is_some() && next.body_id == body_id => next,
                Ok(_) => return Err(changed),
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(changed),
                Err(error) => return Err(error),
            };
        }
        begun.verify(&self.waiting).await
    }
}

impl Begun {
    /// Whether the plaintext may be shorter than the ciphertext.
    pub(super) fn is_padded(&self) -> bool {
        self.content.is_padded()
    }

    async fn verify(self, waiting: &Waiting) -> Result<Arrived> {
        let Self { ranges, content, second, size, etag, used, .. } = self;
        let body = match second {
            None => verify_in_memory(ranges, content, size).await?,
            Some(second) => {
                let _turn = passes::turn().await;
                verify_in_file(ranges, content, second, size, waiting).await?
            }
        };
        Ok(Arrived { body, etag, used })
    }
}

/// Reads the whole body into memory, decrypts its first `size` bytes and checks them.
async fn verify_in_memory(mut ranges: Ranges, mut content: Content, size: u64) -> Result<Verified> {
    let no_memory = |_| Error::new(ErrorKind::TooLarge, format!("{size} bytes do not fit into memory"));
    let body = usize::try_from(ranges.size()).map_err(no_memory)?;
    let size = usize::try_from(size).map_err(no_memory)?;
    // For a small object the first range is the whole body; it is decrypted in place.
    let mut text = ranges.next().await?.map_or_else(|| Buffer::with_capacity(0), Ok)?;
    if text.len() < body {
        let mut whole = Buffer::with_capacity(body)?;
        whole.fill(text.bytes());
        text = whole;
    }
    let mut opened = 0;
    loop {
        let ready = text.len().min(size);
        let piece = text.bytes_from(opened);
        content.update(piece.get_mut(..ready - opened).unwrap_or_default())?;
        opened = ready;
        match ranges.next().await? {
            Some(bytes) => drop(text.fill(bytes.bytes())),
            None => break,
        }
    }
    let padding = content.finish(text.bytes().get(size..).unwrap_or_default())?;
    text.truncate(size - padding);
    Ok(Verified::Memory { plaintext: text, given: 0 })
}

/// Reads the whole body into a temporary file and checks it on the way. `size` is the number of bytes of ciphertext
/// without the trailer. The returned reader decrypts the file with `second`.
async fn verify_in_file(
    mut ranges: Ranges,
    mut content: Content,
    second: Content,
    size: u64,
    waiting: &Waiting,
) -> Result<Verified> {
    let mut spool = Spool::create(waiting)?;
    let mut left = size;
    let mut trailer = Vec::new();
    while let Some(mut bytes) = ranges.next().await? {
        let text = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        trailer.extend_from_slice(bytes.bytes_from(text));
        bytes.truncate(text);
        let (filled, mut bytes) = spool.append(bytes).await?;
        spool = filled;
        // The plaintext of this pass is discarded unread; only the check of the tag is needed.
        content.update(bytes.bytes_from(0))?;
        left -= text as u64;
    }
    let padding = content.finish(&trailer)?;
    Ok(Verified::Spooled(Box::new(spool.into_reader(second, padding as u64, trailer))))
}

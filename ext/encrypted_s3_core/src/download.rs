//! Reading one encrypted object.
//!
//! Nothing is handed out before the authentication tag, which stands at the end of the object, has been checked.

use std::sync::Arc;

use crate::gcm::{Opener, TAG_LEN};
use crate::keyring::Keyring;
use crate::store::{Body, Object, ObjectStore};
use crate::task::Task;
use crate::{Error, ErrorKind, Result, envelope};

/// The size of the chunks that a reader gets, in bytes: what Active Storage's own services give.
pub const CHUNK: usize = 5 * 1024 * 1024;

/// An object whose head and envelope were read. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    key: String,
    size: u64,
    body: Stage,
    given: usize,
}

/// Where the body is.
#[derive(Debug)]
enum Stage {
    Arriving(Task<Vec<u8>>),
    Verified(Vec<u8>),
    /// What failed once stays failed: the next call must not look like the end of an object.
    Failed,
}

impl Download {
    /// Asks the store for the object and waits for its head and envelope.
    ///
    /// # Errors
    /// `NotFound`, and every kind that says why an envelope cannot be opened; no byte of the body was used yet.
    pub async fn open(store: Arc<dyn ObjectStore>, keyring: &Keyring, key: &str) -> Result<Self> {
        let object = Task::spawn(store.get(key)).join().await?;
        let Object { head, body } = object;
        let metadata = head.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let opener = envelope::open(keyring, metadata, None).map_err(|error| error.for_object(key))?;
        let size = plaintext_size(head.size).map_err(|error| error.for_object(key))?;
        let body = Stage::Arriving(Task::spawn(fetch(opener, body, size)));
        Ok(Self { key: key.to_owned(), size, body, given: 0 })
    }

    /// The size of the plaintext in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The next [`CHUNK`] bytes of authenticated plaintext, fewer at the end, or `None` after the last.
    ///
    /// # Errors
    /// `Auth` or `Truncated` when the object is not what was encrypted, `Transport` when the connection broke; always
    /// before the first chunk.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        let given = self.given;
        let rest = self.verified().await?.get(given..).unwrap_or_default();
        let length = rest.len().min(CHUNK);
        self.given += length;
        let chunk = self.verified().await?.get(given..given + length).unwrap_or_default();
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// `length` bytes of authenticated plaintext from `first`, fewer at the end of the object; `None` is to the end.
    ///
    /// # Errors
    /// As [`next`](Self::next), and `InvalidRange` when `first` is past the last byte.
    pub async fn range(&mut self, first: u64, length: Option<u64>) -> Result<&[u8]> {
        if first >= self.size {
            return Err(Error::new(
                ErrorKind::InvalidRange,
                format!("the range begins at byte {first}, the object has {}", self.size),
            )
            .for_object(&self.key));
        }
        let end = length.map_or(self.size, |length| first.saturating_add(length).min(self.size));
        let bounds = usize::try_from(first).ok().zip(usize::try_from(end).ok());
        let verified = self.verified().await?;
        let bytes = bounds.and_then(|(first, end)| verified.get(first..end));
        bytes.ok_or_else(|| Error::new(ErrorKind::Internal, "the range is not in the object"))
    }

    /// Bytes of memory that the download holds.
    pub fn buffered(&self) -> usize {
        if let Stage::Verified(plaintext) = &self.body { plaintext.capacity() } else { 0 }
    }

    async fn verified(&mut self) -> Result<&[u8]> {
        if let Stage::Arriving(transfer) = &mut self.body {
            let arrived = transfer.join().await;
            self.body = Stage::Failed;
            self.body = Stage::Verified(arrived.map_err(|error| error.for_object(&self.key))?);
        }
        match &self.body {
            Stage::Verified(plaintext) => Ok(plaintext),
            _ => Err(Error::new(ErrorKind::Closed, "the download has failed before").for_object(&self.key)),
        }
    }
}

/// What is stored is the plaintext's length and a tag.
///
/// # Errors
/// `Truncated` when there is no room for the tag: AES-GCM libraries that are given a short one compare only that much.
pub fn plaintext_size(stored: u64) -> Result<u64> {
    stored.checked_sub(TAG_LEN as u64).ok_or_else(|| {
        Error::new(ErrorKind::Truncated, format!("the body has {stored} bytes, fewer than its authentication tag"))
    })
}

/// Reads the whole body, decrypts it and checks the tag.
async fn fetch(mut opener: Opener, mut body: Body, size: u64) -> Result<Vec<u8>> {
    let too_large = || Error::new(ErrorKind::TooLarge, format!("{size} bytes do not fit into memory"));
    let size = usize::try_from(size).map_err(|_| too_large())?;
    let mut text = Vec::new();
    text.try_reserve_exact(size + TAG_LEN).map_err(|_| too_large())?;
    let mut opened = 0;
    while let Some(piece) = body.next().await {
        text.extend_from_slice(&piece?);
        if text.len() > size + TAG_LEN {
            return Err(Error::new(ErrorKind::Transport, "the store sent more bytes than it had announced"));
        }
        let ready = text.len().min(size);
        opener.update(text.get_mut(opened..ready).unwrap_or_default())?;
        opened = ready;
    }
    let tag = text
        .get(size..)
        .unwrap_or_default()
        .try_into()
        .map_err(|_| Error::new(ErrorKind::Transport, "the connection ended before the whole body had arrived"))?;
    opener.finish(tag)?;
    text.truncate(size);
    Ok(text)
}

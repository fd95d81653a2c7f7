//! Reading one encrypted object.
//!
//! Nothing is handed out before the authentication tag, which stands at the end of the object, has been checked: small
//! objects wait for it in memory, large ones as ciphertext in a temporary file. Legacy CBC objects, which have no tag,
//! wait for the check of their padding in the same way.

mod instruction_file;
mod ranges;
mod spool;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub use self::ranges::RangePlan;
use self::ranges::Ranges;
use self::spool::{Spool, SpoolReader, Waiting};
use crate::buffer::Buffer;
use crate::cbc::BLOCK_LEN;
use crate::content::Content;
use crate::envelope::{Envelopes, Format, Opened};
use crate::keyring::KeyUse;
use crate::md5::Digester;
use crate::store::ObjectStore;
use crate::task::Task;
use crate::{Error, ErrorKind, Result};

/// The size of the chunks that a reader gets, in bytes: what Active Storage's own services give.
pub const CHUNK: usize = 5 * 1024 * 1024;

/// How objects are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadPlan {
    /// How an object is cut into requests.
    pub ranges: RangePlan,
    /// Plaintext up to this many bytes waits in memory for its authentication, more as ciphertext in a file.
    pub memory_limit: u64,
    /// Where that file is; `None` is the system's folder for temporary files.
    pub spool_folder: Option<PathBuf>,
}

/// What was written into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// How much.
    pub bytes: u64,
    /// The base64 of its MD5, if that was asked for.
    pub md5: Option<String>,
    /// What opened the object.
    pub used: Used,
}

/// An object whose head and envelope were read. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    key: String,
    etag: String,
    used: Used,
    size: u64,
    body: Stage,
}

/// What opened an object: for whoever keeps records, or wants old keys to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The object's format.
    pub format: Format,
    /// The key; `None` in V1, where that is not told.
    pub key: Option<KeyUse>,
}

/// Where the body is.
#[derive(Debug)]
enum Stage {
    Arriving(Task<Verified>),
    Verified(Verified),
    /// What failed once stays failed: the next call must not look like the end of an object.
    Failed,
}

/// A body whose tag was checked.
#[derive(Debug)]
enum Verified {
    Memory { plaintext: Buffer, given: usize },
    Spooled(SpoolReader),
}

impl Download {
    /// Asks the store for the object and waits for its head and envelope.
    ///
    /// # Errors
    /// `NotFound`, and every kind that says why an envelope cannot be opened; no byte of the body was used yet. `Cbc`
    /// for a legacy object, all of which is read first: its size shows only at its end.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
    ) -> Result<Self> {
        Self::open_over(store, envelopes, plan, key, Waiting::Folder(plan.spool_folder.clone())).await
    }

    /// Opens the object and writes all of it into `file`, at its position. `digest` computes the MD5 of that on the way.
    /// When it fails and the position was the file's end, the file is as it was. (If the future is dropped instead, the
    /// file holds anything: part of the plaintext, or ciphertext.)
    ///
    /// A large object waits for its authentication as ciphertext in that file itself, where that can be.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`next`](Self::next), and `Io` when the file cannot be written.
    pub async fn save(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
        file: &File,
        digest: bool,
    ) -> Result<Written> {
        let end = spool::end_of(file);
        let waiting = Waiting::in_place(file).unwrap_or_else(|| Waiting::Folder(plan.spool_folder.clone()));
        let saving =
            async { Self::open_over(store, envelopes, plan, key, waiting).await?.write_to(file, digest).await };
        let written = saving.await;
        match (&written, end) {
            (Err(_), Some(end)) => {
                // Nothing more can be done about a file that cannot be cut off either.
                let _restored = file.set_len(end).and_then(|()| (&*file).seek(SeekFrom::Start(end)));
            }
            // What waited there had padding.
            (Ok(written), Some(end)) => file.set_len(end + written.bytes).map_err(|error| unwritable(key, error))?,
            _ => {}
        }
        written
    }

    async fn open_over(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
        waiting: Waiting,
    ) -> Result<Self> {
        // What is decrypted at once ends where a block does.
        let size = plan.ranges.size.max(1).checked_next_multiple_of(BLOCK_LEN as u64).unwrap_or(plan.ranges.size);
        let whole_blocks = RangePlan { size, ..plan.ranges };
        let (head, ranges) = Ranges::open(store.clone(), key, whole_blocks).await?;
        let file = instruction_file::read(store, envelopes, &head, key).await?;
        let open = || {
            let metadata = head.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            envelopes.open(metadata, file.as_deref()).map_err(|error| error.for_object(key))
        };
        let Opened { content: first, format, key: used } = open()?;
        let used = Used { format, key: used };
        let is_padded = first.is_padded();
        let size = first.text_len(head.size).map_err(|error| error.for_object(key))?;
        let body = if size <= plan.memory_limit {
            Task::spawn(verify_in_memory(ranges, first, size))
        } else {
            // Two passes over the ciphertext need two openers: the first authenticates, the second decrypts.
            Task::spawn(verify_in_file(ranges, first, open()?.content, size, waiting))
        };
        let mut download = Self { key: key.to_owned(), etag: head.etag, used, size, body: Stage::Arriving(body) };
        if is_padded {
            download.size = download.verified().await?.size();
        }
        Ok(download)
    }

    /// The size of the plaintext in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The entity tag of the version that is read, with its quotes; empty when the store gives none.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// In which format the object is, and which key opened it.
    pub fn used(&self) -> &Used {
        &self.used
    }

    /// The next [`CHUNK`] bytes of authenticated plaintext, fewer at the end, or `None` after the last.
    ///
    /// # Errors
    /// `Auth` or `Truncated` when the object is not what was encrypted, `Transport` when it could not be read; always
    /// before the first chunk.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        self.read(CHUNK as u64).await
    }

    /// As [`next`](Self::next), but of at most `most` bytes, and of [`CHUNK`] at the most.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn read(&mut self, most: u64) -> Result<Option<&[u8]>> {
        let most = usize::try_from(most).unwrap_or(CHUNK).min(CHUNK);
        let chunk = match self.verified().await? {
            Verified::Spooled(reader) => reader.read(most)?,
            Verified::Memory { plaintext, given } => {
                let rest = plaintext.bytes().get(*given..).unwrap_or_default();
                let chunk = rest.get(..most).unwrap_or(rest);
                *given += chunk.len();
                chunk
            }
        };
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Passes over the next `bytes` bytes of plaintext, or what is left of it.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn skip(&mut self, mut bytes: u64) -> Result<()> {
        while bytes > 0 {
            let Some(passed) = self.read(bytes).await? else { break };
            bytes -= passed.len() as u64;
        }
        Ok(())
    }

    /// `length` bytes of authenticated plaintext from `first`, fewer at the end of the object; `None` is to the end.
    /// Consumes the download: what was read of it before is not read again.
    ///
    /// # Errors
    /// As [`next`](Self::next), and `InvalidRange` when `first` is past the last byte.
    pub async fn range(mut self, first: u64, length: Option<u64>) -> Result<Vec<u8>> {
        if first >= self.size {
            let what = format!("the range begins at byte {first}, the object has {}", self.size);
            return Err(Error::new(ErrorKind::InvalidRange, what).for_object(&self.key));
        }
        self.skip(first).await?;
        let mut left = length.unwrap_or(u64::MAX).min(self.size - first);
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or_default());
        while left > 0 {
            let Some(chunk) = self.read(left).await? else { break };
            bytes.extend_from_slice(chunk);
            left -= chunk.len() as u64;
        }
        Ok(bytes)
    }

    async fn write_to(&mut self, mut file: &File, digest: bool) -> Result<Written> {
        let key = self.key.clone();
        let mut bytes = 0;
        let mut md5 = digest.then(Digester::new);
        while let Some(chunk) = self.next().await? {
            file.write_all(chunk).map_err(|error| unwritable(&key, error))?;
            if let Some(md5) = &mut md5 {
                md5.update(chunk).await;
            }
            bytes += chunk.len() as u64;
        }
        let md5 = match md5 {
            Some(md5) => Some(STANDARD.encode(md5.finish().await?)),
            None => None,
        };
        Ok(Written { bytes, md5, used: self.used.clone() })
    }

    /// Bytes of memory that the download holds.
    pub fn buffered(&self) -> usize {
        match &self.body {
            Stage::Verified(Verified::Memory { plaintext, .. }) => plaintext.len(),
            Stage::Verified(Verified::Spooled(reader)) => reader.buffered(),
            _ => 0,
        }
    }

    async fn verified(&mut self) -> Result<&mut Verified> {
        if let Stage::Arriving(transfer) = &mut self.body {
            let arrived = transfer.join().await;
            self.body = Stage::Failed;
            self.body = Stage::Verified(arrived.map_err(|error| error.for_object(&self.key))?);
        }
        match &mut self.body {
            Stage::Verified(verified) => Ok(verified),
            _ => Err(Error::new(ErrorKind::Closed, "the download has failed before").for_object(&self.key)),
        }
    }
}

impl Verified {
    /// The size of the plaintext in bytes.
    fn size(&self) -> u64 {
        match self {
            Self::Memory { plaintext, .. } => plaintext.len() as u64,
            Self::Spooled(reader) => reader.size(),
        }
    }
}

fn unwritable(key: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the file could not be written: {}", error.kind()))
        .for_object(key)
        .with_source(error)
}

/// Reads the whole body, decrypts its first `size` bytes and checks them.
async fn verify_in_memory(mut ranges: Ranges, mut content: Content, size: u64) -> Result<Verified> {
    let no_memory = |_| Error::new(ErrorKind::TooLarge, format!("{size} bytes do not fit into memory"));
    let body = usize::try_from(ranges.size()).map_err(no_memory)?;
    let size = usize::try_from(size).map_err(no_memory)?;
    // The first range is all of a small object, and is decrypted where it is.
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

/// Reads the whole body into a temporary file, checks it on the way, and leaves decrypting to the reader.
async fn verify_in_file(
    mut ranges: Ranges,
    mut content: Content,
    reader: Content,
    size: u64,
    waiting: Waiting,
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
        // What this makes is thrown away unseen: only the check is wanted.
        content.update(bytes.bytes_from(0))?;
        left -= text as u64;
    }
    let padding = content.finish(&trailer)?;
    Ok(Verified::Spooled(spool.into_reader(reader, padding as u64, trailer)))
}

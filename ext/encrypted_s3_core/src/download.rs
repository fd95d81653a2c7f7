//! Reading one encrypted object.
//!
//! No plaintext is returned before the authentication tag at the end of the object has been checked. Until then a small
//! object is kept in memory, and a large one is kept as ciphertext in a temporary file. A legacy CBC object has no tag;
//! its plaintext is kept back in the same way until its padding has been checked.

mod arrival;
mod index;
mod instruction_file;
mod pass;
mod passes;
mod ranges;
mod spool;
mod target;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::arrival::{Arrived, Origin, Verified};
pub use self::index::{IndexOptions, Indexed, index};
pub use self::passes::FIRST_PASSES;
pub use self::ranges::RangePlan;
use self::spool::Waiting;
use self::target::Target;
use crate::envelope::{Envelopes, Format};
use crate::keyring::KeyUse;
use crate::md5::Digester;
use crate::store::ObjectStore;
use crate::task::{self, Task};
use crate::{Error, ErrorKind, Result};

/// The largest chunk that a reader gets, in bytes. Active Storage's own services use the same size.
pub const CHUNK: usize = 5 * 1024 * 1024;

/// Settings for reading objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadPlan {
    /// The size and the number of the requests for one object.
    pub ranges: RangePlan,
    /// The largest plaintext, in bytes, that is kept in memory until it is authenticated. A larger object is kept as
    /// ciphertext in a file.
    pub memory_limit: u64,
    /// The folder of that file; `None` means the system's folder for temporary files.
    pub spool_folder: Option<PathBuf>,
}

/// The result of writing an object into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The number of bytes of plaintext written.
    pub bytes: u64,
    /// The MD5 of the plaintext in base64, if the caller asked for it.
    pub md5: Option<String>,
    /// The format of the object and the key that opened it.
    pub used: Used,
}

/// An object whose head and envelope have been read. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    key: String,
    etag: String,
    used: Used,
    size: u64,
    body: Stage,
}

/// The format of an object and the key that opened it. Callers use this to keep records, and to find objects that still
/// need an old key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// The format of the object.
    pub format: Format,
    /// The wrapping key; `None` for V1, where it is not revealed.
    pub key: Option<KeyUse>,
}

/// The state of the body.
#[derive(Debug)]
enum Stage {
    Arriving(Task<Arrived>),
    Verified(Verified),
    /// A download stays failed after an error: the next call must not look like the end of the object.
    Failed,
}

impl Download {
    /// Requests the object from the store and waits for its head and envelope. `key` is the object's key in the bucket.
    ///
    /// # Errors
    /// `NotFound`, and every kind of error that says why an envelope cannot be opened; no byte of the body has been
    /// used by then. For a legacy CBC object also `Cbc` and the errors of [`next`](Self::next): the size of its
    /// plaintext is known only at its end, so the whole object is read first.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
    ) -> Result<Self> {
        Self::open_over(store, envelopes, plan, key, Waiting::Folder(plan.spool_folder.clone())).await
    }

    /// Opens the object and writes the whole plaintext into `file`, at its current position. If `digest` is true, the
    /// MD5 of the plaintext is computed on the way. Returns the number of bytes, the MD5 and the key that was used.
    ///
    /// If the file's position was its end, and the call fails or its future is dropped, the file is restored to its
    /// former length and position, and nothing is written to it any more.
    ///
    /// The ciphertext of a large object is kept in that file itself until it is authenticated, if the file allows it.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open) and [`next`](Self::next), and `Io` when the file cannot be written.
    pub async fn save(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
        file: &File,
        digest: bool,
    ) -> Result<Written> {
        let target = Target::new(file);
        let waiting = target.waiting(plan.spool_folder.clone());
        let written = Self::open_over(store, envelopes, plan, key, waiting).await?.write_to(file, digest).await?;
        target.keep(written.bytes).map_err(|error| unwritable(key, error))?;
        Ok(written)
    }

    async fn open_over(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
        waiting: Waiting,
    ) -> Result<Self> {
        let origin = Origin { store, envelopes: envelopes.clone(), plan: plan.clone(), key: key.to_owned(), waiting };
        let begun = origin.begin().await?;
        let is_padded = begun.is_padded();
        let mut download = Self {
            key: key.to_owned(),
            etag: begun.etag.clone(),
            used: begun.used.clone(),
            size: begun.size,
            body: Stage::Arriving(task::spawn(origin.arrive(begun))),
        };
        if is_padded {
            download.size = download.verified().await?.size();
        }
        Ok(download)
    }

    /// The size of the plaintext in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The entity tag of the version that is being read, including its quotes; empty when the store sends none.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The format of the object and the key that opened it.
    pub fn used(&self) -> &Used {
        &self.used
    }

    /// Returns the next [`CHUNK`] bytes of authenticated plaintext, fewer at the end of the object, or `None` after the
    /// last byte.
    ///
    /// # Errors
    /// `Auth` or `Truncated` when the object is not the one that was encrypted, `Transport` when it could not be read.
    /// These errors always come before the first chunk.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        self.read(CHUNK as u64).await
    }

    /// Like [`next`](Self::next), but returns at most `most` bytes, and never more than [`CHUNK`].
    ///
    /// # Errors
    /// The errors of [`next`](Self::next).
    pub async fn read(&mut self, most: u64) -> Result<Option<&[u8]>> {
        // Reading a verified object never has to wait. Without this yield the caller could not be interrupted before
        // the end of the object.
        tokio::task::yield_now().await;
        let most = usize::try_from(most).unwrap_or(CHUNK).min(CHUNK);
        let chunk = self.verified().await?.read(most)?;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Skips the next `bytes` bytes of plaintext, or the rest of the object if that is less.
    ///
    /// # Errors
    /// The errors of [`next`](Self::next).
    pub async fn skip(&mut self, mut bytes: u64) -> Result<()> {
        while bytes > 0 {
            let Some(passed) = self.read(bytes).await? else { break };
            bytes -= passed.len() as u64;
        }
        Ok(())
    }

    /// Skips everything before the byte `first`, counted from 0. Call it before anything else is read from the object.
    ///
    /// # Errors
    /// The errors of [`next`](Self::next), and `InvalidRange` when `first` is after the last byte.
    pub async fn begin_at(&mut self, first: u64) -> Result<()> {
        if first >= self.size {
            let what = format!("the range begins at byte {first}, but the object has {} bytes", self.size);
            return Err(Error::new(ErrorKind::InvalidRange, what).for_object(&self.key));
        }
        self.skip(first).await
    }

    /// Returns `length` bytes of authenticated plaintext from the byte `first`, fewer at the end of the object. A
    /// `length` of `None` means up to the end. Consumes the download. Call it before anything else is read from the
    /// object.
    ///
    /// # Errors
    /// The errors of [`begin_at`](Self::begin_at), and `TooLarge` when that many bytes of memory cannot be allocated.
    pub async fn range(mut self, first: u64, length: Option<u64>) -> Result<Vec<u8>> {
        self.begin_at(first).await?;
        // The size is not authenticated before this point.
        self.verified().await?;
        let mut left = length.unwrap_or(u64::MAX).min(self.size - first);
        let mut bytes = Vec::new();
        usize::try_from(left).ok().and_then(|left| bytes.try_reserve_exact(left).ok()).ok_or_else(|| {
            let what = format!("cannot allocate {left} bytes of memory; read the object in smaller ranges");
            Error::new(ErrorKind::TooLarge, what).for_object(&self.key)
        })?;
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

    /// The number of bytes of memory that the download uses.
    pub fn buffered(&self) -> usize {
        match &self.body {
            Stage::Verified(body) => body.buffered(),
            _ => 0,
        }
    }

    async fn verified(&mut self) -> Result<&mut Verified> {
        if let Stage::Arriving(arriving) = &mut self.body {
            let arrived = task::join(arriving).await;
            self.body = Stage::Failed;
            let Arrived { body, etag, used } = arrived.map_err(|error| error.for_object(&self.key))?;
            (self.etag, self.used) = (etag, used);
            self.body = Stage::Verified(body);
        }
        match &mut self.body {
            Stage::Verified(body) => Ok(body),
            _ => Err(Error::new(ErrorKind::Closed, "the download failed earlier; start again").for_object(&self.key)),
        }
    }
}

fn unwritable(key: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write the file: {}", error.kind())).for_object(key).with_source(error)
}

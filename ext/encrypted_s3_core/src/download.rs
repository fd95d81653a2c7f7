//! Reading one encrypted object.
//!
//! Nothing is handed out before the authentication tag, which stands at the end of the object, has been checked: small
//! objects wait for it in memory, large ones as ciphertext in a temporary file. Legacy CBC objects, which have no tag,
//! wait for the check of their padding in the same way.

mod arrival;
mod instruction_file;
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
    Arriving(Task<Arrived>),
    Verified(Verified),
    /// What failed once stays failed: the next call must not look like the end of an object.
    Failed,
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

    /// Opens the object and writes all of it into `file`, at its position. `digest` computes the MD5 of that on the
    /// way. When it fails, or the future is dropped, and the position was the file's end, the file is as it was, and
    /// nothing is written to it any more.
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
        // Of a verified object nothing has to be waited for. Without a pause the caller could not be interrupted before
        // its end.
        tokio::task::yield_now().await;
        let most = usize::try_from(most).unwrap_or(CHUNK).min(CHUNK);
        let chunk = self.verified().await?.read(most)?;
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

    /// Passes over everything before byte `first`, at the beginning of the object.
    ///
    /// # Errors
    /// As [`next`](Self::next), and `InvalidRange` when `first` is past the last byte.
    pub async fn begin_at(&mut self, first: u64) -> Result<()> {
        if first >= self.size {
            let what = format!("the range begins at byte {first}, but the object has {} bytes", self.size);
            return Err(Error::new(ErrorKind::InvalidRange, what).for_object(&self.key));
        }
        self.skip(first).await
    }

    /// `length` bytes of authenticated plaintext from `first`, fewer at the end of the object; `None` is to the end.
    /// Consumes the download: what was read of it before is not read again.
    ///
    /// # Errors
    /// As [`begin_at`](Self::begin_at), and `TooLarge` when there is no memory for so much.
    pub async fn range(mut self, first: u64, length: Option<u64>) -> Result<Vec<u8>> {
        self.begin_at(first).await?;
        // Nobody vouches for the size before this.
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

    /// Bytes of memory that the download holds.
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

//! Reading one encrypted object.
//!
//! No plaintext is returned before it has been authenticated. A small object is kept in memory until the tag at its end
//! has been checked. A large object is read by its segment map, which is in memory, is stored beside the object, or is
//! made by one pass over the object that checks its tag. A legacy CBC object has no tag: its padding is checked in that
//! pass, and its map makes sure that the same bytes are read again.

mod arrival;
mod index;
pub(crate) mod instruction_file;
mod maps;
mod origin;
pub(crate) mod pass;
mod pieces;
pub(crate) mod ranges;
mod saving;
mod segmented;
pub(crate) mod small;
mod stored_map;
mod target;
mod trailer;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::arrival::{Arrived, Verified};
pub use self::index::{IndexOptions, Indexed, index};
pub use self::maps::{FIRST_PASSES, MAP_MEMORY, Maps};
use self::origin::{Begun, Origin, Part};
pub use self::ranges::RangePlan;
use self::target::Target;
use crate::checksum::{Algorithm, Digester};
use crate::envelope::{Envelopes, Format};
use crate::error::reason;
use crate::keyring::KeyUse;
use crate::store::{ObjectSettings, ObjectStore};
use crate::task::{self, Task};
use crate::{Error, ErrorKind, Result};

/// The largest chunk that is returned to a reader, in bytes. Active Storage's own services use the same size.
pub const CHUNK: usize = 5 * 1024 * 1024;

/// Settings for reading objects.
#[derive(Clone, Debug)]
pub struct DownloadPlan {
    /// The size and the number of the requests for one object.
    pub ranges: RangePlan,
    /// The largest plaintext, in bytes, that is kept in memory until it is authenticated. A larger object is read by
    /// its segment map.
    pub memory_limit: u64,
    /// Whether maps that are stored beside the objects are used.
    pub segment_index: bool,
    /// The maps that all downloads of the process share; `None` shares nothing.
    pub maps: Option<Arc<Maps>>,
    /// The settings of a map that replaces a wrong one beside its object; `None` for those of the bucket.
    pub map_settings: Option<Arc<ObjectSettings>>,
}

/// The result of writing an object into a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The number of bytes of plaintext written.
    pub bytes: u64,
    /// The digest of the plaintext in base64, if the caller asked for one.
    pub digest: Option<String>,
    /// The format of the object and the key that opened it.
    pub used: Used,
}

/// An object whose head and envelope have been read. Dropping it ends the transfer.
#[derive(Debug)]
pub struct Download {
    origin: Arc<Origin>,
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
        Self::open_part(store, envelopes, plan, key, 0, None).await
    }

    /// Like [`open`](Self::open), for a caller that will then move to the byte `first`, with
    /// [`begin_at`](Self::begin_at) or [`skip`](Self::skip), and read `length` bytes. If the map of a large object is
    /// known, only the segments of that part are requested, together with the head. Reading still begins with the first
    /// byte of the object.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open). A part after the end of the object is not reported yet.
    pub async fn open_part(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
        first: u64,
        length: Option<u64>,
    ) -> Result<Self> {
        let part = Part { first, length };
        let origin = Arc::new(Origin::new(store, envelopes, plan, key));
        let begun = origin.begin(part).await?;
        Self::begun(origin, begun, part).await
    }

    /// Opens the object and writes the whole plaintext into `file`, at its current position. `digest` names the digest
    /// of the plaintext that is computed on the way. Returns the number of bytes, the digest and the key that was used.
    ///
    /// If the file's position was its end, and the call fails or its future is dropped, the file is restored to its
    /// former length and position, and nothing is written to it any more. The plaintext of a large object is written
    /// into such a file before all of it is authenticated: do not use the file before the call has returned. Into any
    /// other file only authenticated bytes are written.
    ///
    /// # Errors
    /// The errors of [`open`](Self::open) and [`next`](Self::next), and `Io` when the file cannot be written.
    pub async fn save(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: &DownloadPlan,
        key: &str,
        file: &File,
        digest: Option<Algorithm>,
    ) -> Result<Written> {
        let target = Target::new(file);
        let origin = Arc::new(Origin::new(store, envelopes, plan, key));
        let begun = origin.begin(Part::WHOLE).await?;
        let written = if begun.is_large(plan) && !begun.is_padded() && target.can_be_restored() {
            saving::save(&origin, begun, &target, digest).await?
        } else {
            Self::begun(origin, begun, Part::WHOLE).await?.write_to(file, digest).await?
        };
        target.keep();
        Ok(written)
    }

    async fn begun(origin: Arc<Origin>, begun: Begun, part: Part) -> Result<Self> {
        let is_padded = begun.is_padded();
        let mut download = Self {
            etag: begun.etag.clone(),
            used: begun.unlocked.used.clone(),
            size: begun.unlocked.size,
            body: Stage::Arriving(task::spawn(origin.clone().arrive(begun, part))),
            origin,
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
    /// `Auth` or `Truncated` when the object was changed after it was encrypted, `Changed` when it was replaced,
    /// `Transport` when it could not be read. If a large object is changed while it is read, the bytes before the
    /// change are returned before the error.
    pub async fn next(&mut self) -> Result<Option<&[u8]>> {
        self.read(CHUNK as u64).await
    }

    /// Like [`next`](Self::next), but returns at most `most` bytes, and never more than [`CHUNK`].
    ///
    /// # Errors
    /// The errors of [`next`](Self::next).
    pub async fn read(&mut self, most: u64) -> Result<Option<&[u8]>> {
        // Reading an object in memory never has to wait. Without this yield the caller could not be interrupted before
        // the end of the object.
        tokio::task::yield_now().await;
        let most = usize::try_from(most).unwrap_or(CHUNK).min(CHUNK);
        let origin = self.origin.clone();
        let chunk = self.verified().await?.read(most).await.map_err(|error| error.for_object(&origin.key))?;
        Ok((!chunk.is_empty()).then_some(chunk))
    }

    /// Skips the next `bytes` bytes of plaintext, or the rest of the object if that is less. Skipped segments of a
    /// large object are not requested.
    ///
    /// # Errors
    /// The errors of [`next`](Self::next).
    pub async fn skip(&mut self, bytes: u64) -> Result<()> {
        self.verified().await?.skip(bytes);
        Ok(())
    }

    /// Moves to the byte `first`, counted from 0. `length` is the number of bytes that will be read; bytes after them
    /// are not requested in advance. Call it before anything else is read from the object.
    ///
    /// # Errors
    /// The errors of [`next`](Self::next), and `InvalidRange` when `first` is after the last byte.
    pub async fn begin_at(&mut self, first: u64, length: Option<u64>) -> Result<()> {
        if first >= self.size {
            let message = format!("the range begins at byte {first}, but the object has {} bytes", self.size);
            return Err(Error::new(ErrorKind::InvalidRange, message).for_object(&self.origin.key));
        }
        self.verified().await?.begin_at(Part { first, length });
        Ok(())
    }

    /// Returns `length` bytes of authenticated plaintext from the byte `first`, fewer at the end of the object. A
    /// `length` of `None` means up to the end. Consumes the download. Call it before anything else is read from the
    /// object.
    ///
    /// # Errors
    /// The errors of [`begin_at`](Self::begin_at), and `TooLarge` when that many bytes of memory cannot be allocated.
    pub async fn range(mut self, first: u64, length: Option<u64>) -> Result<Vec<u8>> {
        // This also authenticates the size.
        self.begin_at(first, length).await?;
        let mut left = length.unwrap_or(u64::MAX).min(self.size - first);
        let mut bytes = Vec::new();
        usize::try_from(left).ok().and_then(|left| bytes.try_reserve_exact(left).ok()).ok_or_else(|| {
            let message = format!("cannot allocate {left} bytes of memory; read the object in smaller ranges");
            Error::new(ErrorKind::TooLarge, message).for_object(&self.origin.key)
        })?;
        while left > 0 {
            let Some(chunk) = self.read(left).await? else { break };
            bytes.extend_from_slice(chunk);
            left -= chunk.len() as u64;
        }
        Ok(bytes)
    }

    async fn write_to(&mut self, mut file: &File, digest: Option<Algorithm>) -> Result<Written> {
        let key = self.origin.key.clone();
        let mut bytes = 0;
        let mut digester = digest.map(Digester::new);
        while let Some(chunk) = self.next().await? {
            file.write_all(chunk).map_err(|error| unwritable(&key, error))?;
            if let Some(digester) = &mut digester {
                digester.update(chunk).await;
            }
            bytes += chunk.len() as u64;
        }
        let digest = match digester {
            Some(digester) => Some(STANDARD.encode(digester.finish().await?)),
            None => None,
        };
        Ok(Written { bytes, digest, used: self.used.clone() })
    }

    /// The number of bytes of memory that the download uses.
    pub fn buffered(&self) -> usize {
        match &self.body {
            Stage::Verified(body) => body.buffered(),
            _ => 0,
        }
    }

    /// Whether the map stored beside the object was found to be wrong so far. The object itself was checked, and its
    /// bytes are correct.
    pub fn has_bad_sidecar(&self) -> bool {
        self.origin.bad_sidecar.load(Ordering::Relaxed)
    }

    async fn verified(&mut self) -> Result<&mut Verified> {
        if let Stage::Arriving(arriving) = &mut self.body {
            let arrived = task::join(arriving).await;
            self.body = Stage::Failed;
            let Arrived { body, etag, used } = arrived.map_err(|error| error.for_object(&self.origin.key))?;
            (self.etag, self.used) = (etag, used);
            self.body = Stage::Verified(body);
        }
        match &mut self.body {
            Stage::Verified(body) => Ok(body),
            _ => {
                Err(Error::new(ErrorKind::Closed, "the download failed earlier; start again")
                    .for_object(&self.origin.key))
            }
        }
    }
}

fn unwritable(key: &str, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("cannot write the file: {}", reason(&error))).for_object(key).with_source(error)
}

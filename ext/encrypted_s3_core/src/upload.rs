//! Writing one encrypted object.
//!
//! The caller's side: [`Upload`] accepts plaintext, encrypts it at once and passes whole parts to a task that sends
//! them while the next part is filled. Nothing becomes visible under the key before [`Upload::finish`] has checked the
//! plaintext's checksum, and nothing is left behind if `finish` is never called. The segment map of a large object is
//! made in the same pass and stored after the object: 16 bytes of memory for each 64 KiB.

mod parts;
mod plan;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use self::parts::Parts;
pub use self::plan::PartPlan;
use crate::checksum::{Checksum, Expected};
use crate::envelope::{ContentKey, Envelopes};
use crate::gcm::{Sealer, Tag};
use crate::segments::{self, Map, Sealing};
use crate::store::{NewObject, ObjectSettings, ObjectStore, Stored};
use crate::transfer::{Aim, Command, Part, Sending};
pub use crate::transfer::{OWN_PARTS, SHARED_PARTS};
use crate::{Error, ErrorKind, Result, sidecar, task};

/// Plaintext is digested and encrypted in pieces of this size, so that a piece stays in the processor's cache between
/// the two steps.
const PIECE: usize = 64 * 1024;

/// The upload yields after this many bytes, so that the caller can be interrupted even if there is nothing to wait for.
const YIELD_AFTER: usize = 1024 * 1024;

/// The properties of an object that are known before its first byte.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// The MIME type for the store. It need not be that of the plaintext.
    pub content_type: String,
    /// The checksum of the whole plaintext, compared before the object becomes visible.
    pub checksum: Option<Checksum>,
    /// The expected number of plaintext bytes, if it is known. It decides the size of the parts. More or fewer bytes
    /// are not an error.
    pub expected_size: Option<u64>,
    /// Storage class, server-side encryption and similar settings.
    pub settings: ObjectSettings,
    /// Objects of more than this many bytes of plaintext get a segment map beside them (`docs/format.md`, 3); with
    /// `None` no object does. An object that was expected to be smaller, and has grown, gets none.
    pub index_above: Option<u64>,
}

/// The outcome for the segment map of a stored object.
#[derive(Debug)]
pub enum Index {
    /// The object is small or was expected to be, or no map is wanted.
    None,
    /// The map is stored.
    Stored,
    /// The map could not be stored. The object is complete; reading a part of it is slower.
    Failed(Error),
}

/// A stored object.
#[derive(Debug)]
pub struct Uploaded {
    /// The entity tag, with its quotes, as the store returns it.
    pub etag: String,
    /// The outcome for the object's segment map.
    pub index: Index,
}

/// An object being written. Dropping it without [`finish`](Self::finish) aborts.
///
/// If a future of this type is dropped before it is done, the upload can only be aborted.
#[derive(Debug)]
pub struct Upload {
    key: String,
    state: State,
    store: Arc<dyn ObjectStore>,
    sending: Sending,
    /// The object, from when it is visible until its segment map is stored.
    visible: Option<Stored>,
    settings: ObjectSettings,
    index_above: Option<u64>,
    plaintext: u64,
    acknowledged: Arc<AtomicU64>,
}

/// The state of an upload.
#[derive(Debug)]
enum State {
    Open(Box<Open>),
    /// No more plaintext is accepted: all of it was passed on, the upload was cancelled, or a call is in progress. The
    /// state is restored only at the end of a call, because the bytes of a call that is dropped midway are lost.
    Closed,
}

/// An upload that accepts plaintext.
#[derive(Debug)]
struct Open {
    cipher: Cipher,
    checksum: Option<Expected>,
    parts: Parts,
    commands: mpsc::Sender<Command>,
    /// Bytes since the upload last yielded to the caller.
    unbroken: usize,
}

/// The encryptor of an object.
#[derive(Debug)]
enum Cipher {
    Plain(Sealer),
    /// Also makes the segment map.
    Mapping(Box<Sealing>),
}

impl Cipher {
    fn start(key: ContentKey, with_map: bool) -> Result<Self> {
        if with_map {
            return Sealing::start(key).map(|sealing| Self::Mapping(Box::new(sealing)));
        }
        let legacy = || Error::new(ErrorKind::Internal, "new objects are not in a legacy form");
        Ok(Self::Plain(key.into_sealer()?.ok_or_else(legacy)?))
    }

    fn update(&mut self, piece: &mut [u8]) -> Result<()> {
        match self {
            Self::Plain(sealer) => sealer.update(piece),
            Self::Mapping(sealing) => sealing.update(piece),
        }
    }

    fn finish(self) -> Result<(Tag, Option<Map>)> {
        match self {
            Self::Plain(sealer) => Ok((sealer.finish()?, None)),
            Self::Mapping(sealing) => sealing.finish().map(|(tag, map)| (tag, Some(map))),
        }
    }
}

/// The reason why plaintext was not accepted.
enum Refusal {
    Error(Error),
    /// The sending task has ended; its result gives the reason.
    Ended,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Upload {
    /// Begins an upload: makes the data key and the envelope. Nothing is sent to the store yet. Must be awaited within
    /// a tokio runtime.
    ///
    /// # Errors
    /// `ChecksumMismatch` for a checksum that is not the base64 of a digest; `Rejected` for a key that belongs to the
    /// segment map of another object; `Internal` when the random source fails; for a writing key in KMS the errors of
    /// [`KeyService`](crate::kms::KeyService).
    pub async fn begin(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: PartPlan,
        key: &str,
        options: UploadOptions,
    ) -> Result<Self> {
        if segments::is_sidecar_key(key) {
            let message =
                format!("keys that end in {:?} belong to segment maps of other objects", segments::SIDECAR_SUFFIX);
            return Err(Error::new(ErrorKind::Rejected, message).for_object(key));
        }
        let checksum = options.checksum.as_ref().map(Expected::new).transpose();
        let checksum = checksum.map_err(|error| error.for_object(key))?;
        let (content_key, metadata) = envelopes.begin(key).await.map_err(|error| error.for_object(key))?;
        let index_above = options.index_above.filter(|_| segments::sidecar_key(key).is_some());
        // An object that is known to be small needs no map.
        let can_be_large = |limit| options.expected_size.is_none_or(|size| segments::wants_sidecar(size, limit));
        let cipher = Cipher::start(content_key, index_above.is_some_and(can_be_large))?;
        let (content_type, settings) = (options.content_type, options.settings);
        let object = NewObject { key: key.to_owned(), content_type, metadata, settings: settings.clone() };
        let parts = Parts::new(plan, options.expected_size)?;
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (commands, sending) =
            Sending::start(store.clone(), Aim::New(object), plan.concurrency, acknowledged.clone());
        let open = Open { cipher, checksum, parts, commands, unbroken: 0 };
        Ok(Self {
            key: key.to_owned(),
            state: State::Open(Box::new(open)),
            store,
            sending,
            visible: None,
            settings,
            index_above,
            plaintext: 0,
            acknowledged,
        })
    }

    /// Accepts the next plaintext bytes. Waits while enough parts are in flight.
    ///
    /// # Errors
    /// The store's error for an earlier part; `TooLarge` above GCM's limit; `Closed` after `finish` or `abort`.
    pub async fn write(&mut self, mut plaintext: &[u8]) -> Result<()> {
        let mut open = self.take()?;
        while !plaintext.is_empty() {
            let (piece, rest) = plaintext.split_at(plaintext.len().min(open.piece()));
            plaintext = rest;
            let taken = open.take_in(|parts| parts.fill(piece)).await;
            self.plaintext += self.or_transfer_error(taken).await? as u64;
        }
        self.state = State::Open(open);
        Ok(())
    }

    /// Reads up to `length` bytes of `file` from `offset` and returns their number, which is smaller only at the end of
    /// the file.
    ///
    /// # Errors
    /// The errors of [`write`](Self::write), and `Io` when the file cannot be read.
    pub async fn write_file(&mut self, file: &File, offset: u64, length: u64) -> Result<u64> {
        let mut open = self.take()?;
        let mut all = 0;
        while all < length {
            let most = usize::try_from(length - all).unwrap_or(usize::MAX).min(open.piece());
            let taken = open.take_in(|parts| parts.fill_with(most, |room| file.read_at(room, offset + all))).await;
            let taken = self.or_transfer_error(taken).await? as u64;
            if taken == 0 {
                break;
            }
            all += taken;
            self.plaintext += taken;
        }
        self.state = State::Open(open);
        Ok(all)
    }

    /// Sends the rest, checks the checksum, makes the object visible, and then stores its segment map. A map that
    /// cannot be stored is not an error.
    ///
    /// # Errors
    /// `ChecksumMismatch`, or the store's error. The object is then not visible and no parts are left behind.
    pub async fn finish(&mut self) -> Result<Uploaded> {
        let open = self.take()?;
        if let Some(checksum) = open.checksum
            && let Err(error) = checksum.finish().await
        {
            self.abort().await;
            return Err(error.for_object(&self.key));
        }
        let (tag, map) = open.cipher.finish()?;
        let (full, last) = open.parts.finish(&tag)?;
        let commands = full.map(|part| Command::Part(Part::Bytes(part)));
        for command in commands.into_iter().chain([Command::Finish(Part::Bytes(last))]) {
            // Fails only when the task has ended; its result then gives the reason.
            let _taken = open.commands.send(command).await;
        }
        let stored = self.result().await?;
        let index = match map.filter(|_| self.is_indexed()) {
            Some(map) => {
                self.visible = Some(stored.clone());
                store_index(self.store.clone(), self.key.clone(), map, self.settings.clone()).await
            }
            None => Index::None,
        };
        self.visible = None;
        Ok(Uploaded { etag: stored.etag, index })
    }

    fn is_indexed(&self) -> bool {
        self.index_above.is_some_and(|limit| segments::wants_sidecar(self.plaintext, limit))
    }

    /// Cancels the upload without waiting: nothing more is sent, and the multipart upload is aborted in the background.
    pub fn cancel(&mut self) {
        self.state = State::Closed;
        self.sending.cancel();
    }

    /// Cancels the upload and waits until it has left nothing in the store. Returns the object if the store had already
    /// stored it. Does nothing after `finish`.
    pub async fn abort(&mut self) -> Option<Stored> {
        self.cancel();
        if let Some(stored) = self.visible.take() {
            return Some(stored);
        }
        // In all other cases the transfer has cleaned up after itself.
        self.sending.result().await.and_then(Result::ok)
    }

    /// Returns how many plaintext bytes were written so far.
    pub fn bytes_written(&self) -> u64 {
        self.plaintext
    }

    /// Bytes of memory that the upload holds itself, without the parts in flight.
    pub fn buffered(&self) -> usize {
        match &self.state {
            State::Open(open) => open.parts.buffered(),
            State::Closed => 0,
        }
    }

    /// The share of the stored bytes that is known to have arrived, as plaintext bytes.
    pub fn bytes_sent(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed).min(self.plaintext)
    }

    fn take(&mut self) -> Result<Box<Open>> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open(open) => Ok(open),
            State::Closed => Err(closed(&self.key)),
        }
    }

    /// Replaces the error that the transfer has ended by the transfer's own error.
    async fn or_transfer_error<T>(&mut self, taken: std::result::Result<T, Refusal>) -> Result<T> {
        match taken {
            Ok(taken) => Ok(taken),
            Err(Refusal::Error(error)) => Err(error.for_object(&self.key)),
            Err(Refusal::Ended) => match self.result().await {
                Ok(_) => Err(Error::new(ErrorKind::Internal, "the upload ended before its last part")),
                Err(error) => Err(error),
            },
        }
    }

    async fn result(&mut self) -> Result<Stored> {
        self.sending.result().await.unwrap_or_else(|| Err(closed(&self.key)))
    }
}

impl Open {
    /// The number of bytes per step.
    fn piece(&self) -> usize {
        self.parts.room().min(PIECE)
    }

    /// Lets `fill` put plaintext into the parts, digests and encrypts it in place, and passes on the complete parts.
    /// Returns the number of bytes.
    async fn take_in(&mut self, fill: impl FnOnce(&mut Parts) -> Result<usize>) -> std::result::Result<usize, Refusal> {
        let taken = fill(&mut self.parts)?;
        let piece = self.parts.newest(taken);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(piece).await;
        }
        self.cipher.update(piece)?;
        for part in self.parts.cut_off() {
            let sent = self.commands.send(Command::Part(Part::Bytes(part))).await;
            sent.map_err(|_| Refusal::Ended)?;
        }
        self.unbroken += taken;
        if self.unbroken >= YIELD_AFTER {
            self.unbroken = 0;
            tokio::task::yield_now().await;
        }
        Ok(taken)
    }
}

async fn store_index(store: Arc<dyn ObjectStore>, key: String, map: Map, settings: ObjectSettings) -> Index {
    match task::run(async move { sidecar::put(store, &key, &map, settings).await }).await {
        Ok(()) => Index::Stored,
        Err(error) => Index::Failed(error),
    }
}

fn closed(key: &str) -> Error {
    Error::new(ErrorKind::Closed, "the upload was already finished, aborted or interrupted").for_object(key)
}

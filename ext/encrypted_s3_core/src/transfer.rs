//! The task that stores an object: by one request, or by a multipart upload whose parts come from the caller or, if an
//! object is copied, from the store itself.
//!
//! It handles the whole life of a multipart upload: create, send, complete or abort. It runs independently of the
//! caller, so that an interrupted or lost caller leaves nothing behind: when the commands end without
//! [`Command::Finish`], the upload is aborted.

mod in_flight;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::in_flight::{InFlight, Permit};
pub use self::in_flight::{OWN_PARTS, SHARED_PARTS};
use crate::store::{NewObject, ObjectHead, ObjectStore, Replacement, StoreFuture, Stored, StoredPart};
use crate::{Error, ErrorKind, Result, task};

/// Maximum number of parts in S3.
pub(crate) const MAX_PARTS: u16 = 10_000;

/// How often, and at which first interval, aborting a multipart upload is tried: if it fails, parts that cost money
/// stay behind.
const ABORT_ATTEMPTS: u32 = 3;
const ABORT_PAUSE: Duration = Duration::from_millis(200);
/// How long the caller waits for the abort. It continues after that.
const ABORT_WAIT: Duration = Duration::from_secs(5);

/// How long the store is asked for the outcome of a last request whose answer was lost.
const OUTCOME_WAIT: Duration = Duration::from_secs(5);
/// The same if the caller has cancelled and waits for the outcome.
const INTERRUPTED_WAIT: Duration = Duration::from_secs(1);
/// How long a store may take to answer after it has received the last byte of a request.
const LATE: Duration = Duration::from_millis(500);
/// A body of up to this many bytes fits into the system's buffers and counts as sent at once.
const AT_ONCE: usize = 64 * 1024;

/// A command of the caller.
pub(crate) enum Command {
    /// One part that is not the last.
    Part(Part),
    /// The last part. Everything was checked, and the object may become visible.
    Finish(Part),
}

/// The source of a part.
pub(crate) enum Part {
    /// Ciphertext; the tag follows the last byte.
    Bytes(Bytes),
    /// The first byte and the last of the copied object.
    Copied(u64, u64),
}

/// The result of a multipart upload.
#[derive(Clone)]
pub(crate) enum Aim {
    /// A new object.
    New(NewObject),
    /// The existing object with new metadata, as long as it has this entity tag.
    Copy { key: String, etag: String, replacement: Replacement },
}

impl Aim {
    fn key(&self) -> &str {
        match self {
            Self::New(object) => &object.key,
            Self::Copy { key, .. } => key,
        }
    }

    fn metadata(&self) -> &[(String, String)] {
        match self {
            Self::New(object) => &object.metadata,
            Self::Copy { replacement, .. } => &replacement.metadata,
        }
    }

    /// Whether this is the object that was sent: no other object has the same envelope.
    fn is_reached(&self, head: &ObjectHead) -> bool {
        let metadata = self.metadata();
        !metadata.is_empty() && metadata.iter().all(|(name, value)| head.metadata.get(name) == Some(value))
    }
}

/// A running transfer. Dropping it cancels it.
#[derive(Debug)]
pub(crate) struct Sending {
    task: Option<JoinHandle<Result<Stored>>>,
    cancel: Option<DropGuard>,
}

impl Sending {
    /// Starts a transfer of at most `concurrency` parts at once; `acknowledged` counts the bytes that the store has
    /// received. Must be called within a tokio runtime.
    pub(crate) fn start(
        store: Arc<dyn ObjectStore>,
        aim: Aim,
        concurrency: usize,
        acknowledged: Arc<AtomicU64>,
    ) -> (mpsc::Sender<Command>, Self) {
        let (commands, receiver) = mpsc::channel(1);
        let cancelled = CancellationToken::new();
        let transfer = Transfer { store, aim, concurrency, acknowledged, cancelled: cancelled.clone() };
        let task = tokio::spawn(transfer.run(receiver));
        (commands, Self { task: Some(task), cancel: Some(cancelled.drop_guard()) })
    }

    /// Cancels the transfer without waiting.
    pub(crate) fn cancel(&mut self) {
        self.cancel = None;
    }

    /// Waits for the end and returns the result once. The future may be dropped and the method called again before
    /// that.
    pub(crate) async fn result(&mut self) -> Option<Result<Stored>> {
        let ended = self.task.as_mut()?.await;
        self.task = None;
        Some(task::finished(ended))
    }
}

/// The data of a transfer.
struct Transfer {
    store: Arc<dyn ObjectStore>,
    aim: Aim,
    concurrency: usize,
    acknowledged: Arc<AtomicU64>,
    /// Cancelled when the caller cancels the transfer, also while parts are being sent.
    cancelled: CancellationToken,
}

impl Transfer {
    /// Sends all parts of `commands`.
    async fn run(self, mut commands: mpsc::Receiver<Command>) -> Result<Stored> {
        let first = tokio::select! {
            biased;
            () = self.cancelled.cancelled() => None,
            first = commands.recv() => first,
        };
        match (first, &self.aim) {
            (None, _) => Err(aborted()),
            (Some(Command::Finish(Part::Bytes(body))), Aim::New(object)) => {
                let object = object.clone();
                self.single(object, body).await
            }
            (Some(first), _) => self.multipart(first, commands).await,
        }
    }

    async fn single(self, object: NewObject, body: Bytes) -> Result<Stored> {
        let size = body.len();
        let mut put = self.store.put(object, body);
        let stored = tokio::select! {
            biased;
            () = self.cancelled.cancelled() => None,
            stored = &mut put => Some(stored),
        };
        let stored = match stored {
            Some(Err(error)) if error.kind() == ErrorKind::Transport => self.outcome(error, OUTCOME_WAIT).await,
            Some(stored) => stored,
            None => self.given_up(put, size).await,
        }?;
        self.acknowledged.fetch_add(size as u64, Ordering::Relaxed);
        Ok(stored)
    }

    /// The outcome of a request after a cancellation. A small request is already with the store, which may be carrying
    /// it out; a large one is no longer sent.
    async fn given_up(&self, put: StoreFuture<Stored>, size: usize) -> Result<Stored> {
        if size > AT_ONCE {
            drop(put);
            tokio::time::sleep(LATE).await;
        } else if let Ok(answer) = timeout(LATE, put).await {
            return answer;
        }
        self.outcome(aborted(), INTERRUPTED_WAIT).await
    }

    async fn multipart(self, first: Command, commands: mpsc::Receiver<Command>) -> Result<Stored> {
        // Not cancelled midway, because the store would keep an upload with an unknown id.
        let id = self.create().await?;
        let mut in_flight = InFlight::default();
        let sent = tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(aborted()),
            sent = self.send_parts(&id, first, commands, &mut in_flight) => sent,
        };
        let completed = match sent {
            Ok(parts) => self.complete(&id, parts).await,
            Err(error) => Err(error),
        };
        if completed.is_err() {
            // A part that arrived after the abort would stay in the store.
            in_flight.shutdown().await;
            let aborting = tokio::spawn(abort(self.store, self.aim.key().to_owned(), id));
            let _done_or_late = timeout(ABORT_WAIT, aborting).await;
        }
        completed
    }

    async fn create(&self) -> Result<String> {
        match &self.aim {
            Aim::New(object) => self.store.create_multipart(object.clone()).await,
            Aim::Copy { key, etag, replacement } => self.store.create_copy(key, etag, replacement.clone()).await,
        }
    }

    /// Sends parts as they arrive, at most `concurrency` at once, and returns them in order after the last one.
    async fn send_parts(
        &self,
        id: &str,
        first: Command,
        mut commands: mpsc::Receiver<Command>,
        in_flight: &mut InFlight,
    ) -> Result<Vec<StoredPart>> {
        let mut next = Some(first);
        for number in 1..=i32::from(MAX_PARTS) {
            let (part, last) = match next {
                Some(Command::Part(part)) => (part, false),
                Some(Command::Finish(part)) => (part, true),
                None => return Err(aborted()),
            };
            let permit = in_flight.turn().await?;
            self.send_part(in_flight, id, number, part, permit);
            in_flight.settle(if last { 0 } else { self.concurrency.saturating_sub(1) }).await?;
            if last {
                return Ok(in_flight.arrived());
            }
            next = in_flight.next_command(&mut commands).await?;
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("more than {MAX_PARTS} parts; raise `part_size` for files of this size"),
        ))
    }

    fn send_part(&self, in_flight: &mut InFlight, id: &str, number: i32, part: Part, permit: Permit) {
        let key = self.aim.key();
        let sent = match (part, &self.aim) {
            (Part::Bytes(body), _) => self.store.put_part(key, id, number, body),
            (Part::Copied(first, last), Aim::Copy { etag, .. }) => {
                self.store.copy_part(key, id, number, etag, (first, last))
            }
            (Part::Copied(..), Aim::New(_)) => {
                Box::pin(async { Err(Error::new(ErrorKind::Internal, "a new object has no parts to copy")) })
            }
        };
        let acknowledged = self.acknowledged.clone();
        let sent = async move {
            let part = sent.await?;
            acknowledged.fetch_add(part.size, Ordering::Relaxed);
            Ok(part)
        };
        in_flight.send(sent, permit);
    }

    /// Makes the object visible. This request is not cancelled after it was sent: its outcome must be known.
    async fn complete(&self, id: &str, parts: Vec<StoredPart>) -> Result<Stored> {
        if let Aim::Copy { key, etag, .. } = &self.aim {
            // Copying the last part takes minutes, and an object stored meanwhile would be lost. The completing request
            // has `If-Match` at Amazon only: other stores answer 501.
            if self.store.head(key).await?.etag != *etag {
                return Err(Error::new(ErrorKind::Changed, "the object was replaced while it was copied"));
            }
        }
        match self.store.complete_multipart(self.aim.key(), id, parts).await {
            // Rejected: some stores answer 400 to a second request after the first one was carried out.
            Err(error)
                if matches!(error.kind(), ErrorKind::Transport | ErrorKind::UploadNotFound | ErrorKind::Rejected) =>
            {
                self.outcome(error, OUTCOME_WAIT).await
            }
            completed => completed,
        }
    }

    /// The outcome of a last request that ended with `error` or was cancelled. Its answer may have been lost, and a
    /// store that is asked again may answer that the upload no longer exists. Then the object itself is checked.
    async fn outcome(&self, error: Error, wait: Duration) -> Result<Stored> {
        match timeout(wait, self.store.head(self.aim.key())).await {
            Ok(Ok(head)) if self.aim.is_reached(&head) => Ok(Stored { etag: head.etag }),
            _ => Err(error),
        }
    }
}

async fn abort(store: Arc<dyn ObjectStore>, key: String, id: String) {
    for attempt in 1..=ABORT_ATTEMPTS {
        match store.abort_multipart(&key, &id).await {
            Ok(()) => return,
            Err(error) if error.kind() == ErrorKind::UploadNotFound => return,
            Err(_) if attempt == ABORT_ATTEMPTS => return,
            Err(_) => tokio::time::sleep(ABORT_PAUSE * 2u32.pow(attempt - 1)).await,
        }
    }
}

fn aborted() -> Error {
    Error::new(ErrorKind::Closed, "the upload was aborted")
}

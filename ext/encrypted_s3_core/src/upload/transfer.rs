//! The task that moves ciphertext to the store: one request, or a multipart upload with several parts in flight.
//!
//! It runs apart from the caller, so that a caller who is interrupted, or never comes back, leaves nothing behind: when
//! the commands end without [`Command::Finish`], what was begun is aborted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::MAX_PARTS;
use crate::store::{NewObject, ObjectHead, ObjectStore, Stored, StoredPart};
use crate::{Error, ErrorKind, Result};

/// How often, and at which interval at first, aborting a multipart upload is tried: parts that cost money stay behind
/// when it fails.
const ABORT_ATTEMPTS: u32 = 3;
const ABORT_PAUSE: Duration = Duration::from_millis(200);

type InFlight = JoinSet<Result<StoredPart>>;

/// What the caller hands over.
pub(super) enum Command {
    /// Ciphertext of one part that is not the last.
    Part(Bytes),
    /// The last ciphertext, with the tag; everything was checked and the object may become visible.
    Finish(Bytes),
}

/// What a transfer needs.
pub(super) struct Transfer {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) object: NewObject,
    pub(super) concurrency: usize,
    pub(super) acknowledged: Arc<AtomicU64>,
    /// Cancelled when the caller gives up, also while parts are on their way.
    pub(super) cancelled: CancellationToken,
}

impl Transfer {
    /// Moves everything that `commands` bring.
    pub(super) async fn run(self, mut commands: mpsc::Receiver<Command>) -> Result<Stored> {
        match commands.recv().await {
            None => Err(aborted()),
            Some(Command::Finish(body)) => self.single(body).await,
            Some(Command::Part(first)) => self.multipart(first, commands).await,
        }
    }

    async fn single(self, body: Bytes) -> Result<Stored> {
        let size = body.len() as u64;
        let stored = tokio::select! {
            biased;
            () = self.cancelled.cancelled() => return Err(aborted()),
            stored = self.store.put(self.object, body) => stored?,
        };
        self.acknowledged.fetch_add(size, Ordering::Relaxed);
        Ok(stored)
    }

    async fn multipart(self, first: Bytes, commands: mpsc::Receiver<Command>) -> Result<Stored> {
        // Not given up in the middle, or the store would keep an upload whose id nobody knows.
        let id = self.store.create_multipart(self.object.clone()).await?;
        let mut in_flight = JoinSet::new();
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
            self.abort(&id).await;
        }
        completed
    }

    /// Sends parts as they come, at most `concurrency` at once, and returns them in order when the last was taken.
    async fn send_parts(
        &self,
        id: &str,
        first: Bytes,
        mut commands: mpsc::Receiver<Command>,
        in_flight: &mut InFlight,
    ) -> Result<Vec<StoredPart>> {
        let mut parts = Vec::new();
        let mut next = Some(Command::Part(first));
        for number in 1..=i32::from(MAX_PARTS) {
            let (body, last) = match next {
                Some(Command::Part(body)) => (body, false),
                Some(Command::Finish(body)) => (body, true),
                None => return Err(aborted()),
            };
            self.spawn_part(in_flight, id, number, body);
            collect(in_flight, &mut parts, if last { 0 } else { self.concurrency - 1 }).await?;
            if last {
                parts.sort_by_key(|part| part.number);
                return Ok(parts);
            }
            next = next_command(&mut commands, in_flight, &mut parts).await?;
        }
        Err(Error::new(
            ErrorKind::TooLarge,
            format!("more than {MAX_PARTS} parts; raise `part_size` for files of this size"),
        ))
    }

    /// Makes the object visible. The answer to this request may get lost, and a store that is asked again may say that
    /// there is no such upload any more. Then the object itself tells: no other has the same envelope.
    async fn complete(&self, id: &str, parts: Vec<StoredPart>) -> Result<Stored> {
        let error = match self.store.complete_multipart(&self.object.key, id, parts).await {
            Err(error) if matches!(error.kind(), ErrorKind::Transport | ErrorKind::UploadNotFound) => error,
            completed => return completed,
        };
        match self.store.head(&self.object.key).await {
            Ok(head) if self.is_ours(&head) => Ok(Stored { etag: head.etag }),
            _ => Err(error),
        }
    }

    fn is_ours(&self, head: &ObjectHead) -> bool {
        let metadata = &self.object.metadata;
        !metadata.is_empty() && metadata.iter().all(|(name, value)| head.metadata.get(name) == Some(value))
    }

    fn spawn_part(&self, in_flight: &mut InFlight, id: &str, number: i32, body: Bytes) {
        let size = body.len() as u64;
        let sent = self.store.put_part(&self.object.key, id, number, body);
        let acknowledged = self.acknowledged.clone();
        in_flight.spawn(async move {
            let part = sent.await?;
            acknowledged.fetch_add(size, Ordering::Relaxed);
            Ok(part)
        });
    }

    async fn abort(&self, id: &str) {
        for attempt in 0..ABORT_ATTEMPTS {
            match self.store.abort_multipart(&self.object.key, id).await {
                Ok(()) => return,
                Err(error) if error.kind() == ErrorKind::UploadNotFound => return,
                Err(_) => tokio::time::sleep(ABORT_PAUSE * 2u32.pow(attempt)).await,
            }
        }
    }
}

/// Waits for the caller's next command. A part that fails meanwhile is noticed at once, not with the next part.
async fn next_command(
    commands: &mut mpsc::Receiver<Command>,
    in_flight: &mut InFlight,
    parts: &mut Vec<StoredPart>,
) -> Result<Option<Command>> {
    loop {
        tokio::select! {
            command = commands.recv() => return Ok(command),
            Some(joined) = in_flight.join_next() => parts.push(part_of(joined)?),
        }
    }
}

/// Waits until no more than `allowed` parts are in flight.
async fn collect(in_flight: &mut InFlight, parts: &mut Vec<StoredPart>, allowed: usize) -> Result<()> {
    while in_flight.len() > allowed {
        if let Some(joined) = in_flight.join_next().await {
            parts.push(part_of(joined)?);
        }
    }
    Ok(())
}

fn part_of(joined: std::result::Result<Result<StoredPart>, tokio::task::JoinError>) -> Result<StoredPart> {
    joined.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Internal, "the task that sent a part ended early").with_source(error))
    })
}

fn aborted() -> Error {
    Error::new(ErrorKind::Closed, "the upload was aborted")
}

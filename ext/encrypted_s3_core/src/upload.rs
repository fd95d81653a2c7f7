//! Writing one encrypted object.
//!
//! The caller's side: [`Upload`] takes plaintext, encrypts it at once and hands whole parts to a task that sends them
//! while the next part is filled. Nothing becomes visible under the key before [`Upload::finish`] has checked the
//! plaintext's checksum, and nothing is left behind if it is never reached.

mod checksum;
mod parts;
mod transfer;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::checksum::ExpectedMd5;
use self::parts::Parts;
use self::transfer::{Command, Transfer};
use crate::envelope::Envelopes;
use crate::gcm::{MAX_PLAINTEXT, Sealer, TAG_LEN};
use crate::store::{NewObject, ObjectSettings, ObjectStore, Stored};
use crate::{Error, ErrorKind, Result};

/// Plaintext is encrypted and digested in pieces of this size, which the processor's cache holds between the two.
const PIECE: usize = 64 * 1024;

/// The most parts that S3 takes.
const MAX_PARTS: u16 = 10_000;

/// The largest object there is: all that GCM can encrypt, and the tag.
const MAX_BODY: u64 = MAX_PLAINTEXT + TAG_LEN as u64;

/// What is known of an object before its first byte.
#[derive(Clone, Debug, Default)]
pub struct UploadOptions {
    /// The MIME type that the store is told; says nothing of the plaintext unless the caller wants it to.
    pub content_type: String,
    /// Base64 of the MD5 of the whole plaintext, checked before the object becomes visible.
    pub checksum: Option<String>,
    /// Storage class and the like.
    pub settings: ObjectSettings,
}

/// How uploads are cut up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartPlan {
    /// Objects whose ciphertext is at least this many bytes are sent in parts.
    pub multipart_threshold: usize,
    /// Bytes of a part; S3 wants at least 5 MiB.
    pub part_size: usize,
    /// Parts in flight at once. Memory is (this + 2) parts, or the threshold if that is more.
    pub concurrency: usize,
}

impl PartPlan {
    /// S3's smallest part, but for the last.
    pub const MIN_PART_SIZE: usize = 5 * 1024 * 1024;
    /// S3's largest part.
    pub const MAX_PART_SIZE: usize = 5 * 1024 * 1024 * 1024;

    /// Checks that S3 will take parts of this plan.
    ///
    /// # Errors
    /// `Configuration`, naming the setting.
    pub fn check(self) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Configuration, what));
        if !(Self::MIN_PART_SIZE..=Self::MAX_PART_SIZE).contains(&self.part_size) {
            return wrong("part_size must be from 5 MiB to 5 GiB");
        }
        if self.multipart_threshold > Self::MAX_PART_SIZE {
            return wrong("multipart_threshold must be at most 5 GiB, the most that S3 takes in one request");
        }
        if !(1..=64).contains(&self.concurrency) {
            return wrong("concurrency must be from 1 to 64");
        }
        Ok(self)
    }

    /// The size of part `number`, from 1. Where 10,000 parts of `part_size` would not hold the 64 GiB that GCM can
    /// encrypt, it doubles for the second half of them: that is enough for the smallest part size, too.
    fn size_of(self, number: usize) -> usize {
        let enough = (self.part_size as u64).saturating_mul(MAX_PARTS.into()) >= MAX_BODY;
        if enough || number <= usize::from(MAX_PARTS / 2) { self.part_size } else { self.part_size * 2 }
    }
}

/// An object being written. Dropping it without [`finish`](Self::finish) aborts.
///
/// A future of this type that is dropped before it is done leaves the upload fit only to be aborted.
#[derive(Debug)]
pub struct Upload {
    key: String,
    sealer: Option<Sealer>,
    checksum: Option<ExpectedMd5>,
    /// `None` after the end.
    parts: Option<Parts>,
    plaintext: u64,
    acknowledged: Arc<AtomicU64>,
    commands: Option<mpsc::Sender<Command>>,
    transfer: Option<JoinHandle<Result<Stored>>>,
    /// Cancels the transfer when the upload is aborted or dropped.
    cancel: Option<DropGuard>,
    /// Set while a call is at work, and still set if that call was given up in the middle.
    torn: bool,
}

impl Upload {
    /// Begins an upload: makes the data key and the envelope. Nothing is sent yet. Must be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// `ChecksumMismatch` for a checksum that is not the base64 of an MD5; `Internal` without randomness.
    pub fn begin(
        store: Arc<dyn ObjectStore>,
        envelopes: &Envelopes,
        plan: PartPlan,
        key: &str,
        options: UploadOptions,
    ) -> Result<Self> {
        let checksum = options.checksum.as_deref().map(ExpectedMd5::new).transpose();
        let checksum = checksum.map_err(|error| error.for_object(key))?;
        let (sealer, metadata) = envelopes.seal()?;
        let object =
            NewObject { key: key.to_owned(), content_type: options.content_type, metadata, settings: options.settings };
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (commands, receiver) = mpsc::channel(1);
        let cancelled = CancellationToken::new();
        let transfer = Transfer {
            store,
            object,
            concurrency: plan.concurrency,
            acknowledged: acknowledged.clone(),
            cancelled: cancelled.clone(),
        };
        Ok(Self {
            key: key.to_owned(),
            sealer: Some(sealer),
            checksum,
            parts: Some(Parts::new(plan)?),
            plaintext: 0,
            acknowledged,
            commands: Some(commands),
            transfer: Some(tokio::spawn(transfer.run(receiver))),
            cancel: Some(cancelled.drop_guard()),
            torn: false,
        })
    }

    /// Takes the next plaintext bytes. Waits while enough parts are in flight.
    ///
    /// # Errors
    /// What the store said to an earlier part; `TooLarge` past GCM's limit; `Closed` after `finish` or `abort`.
    pub async fn write(&mut self, mut plaintext: &[u8]) -> Result<()> {
        self.enter()?;
        while !plaintext.is_empty() {
            let (piece, rest) = plaintext.split_at(plaintext.len().min(self.piece()?));
            plaintext = rest;
            let (buffer, from) = self.parts()?.buffer()?;
            buffer.fill(piece);
            self.seal_from(from).await?;
            self.hand_over().await?;
        }
        self.torn = false;
        Ok(())
    }

    /// Takes up to `length` bytes of `file` from `offset`, without a detour through the caller, and returns how many
    /// there were: less only at the end of the file.
    ///
    /// # Errors
    /// As [`write`](Self::write), and `Io` when the file cannot be read.
    pub async fn write_file(&mut self, file: &File, offset: u64, length: u64) -> Result<u64> {
        self.enter()?;
        let mut taken = 0;
        while taken < length {
            let wanted = usize::try_from(length - taken).unwrap_or(usize::MAX).min(self.piece()?);
            let (buffer, from) = self.parts()?.buffer()?;
            let read = buffer.read_with(wanted, |room| file.read_at(room, offset + taken)).map_err(|error| {
                Error::new(ErrorKind::Io, format!("the file to upload could not be read: {}", error.kind()))
                    .for_object(&self.key)
                    .with_source(error)
            })?;
            if read == 0 {
                break;
            }
            taken += read as u64;
            self.seal_from(from).await?;
            self.hand_over().await?;
        }
        self.torn = false;
        Ok(taken)
    }

    /// Sends the rest, checks the checksum, and makes the object visible.
    ///
    /// # Errors
    /// `ChecksumMismatch`, or what the store said; then nothing is visible and nothing is left behind.
    pub async fn finish(&mut self) -> Result<Stored> {
        self.enter()?;
        if let Some(checksum) = self.checksum.take()
            && let Err(error) = checksum.finish().await
        {
            self.abort().await;
            return Err(error.for_object(&self.key));
        }
        let sealer = self.sealer.take().ok_or_else(|| self.closed())?;
        let tag = sealer.finish()?;
        let (full, last) = self.parts.take().ok_or_else(|| self.closed())?.finish(&tag)?;
        if let Some(part) = full {
            self.send(Command::Part(part)).await?;
        }
        self.send(Command::Finish(last)).await?;
        self.commands = None;
        let stored = self.result().await;
        self.torn = false;
        stored
    }

    /// Gives the upload up, at once and without waiting: nothing more is sent, and what was begun is aborted.
    pub fn cancel(&mut self) {
        self.sealer = None;
        self.commands = None;
        self.cancel = None;
        self.parts = None;
    }

    /// Gives the upload up and waits until nothing of it is left in the store. Does nothing after `finish`.
    pub async fn abort(&mut self) {
        self.cancel();
        if let Some(transfer) = self.transfer.as_mut() {
            // Whatever the transfer ended with, it has cleaned up after itself.
            let _ended = transfer.await;
            self.transfer = None;
        }
    }

    /// How many plaintext bytes were written so far.
    pub fn bytes_written(&self) -> u64 {
        self.plaintext
    }

    /// How many bytes the store has acknowledged so far; the count may be read while other calls are at work.
    pub fn acknowledged(&self) -> Arc<AtomicU64> {
        self.acknowledged.clone()
    }

    /// Bytes of memory that the upload holds itself, parts in flight aside.
    pub fn buffered(&self) -> usize {
        self.parts.as_ref().map_or(0, Parts::buffered)
    }

    fn enter(&mut self) -> Result<()> {
        if self.torn || self.sealer.is_none() {
            return Err(self.closed());
        }
        self.torn = true;
        Ok(())
    }

    fn closed(&self) -> Error {
        closed(&self.key)
    }

    fn parts(&mut self) -> Result<&mut Parts> {
        let key = &self.key;
        self.parts.as_mut().ok_or_else(|| closed(key))
    }

    /// How many bytes are taken at once.
    fn piece(&mut self) -> Result<usize> {
        Ok(self.parts()?.room().min(PIECE))
    }

    /// Digests and encrypts, in place, what was put into the buffer from `from` on.
    async fn seal_from(&mut self, from: usize) -> Result<()> {
        let (Some(parts), Some(sealer)) = (&mut self.parts, &mut self.sealer) else { return Err(self.closed()) };
        let piece = parts.filled_from(from);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(piece).await;
        }
        self.plaintext += piece.len() as u64;
        sealer.update(piece).map_err(|error| error.for_object(&self.key))
    }

    /// Hands over the parts that are complete.
    async fn hand_over(&mut self) -> Result<()> {
        for part in self.parts()?.cut_off()? {
            self.send(Command::Part(part)).await?;
        }
        Ok(())
    }

    async fn send(&mut self, command: Command) -> Result<()> {
        let sent = match &self.commands {
            Some(commands) => commands.send(command).await,
            None => return Err(self.closed()),
        };
        if sent.is_ok() {
            return Ok(());
        }
        // The task takes commands until it fails: its result is the reason.
        self.commands = None;
        match self.result().await {
            Ok(_) => Err(Error::new(ErrorKind::Internal, "the upload ended before its last part")),
            Err(error) => Err(error),
        }
    }

    async fn result(&mut self) -> Result<Stored> {
        let Some(transfer) = self.transfer.as_mut() else { return Err(self.closed()) };
        let ended = transfer.await;
        self.transfer = None;
        self.sealer = None;
        ended.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "the upload's task ended early").with_source(error))
        })
    }

    /// The share of the stored bytes that is known to have arrived, as plaintext bytes.
    pub fn bytes_sent(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed).min(self.plaintext)
    }
}

fn closed(key: &str) -> Error {
    Error::new(ErrorKind::Closed, "the upload was finished, aborted or interrupted").for_object(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_hold_the_largest_object_whatever_the_part_size() {
        for part_size in [PartPlan::MIN_PART_SIZE, 6_871_948, 8 << 20, PartPlan::MAX_PART_SIZE] {
            let plan = PartPlan { multipart_threshold: part_size, part_size, concurrency: 1 };
            let total: u64 = (1..=10_000).map(|number| plan.size_of(number) as u64).sum();
            assert!(total >= MAX_BODY, "{part_size}");
        }
    }

    #[test]
    fn parts_do_not_grow_where_they_need_not() {
        let plan = PartPlan { multipart_threshold: 16 << 20, part_size: 8 << 20, concurrency: 1 };
        assert_eq!(plan.size_of(10_000), 8 << 20);
    }
}

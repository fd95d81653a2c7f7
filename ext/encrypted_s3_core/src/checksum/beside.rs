//! Digests on a separate thread.
//!
//! A digest cannot be computed in parallel, and MD5 is several times slower than everything else in a transfer, so a
//! large object gets a thread for it.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Algorithm, Hasher};
use crate::{Error, ErrorKind, Result};

/// The first bytes are digested by the calling thread: most objects are small, and passing them to another thread would
/// take longer.
const INLINE: usize = 1024 * 1024;

/// The rest is sent to the digesting thread in blocks of this size.
const BLOCK: usize = 256 * 1024;

/// Blocks that may wait for the digesting thread.
const WAITING: usize = 4;

/// Computes a digest, for large objects on another thread.
pub(crate) struct Digester {
    /// `None` after the digesting thread has taken over.
    here: Option<Hasher>,
    beside: Option<Beside>,
    /// The number of bytes that the calling thread still digests.
    inline: usize,
    /// Bytes for the other thread.
    block: Vec<u8>,
}

struct Beside {
    blocks: mpsc::Sender<Vec<u8>>,
    /// Blocks for reuse: allocating new memory takes longer than the copy into it.
    digested: mpsc::Receiver<Vec<u8>>,
    digest: JoinHandle<Vec<u8>>,
}

impl Digester {
    /// Starts with no bytes.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self { here: Some(Hasher::new(algorithm)), beside: None, inline: INLINE, block: Vec::new() }
    }

    /// Adds the next bytes; those for the other thread are copied. Waits while that thread is behind.
    pub(crate) async fn update(&mut self, bytes: &[u8]) {
        let (here, mut bytes) = bytes.split_at(bytes.len().min(self.inline));
        if let Some(hasher) = &mut self.here {
            hasher.update(here);
            self.inline -= here.len();
        }
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(piece);
            bytes = rest;
            if self.block.len() == BLOCK {
                self.hand_over().await;
            }
        }
    }

    async fn hand_over(&mut self) {
        if let Some(hasher) = self.here.take() {
            self.beside = Some(Beside::start(hasher));
        }
        if let Some(beside) = &mut self.beside {
            let block = std::mem::replace(&mut self.block, beside.empty_block());
            // Fails only if the digesting thread has ended, which `finish` reports.
            let _taken = beside.blocks.send(block).await;
        }
    }

    /// The digest of all bytes.
    ///
    /// # Errors
    /// `Internal` when the digesting thread has ended early.
    pub(crate) async fn finish(self) -> Result<Vec<u8>> {
        match (self.beside, self.here) {
            (Some(beside), _) => beside.finish(self.block).await,
            (None, Some(mut hasher)) => {
                hasher.update(&self.block);
                Ok(hasher.finish())
            }
            (None, None) => Err(Error::new(ErrorKind::Internal, "the checksum was lost")),
        }
    }
}

impl Beside {
    fn start(mut hasher: Hasher) -> Self {
        let (blocks, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let (used, digested) = mpsc::channel(WAITING);
        let digest = tokio::task::spawn_blocking(move || {
            while let Some(mut block) = waiting.blocking_recv() {
                hasher.update(&block);
                block.clear();
                // The result may no longer be needed.
                let _kept = used.try_send(block);
            }
            hasher.finish()
        });
        Self { blocks, digested, digest }
    }

    fn empty_block(&mut self) -> Vec<u8> {
        self.digested.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK))
    }

    async fn finish(self, last: Vec<u8>) -> Result<Vec<u8>> {
        let _taken = self.blocks.send(last).await;
        drop(self.blocks);
        self.digest.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "the task that computed the checksum ended early").with_source(error)
        })
    }
}

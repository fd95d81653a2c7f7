//! MD5 on a thread of its own.
//!
//! MD5 cannot be computed in parallel and is several times slower than everything else in a transfer, so a large object
//! gets a thread for it.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{DIGEST_LEN, Md5};
use crate::{Error, ErrorKind, Result};

/// Objects of up to this many bytes are digested by the calling thread: handing them over would cost more.
const INLINE: usize = 256 * 1024;

/// Blocks of [`INLINE`] bytes that may wait for the digesting thread.
const WAITING: usize = 4;

/// Computes an MD5, for large objects on another thread.
pub(crate) struct Digester {
    block: Vec<u8>,
    beside: Option<Beside>,
}

struct Beside {
    blocks: mpsc::Sender<Vec<u8>>,
    /// Blocks to use again: new memory takes longer than the copy into it.
    digested: mpsc::Receiver<Vec<u8>>,
    digest: JoinHandle<[u8; DIGEST_LEN]>,
}

impl Digester {
    /// Starts with no bytes.
    pub(crate) fn new() -> Self {
        Self { block: Vec::new(), beside: None }
    }

    /// Takes a copy of the next bytes. Waits while the digesting thread is behind.
    pub(crate) async fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(INLINE - self.block.len()));
            self.block.extend_from_slice(piece);
            bytes = rest;
            if self.block.len() == INLINE {
                let beside = self.beside.get_or_insert_with(Beside::start);
                let block = std::mem::replace(&mut self.block, beside.empty_block());
                // Fails only if the digesting thread is gone, which `finish` reports.
                let _taken = beside.blocks.send(block).await;
            }
        }
    }

    /// The digest of all bytes together.
    ///
    /// # Errors
    /// `Internal` when the digesting thread is gone.
    pub(crate) async fn finish(self) -> Result<[u8; DIGEST_LEN]> {
        match self.beside {
            Some(beside) => beside.finish(self.block).await,
            None => {
                let mut md5 = Md5::new();
                md5.update(&self.block);
                Ok(md5.finish())
            }
        }
    }
}

impl Beside {
    fn start() -> Self {
        let (blocks, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let (used, digested) = mpsc::channel(WAITING);
        let digest = tokio::task::spawn_blocking(move || {
            let mut md5 = Md5::new();
            while let Some(mut block) = waiting.blocking_recv() {
                md5.update(&block);
                block.clear();
                // Nobody may want it any more.
                let _kept = used.try_send(block);
            }
            md5.finish()
        });
        Self { blocks, digested, digest }
    }

    fn empty_block(&mut self) -> Vec<u8> {
        self.digested.try_recv().unwrap_or_else(|_| Vec::with_capacity(INLINE))
    }

    async fn finish(self, last: Vec<u8>) -> Result<[u8; DIGEST_LEN]> {
        let _taken = self.blocks.send(last).await;
        drop(self.blocks);
        self.digest.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "the task that computed the checksum ended early").with_source(error)
        })
    }
}

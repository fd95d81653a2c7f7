//! The checksum that the caller announced for the plaintext.
//!
//! MD5 cannot be divided and is several times slower than everything else an upload does, so that of a large object is
//! computed on a thread of its own, beside the encryption.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::{Error, ErrorKind, Result};

/// Objects of up to this many bytes are digested where they are: handing them over would cost more.
const INLINE: usize = 256 * 1024;

/// Blocks of [`INLINE`] bytes that may wait for the digesting thread.
const WAITING: usize = 8;

/// Computes the MD5 of what is uploaded and compares it, before the object becomes visible.
pub(super) struct ExpectedMd5 {
    expected: [u8; 16],
    block: Vec<u8>,
    beside: Option<Beside>,
}

struct Beside {
    blocks: mpsc::Sender<Vec<u8>>,
    digest: JoinHandle<[u8; 16]>,
}

impl ExpectedMd5 {
    /// Expects the digest given as base64, the form Active Storage keeps it in.
    pub(super) fn new(base64: &str) -> Result<Self> {
        let unusable = || Error::new(ErrorKind::ChecksumMismatch, "the given checksum is not the base64 of an MD5");
        let bytes = STANDARD.decode(base64).map_err(|_| unusable())?;
        let expected = bytes.try_into().map_err(|_| unusable())?;
        Ok(Self { expected, block: Vec::new(), beside: None })
    }

    /// Takes a copy of the next plaintext bytes. Waits while the digesting thread is behind.
    pub(super) async fn update(&mut self, mut plaintext: &[u8]) {
        while !plaintext.is_empty() {
            let (piece, rest) = plaintext.split_at(plaintext.len().min(INLINE - self.block.len()));
            self.block.extend_from_slice(piece);
            plaintext = rest;
            if self.block.len() == INLINE {
                let block = std::mem::replace(&mut self.block, Vec::with_capacity(INLINE));
                // Fails only if the digesting thread is gone, which `finish` reports.
                let _taken = self.beside.get_or_insert_with(Beside::start).blocks.send(block).await;
            }
        }
    }

    /// Says whether all bytes together are what was announced.
    pub(super) async fn finish(self) -> Result<()> {
        let digest: [u8; 16] = match self.beside {
            None => Md5::digest(&self.block).into(),
            Some(beside) => beside.finish(self.block).await?,
        };
        if bool::from(digest.ct_eq(&self.expected)) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::ChecksumMismatch,
            "what was uploaded does not have the announced checksum; nothing was stored",
        ))
    }
}

impl Beside {
    fn start() -> Self {
        let (blocks, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let digest = tokio::task::spawn_blocking(move || {
            let mut state = Md5::new();
            while let Some(block) = waiting.blocking_recv() {
                state.update(&block);
            }
            state.finalize().into()
        });
        Self { blocks, digest }
    }

    async fn finish(self, last: Vec<u8>) -> Result<[u8; 16]> {
        let _taken = self.blocks.send(last).await;
        drop(self.blocks);
        self.digest.await.map_err(|error| {
            Error::new(ErrorKind::Internal, "the task that computed the checksum ended early").with_source(error)
        })
    }
}

impl std::fmt::Debug for ExpectedMd5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectedMd5")
    }
}

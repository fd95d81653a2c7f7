//! A file for the ciphertext of an object that is too large for memory.
//!
//! The file holds ciphertext because it remains on the disk when the process is killed, and no plaintext may be left
//! there. It is read back only after the tag over all of the ciphertext has been checked. Somebody could change the
//! file between the check and the reading. Therefore each block is sealed when it is written, with a key that never
//! leaves memory, and checked when it is read.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use subtle::ConstantTimeEq;

use crate::buffer::Buffer;
use crate::content::Content;
use crate::gcm::{Sealer, Tag};
use crate::secret::DataKey;
use crate::task;
use crate::{Error, ErrorKind, Result};

/// The place where ciphertext is kept until it is authenticated.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    /// A file without a name in this folder, or, for `None`, in the system's folder for temporary files.
    Folder(Option<PathBuf>),
    /// The caller's file, from this position (in bytes) on, where the plaintext is written later. Only one file is
    /// written then, not two.
    Behind(SharedFile, u64),
}

/// A file that can be taken away from the task that writes to it. A write that has already begun is completed first.
#[derive(Clone, Debug)]
pub(super) struct SharedFile(Arc<Mutex<Option<File>>>);

impl SharedFile {
    pub(super) fn new(file: File) -> Self {
        Self(Arc::new(Mutex::new(Some(file))))
    }

    /// Ends all access: nothing reads or writes the file through this handle or its clones after the call.
    pub(super) fn take_away(&self) {
        *self.lock() = None;
    }

    fn with<T>(&self, work: impl FnOnce(&File) -> std::io::Result<T>) -> std::io::Result<T> {
        match &*self.lock() {
            Some(file) => work(file),
            None => Err(std::io::Error::other("the transfer is over")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The seals of the blocks: AES-256-GMAC (NIST SP 800-38D) under a separate random key, with the block's number as the
/// nonce.
#[derive(Debug)]
struct Seals {
    key: DataKey,
    /// The length in bytes and the seal of each block.
    blocks: Vec<(usize, Tag)>,
}

impl Seals {
    fn new() -> Result<Self> {
        Ok(Self { key: DataKey::generate()?, blocks: Vec::new() })
    }

    fn add(&mut self, block: &[u8]) -> Result<()> {
        let seal = self.seal(self.blocks.len(), block)?;
        self.blocks.push((block.len(), seal));
        Ok(())
    }

    fn check(&self, number: usize, block: &[u8]) -> Result<()> {
        let seal = self.seal(number, block)?;
        match self.blocks.get(number) {
            Some((_, expected)) if bool::from(expected.ct_eq(&seal)) => Ok(()),
            _ => Err(Error::new(ErrorKind::Io, "the temporary file was changed after it was written")),
        }
    }

    fn seal(&self, number: usize, block: &[u8]) -> Result<Tag> {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&(number as u64).to_be_bytes());
        Sealer::new(&self.key, &nonce, block)?.finish()
    }
}

/// Ciphertext that is being written to the file.
#[derive(Debug)]
pub(super) struct Spool {
    file: SharedFile,
    start: u64,
    length: u64,
    seals: Seals,
}

impl Spool {
    /// Creates an empty spool. A temporary file is unlinked before anything is written to it.
    ///
    /// # Errors
    /// `Io` when the temporary file cannot be created; `Internal` when there is no random source.
    pub(super) fn create(waiting: &Waiting) -> Result<Self> {
        let (file, start) = match waiting {
            Waiting::Behind(file, start) => (file.clone(), *start),
            Waiting::Folder(folder) => {
                let file = folder.as_ref().map_or_else(tempfile::tempfile, tempfile::tempfile_in);
                (SharedFile::new(file.map_err(|error| failed("created", error))?), 0)
            }
        };
        Ok(Self { file, start, length: 0, seals: Seals::new()? })
    }

    /// Appends a block of ciphertext, on a thread that may block, and returns the buffer.
    ///
    /// # Errors
    /// `Io` when the file cannot be written.
    pub(super) async fn append(mut self, bytes: Buffer) -> Result<(Self, Buffer)> {
        let written = tokio::task::spawn_blocking(move || {
            let position = self.start + self.length;
            let written = self.file.with(|file| file.write_all_at(bytes.bytes(), position));
            written.map_err(|error| failed("written", error))?;
            self.seals.add(bytes.bytes())?;
            self.length += bytes.len() as u64;
            Ok((self, bytes))
        });
        written.await.unwrap_or_else(|error| Err(task::ended_early(error)))
    }

    /// Returns a reader of the plaintext without its last `padding` bytes. `content` is an opener that has decrypted
    /// nothing yet; `trailer` is the object's tag, which has been checked once already.
    pub(super) fn into_reader(self, content: Content, padding: u64, trailer: Vec<u8>) -> SpoolReader {
        let size = self.length.saturating_sub(padding);
        SpoolReader {
            file: self.file,
            seals: self.seals,
            next: 0,
            position: self.start,
            content: Some(content),
            size,
            left: size,
            trailer,
            buffer: Vec::new(),
            given: 0,
            torn: false,
        }
    }
}

/// Decrypts the verified ciphertext block by block.
pub(super) struct SpoolReader {
    file: SharedFile,
    seals: Seals,
    /// The number of the next block, and its position in the file in bytes.
    next: usize,
    position: u64,
    content: Option<Content>,
    /// Bytes of plaintext: the size of the whole, and the number that was not returned yet.
    size: u64,
    left: u64,
    trailer: Vec<u8>,
    /// Plaintext. Its first `given` bytes have been returned to the caller.
    buffer: Vec<u8>,
    given: usize,
    torn: bool,
}

impl SpoolReader {
    /// Returns the next `length` bytes of plaintext, fewer at the end and none after it. By then at least as many bytes
    /// of the file have been read as bytes of plaintext were returned.
    ///
    /// # Errors
    /// `Io` when the file cannot be read or was changed after it was written; `Closed` after an earlier error.
    pub(super) fn read(&mut self, length: usize) -> Result<&[u8]> {
        // Reset when this call succeeds. A later call after an error must not look like the end of the object.
        if std::mem::replace(&mut self.torn, true) {
            return Err(Error::new(ErrorKind::Closed, "the download failed earlier; start again"));
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(length);
        self.buffer.drain(..self.given);
        self.given = 0;
        while self.buffer.len() < length && self.decrypt_block()? {}
        let chunk = self.buffer.get(..length).ok_or_else(|| {
            Error::new(ErrorKind::Io, "the temporary file is too short; check the space in spool_folder or TMPDIR")
        })?;
        self.given = length;
        self.left -= length as u64;
        self.torn = false;
        Ok(chunk)
    }

    /// The size of the plaintext in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Appends the plaintext of the next block to the buffer. Returns false after the last block.
    fn decrypt_block(&mut self) -> Result<bool> {
        let (Some((length, _)), Some(content)) = (self.seals.blocks.get(self.next), &mut self.content) else {
            return Ok(false);
        };
        let (held, length) = (self.buffer.len(), *length);
        self.buffer.resize(held + length, 0);
        let block = self.buffer.get_mut(held..).unwrap_or_default();
        let read = self.file.with(|file| file.read_exact_at(block, self.position));
        read.map_err(|error| failed("read", error))?;
        self.seals.check(self.next, block)?;
        content.update(block)?;
        self.position += length as u64;
        self.next += 1;
        if self.next == self.seals.blocks.len()
            && let Some(content) = self.content.take()
        {
            content.finish(&self.trailer)?;
        }
        Ok(true)
    }

    /// The number of bytes of memory that this uses.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.capacity()
    }
}

impl fmt::Debug for SpoolReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpoolReader({} of {} bytes left)", self.left, self.size)
    }
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!(
            "a temporary file for a large object could not be {what}: {}; check the folder for temporary files \
             (spool_folder, TMPDIR) and its space",
            error.kind()
        ),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_was_changed_moved_or_cut_does_not_fit_its_seal() {
        let Ok(mut seals) = Seals::new() else { unreachable!("randomness") };
        assert!(seals.add(b"first").is_ok() && seals.add(b"second").is_ok());
        assert!(seals.check(0, b"first").is_ok() && seals.check(1, b"second").is_ok());
        for (number, block) in [(0, &b"firsT"[..]), (0, b"second"), (1, b"first"), (0, b"firs"), (2, b"second")] {
            assert!(seals.check(number, block).is_err());
        }
    }
}

//! The ciphertext of an object that is too large for memory, in a file.
//!
//! Ciphertext, because a file outlives a process that is killed: nothing readable must be left on a disk. It is read
//! back only after the tag over all of it was checked.

use std::fs::File;
use std::io::Seek;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{OFlags, fcntl_getfl};

use crate::buffer::Buffer;
use crate::content::Content;
use crate::{Error, ErrorKind, Result};

/// Where ciphertext waits for its authentication.
#[derive(Debug)]
pub(super) enum Waiting {
    /// In a file without a name in this folder, or where the system keeps temporary files.
    Folder(Option<PathBuf>),
    /// Behind what a file holds, where the plaintext is to be: one file is written once, not two.
    Behind(File, u64),
}

impl Waiting {
    /// In `file` itself, if what is written there can be read back, and nothing is overwritten by it.
    pub(super) fn in_place(file: &File) -> Option<Self> {
        let end = end_of(file)?;
        let flags = fcntl_getfl(file).ok()?;
        // With O_APPEND there is no writing to a place.
        let suitable = flags & OFlags::RWMODE == OFlags::RDWR && !flags.contains(OFlags::APPEND);
        let file = suitable.then(|| file.try_clone().ok()).flatten()?;
        Some(Self::Behind(file, end))
    }
}

/// The position of `file`, if it is a regular file and that is its end.
pub(super) fn end_of(mut file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    let position = file.stream_position().ok()?;
    (metadata.is_file() && metadata.len() == position).then_some(position)
}

/// Ciphertext on its way to the file.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    start: u64,
    length: u64,
}

impl Spool {
    /// Nothing yet. A file of its own is unlinked before it holds anything.
    pub(super) fn create(waiting: Waiting) -> Result<Self> {
        let (file, start) = match waiting {
            Waiting::Behind(file, start) => (file, start),
            Waiting::Folder(folder) => {
                let file = folder.map_or_else(tempfile::tempfile, tempfile::tempfile_in);
                (file.map_err(|error| failed("created", error))?, 0)
            }
        };
        Ok(Self { file, start, length: 0 })
    }

    /// Adds ciphertext, on a thread that may block, and gives the buffer back.
    pub(super) async fn append(mut self, bytes: Buffer) -> Result<(Self, Buffer)> {
        let written = tokio::task::spawn_blocking(move || {
            let position = self.start + self.length;
            self.file.write_all_at(bytes.bytes(), position).map_err(|error| failed("written", error))?;
            self.length += bytes.len() as u64;
            Ok((self, bytes))
        });
        written.await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "the task that wrote a temporary file ended early").with_source(error))
        })
    }

    /// The plaintext of what was spooled, the last `padding` bytes of which are none. `content` is a fresh one; `trailer`
    /// was checked once already.
    pub(super) fn into_reader(self, content: Content, padding: u64, trailer: Vec<u8>) -> SpoolReader {
        let Self { file, start, length } = self;
        let size = length.saturating_sub(padding);
        SpoolReader {
            file,
            position: start,
            content: Some(content),
            text: length,
            size,
            left: size,
            trailer,
            buffer: Vec::new(),
            given: 0,
            torn: false,
        }
    }
}

/// Decrypts the verified ciphertext piece by piece.
#[derive(Debug)]
pub(super) struct SpoolReader {
    file: File,
    position: u64,
    content: Option<Content>,
    /// Bytes of ciphertext not read yet.
    text: u64,
    /// Bytes of plaintext: all of them, and those not handed out yet.
    size: u64,
    left: u64,
    trailer: Vec<u8>,
    /// Plaintext, the first `given` bytes of which were handed out.
    buffer: Vec<u8>,
    given: usize,
    torn: bool,
}

impl SpoolReader {
    /// The next `length` bytes of plaintext, fewer at the end, none after it. Of the file, at least as much has been read
    /// as was handed out.
    ///
    /// # Errors
    /// `Io`, and `Auth` or `Cbc` if the file is not what was written into it.
    pub(super) fn read(&mut self, length: usize) -> Result<&[u8]> {
        // Set until this has come to its end: what failed once must not look like the end of the object later.
        if std::mem::replace(&mut self.torn, true) {
            return Err(Error::new(ErrorKind::Closed, "reading the temporary file has failed before"));
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(length);
        self.buffer.drain(..self.given);
        self.fill(length)?;
        self.given = length;
        self.left -= length as u64;
        self.torn = false;
        Ok(self.buffer.get(..length).unwrap_or_default())
    }

    /// Size of the plaintext in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Decrypts more until the buffer holds `length` bytes. Whole blocks are decrypted, and their rest is kept.
    fn fill(&mut self, length: usize) -> Result<()> {
        let Some(content) = &mut self.content else { return Ok(()) };
        let held = self.buffer.len();
        let wanted = content.whole(length.saturating_sub(held));
        let wanted = usize::try_from(self.text).unwrap_or(usize::MAX).min(wanted);
        self.buffer.resize(held + wanted, 0);
        let room = self.buffer.get_mut(held..).unwrap_or_default();
        self.file.read_exact_at(room, self.position).map_err(|error| failed("read", error))?;
        self.position += wanted as u64;
        content.update(room)?;
        self.text -= wanted as u64;
        if self.text == 0
            && let Some(content) = self.content.take()
        {
            content.finish(&self.trailer)?;
        }
        Ok(())
    }

    /// Bytes of memory that this holds.
    pub(super) fn buffered(&self) -> usize {
        self.buffer.capacity()
    }
}

fn failed(what: &str, error: std::io::Error) -> Error {
    Error::new(
        ErrorKind::Io,
        format!(
            "a temporary file for a large object could not be {what}: {}; check TMPDIR and its space",
            error.kind()
        ),
    )
    .with_source(error)
}

//! The ciphertext of an object that is too large for memory, in a file without a name.
//!
//! Ciphertext, because a file outlives a process that is killed: nothing readable must be left on a disk. It is read
//! back only after the tag over all of it was checked.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::buffer::Buffer;
use crate::content::Content;
use crate::{Error, ErrorKind, Result};

/// Ciphertext on its way to the file.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
}

impl Spool {
    /// A new file in `folder`, or where the system keeps temporary files; unlinked before it holds anything.
    pub(super) fn create(folder: Option<&Path>) -> Result<Self> {
        let file = folder.map_or_else(tempfile::tempfile, tempfile::tempfile_in);
        Ok(Self { file: file.map_err(|error| failed("created", error))? })
    }

    /// Adds ciphertext, on a thread that may block, and gives the buffer back.
    pub(super) async fn append(mut self, bytes: Buffer) -> Result<(Self, Buffer)> {
        let written = tokio::task::spawn_blocking(move || {
            self.file.write_all(bytes.bytes()).map_err(|error| failed("written", error))?;
            Ok((self, bytes))
        });
        written.await.unwrap_or_else(|error| {
            Err(Error::new(ErrorKind::Internal, "the task that wrote a temporary file ended early").with_source(error))
        })
    }

    /// The plaintext of what was spooled: `text` bytes of ciphertext, the last `padding` of which are none. `content` is
    /// a fresh one; `trailer` was checked once already.
    pub(super) fn into_reader(
        mut self,
        content: Content,
        text: u64,
        padding: u64,
        trailer: Vec<u8>,
    ) -> Result<SpoolReader> {
        self.file.seek(SeekFrom::Start(0)).map_err(|error| failed("read", error))?;
        let size = text.saturating_sub(padding);
        let (content, buffer) = (Some(content), Vec::new());
        Ok(SpoolReader { file: self.file, content, text, size, left: size, trailer, buffer, given: 0, torn: false })
    }
}

/// Decrypts the verified ciphertext piece by piece.
#[derive(Debug)]
pub(super) struct SpoolReader {
    file: File,
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
    /// The next `length` bytes of plaintext, fewer at the end, none after it.
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
        self.file.read_exact(room).map_err(|error| failed("read", error))?;
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

//! The ciphertext of an object that is too large for memory, in a file without a name.
//!
//! Ciphertext, because a file outlives a process that is killed: nothing readable must be left on a disk. It is read
//! back only after the tag over all of it was checked.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::buffer::Buffer;
use crate::gcm::{Opener, Tag};
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

    /// The plaintext of what was spooled. `opener` is a fresh one; `tag` was checked once already.
    pub(super) fn into_reader(mut self, opener: Opener, size: u64, tag: Tag) -> Result<SpoolReader> {
        self.file.seek(SeekFrom::Start(0)).map_err(|error| failed("read", error))?;
        Ok(SpoolReader { file: self.file, opener: Some(opener), left: size, tag, buffer: Vec::new(), torn: false })
    }
}

/// Decrypts the verified ciphertext piece by piece.
#[derive(Debug)]
pub(super) struct SpoolReader {
    file: File,
    opener: Option<Opener>,
    left: u64,
    tag: Tag,
    buffer: Vec<u8>,
    torn: bool,
}

impl SpoolReader {
    /// The next `length` bytes of plaintext, fewer at the end, none after it.
    ///
    /// # Errors
    /// `Io`, and `Auth` if the file is not what was written into it.
    pub(super) fn read(&mut self, length: usize) -> Result<&[u8]> {
        // Set until this has come to its end: what failed once must not look like the end of the object later.
        if std::mem::replace(&mut self.torn, true) {
            return Err(Error::new(ErrorKind::Closed, "reading the temporary file has failed before"));
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(length);
        self.buffer.resize(length, 0);
        self.file.read_exact(&mut self.buffer).map_err(|error| failed("read", error))?;
        if let Some(opener) = &mut self.opener {
            opener.update(&mut self.buffer)?;
        }
        self.left -= length as u64;
        if self.left == 0
            && let Some(opener) = self.opener.take()
        {
            opener.finish(&self.tag)?;
        }
        self.torn = false;
        Ok(&self.buffer)
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

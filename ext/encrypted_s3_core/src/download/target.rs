//! The caller's file that an object is written into.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use rustix::fs::{OFlags, fcntl_getfl};

use super::spool::{SharedFile, Waiting};

/// A file to be written. Dropped before it was [kept](Self::keep), it is as it was if its position was its end, and no
/// task writes to it any more.
pub(super) struct Target<'a> {
    file: &'a File,
    /// The file's end, if that was its position.
    end: Option<u64>,
    /// The same file, where ciphertext may wait in it.
    shared: Option<SharedFile>,
    kept: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        let end = end_of(file);
        let shared = end.and_then(|_| readable_copy(file)).map(SharedFile::new);
        Self { file, end, shared, kept: false }
    }

    /// In the file itself, if what is written there can be read back and nothing is overwritten by it; else in `folder`.
    pub(super) fn waiting(&self, folder: Option<PathBuf>) -> Waiting {
        match (&self.shared, self.end) {
            (Some(file), Some(end)) => Waiting::Behind(file.clone(), end),
            _ => Waiting::Folder(folder),
        }
    }

    /// The file got `written` bytes of plaintext. What waited there for longer is cut off: it had padding.
    pub(super) fn keep(mut self, written: u64) -> std::io::Result<()> {
        if let Some(end) = self.end {
            self.file.set_len(end + written)?;
        }
        self.kept = true;
        Ok(())
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.take_away();
        }
        if let (false, Some(end)) = (self.kept, self.end) {
            // Nothing more can be done about a file that cannot be cut off.
            let mut file = self.file;
            let _restored = file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end)));
        }
    }
}

/// The position of `file`, if it is a regular file and that is its end.
fn end_of(mut file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    let position = file.stream_position().ok()?;
    (metadata.is_file() && metadata.len() == position).then_some(position)
}

/// The file again, if it can be read and be written at any place, which O_APPEND forbids.
fn readable_copy(file: &File) -> Option<File> {
    let flags = fcntl_getfl(file).ok()?;
    let suitable = flags & OFlags::RWMODE == OFlags::RDWR && !flags.contains(OFlags::APPEND);
    suitable.then(|| file.try_clone().ok()).flatten()
}

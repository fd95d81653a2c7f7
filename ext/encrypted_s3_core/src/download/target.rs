//! The caller's file into which an object is written.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use rustix::fs::{OFlags, fcntl_getfl};

use super::spool::{SharedFile, Waiting};

/// A file to be written. If it is dropped before [`keep`](Self::keep) was called, no task writes to it any more; and if
/// its position was its end, the file gets its former length and position back.
pub(super) struct Target<'a> {
    file: &'a File,
    /// The length of the file in bytes, if its position was its end.
    end: Option<u64>,
    /// A second handle of the file, if ciphertext can be kept in it.
    shared: Option<SharedFile>,
    kept: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        let end = end_of(file);
        let shared = end.and_then(|_| readable_copy(file)).map(SharedFile::new);
        Self { file, end, shared, kept: false }
    }

    /// Returns where ciphertext is kept: in the file itself, if bytes written there can be read back and nothing is
    /// overwritten; otherwise in `folder`.
    pub(super) fn waiting(&self, folder: Option<PathBuf>) -> Waiting {
        match (&self.shared, self.end) {
            (Some(file), Some(end)) => Waiting::Behind(file.clone(), end),
            _ => Waiting::Folder(folder),
        }
    }

    /// Keeps the `written` bytes of plaintext. The ciphertext may have been longer because of padding; the rest is cut
    /// off.
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
            // If the file cannot be truncated here, nothing more can be done about it.
            let mut file = self.file;
            let _restored = file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end)));
        }
    }
}

/// Returns the position of `file` in bytes, if it is a regular file and the position is its end.
fn end_of(mut file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    let position = file.stream_position().ok()?;
    (metadata.is_file() && metadata.len() == position).then_some(position)
}

/// Returns a second handle of the file, if it can be read and can be written at any position. O_APPEND prevents the
/// latter.
fn readable_copy(file: &File) -> Option<File> {
    let flags = fcntl_getfl(file).ok()?;
    let suitable = flags & OFlags::RWMODE == OFlags::RDWR && !flags.contains(OFlags::APPEND);
    suitable.then(|| file.try_clone().ok()).flatten()
}

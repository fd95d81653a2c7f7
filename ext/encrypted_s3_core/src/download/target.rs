//! The caller's file into which an object is written.

use std::fs::File;
use std::io::{Seek, SeekFrom};

/// A file to write. If this is dropped before [`keep`](Self::keep) was called, and the file's position was its end, its
/// former length and position are restored.
pub(super) struct Target<'a> {
    pub(super) file: &'a File,
    /// The length of the file in bytes, if its position was its end.
    end: Option<u64>,
    kept: bool,
}

impl<'a> Target<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        Self { file, end: end_of(file), kept: false }
    }

    /// Whether the former state of the file can be restored.
    pub(super) fn can_be_restored(&self) -> bool {
        self.end.is_some()
    }

    /// Restores the former length and position.
    pub(super) fn restore(&self) -> std::io::Result<()> {
        let Some(end) = self.end else { return Ok(()) };
        let mut file = self.file;
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end)).map(drop)
    }

    /// Keeps the written bytes.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Target<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // If the file cannot be truncated, nothing more can be done here.
            let _restored = self.restore();
        }
    }
}

/// Returns the position of `file` in bytes, if it is a regular file and the position is its end.
fn end_of(mut file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    let position = file.stream_position().ok()?;
    (metadata.is_file() && metadata.len() == position).then_some(position)
}

//! The body of an object in a folder, read in steps.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::reason;
use crate::{Error, ErrorKind, Result};

/// Bytes per step.
const STEP: u64 = 512 * 1024;

/// A range of an open file. It stays readable when the object is replaced or deleted meanwhile.
#[derive(Debug)]
pub(in crate::store) struct FileBody {
    file: Arc<File>,
    position: u64,
    end: u64,
}

impl FileBody {
    /// The bytes from `position` up to, but without, `end`.
    pub(super) fn new(file: File, position: u64, end: u64) -> Self {
        Self { file: Arc::new(file), position, end }
    }

    /// The next bytes, or `None` after the last. May be dropped and called again.
    pub(in crate::store) async fn next(&mut self) -> Option<Result<Bytes>> {
        let length = self.end.saturating_sub(self.position).min(STEP);
        if length == 0 {
            return None;
        }
        let (file, position) = (self.file.clone(), self.position);
        let read = super::blocking(move || read(&file, position, length as usize)).await;
        self.position = if read.is_ok() { position + length } else { self.end };
        Some(read)
    }
}

fn read(file: &File, position: u64, length: usize) -> Result<Bytes> {
    let mut bytes = BytesMut::zeroed(length);
    file.read_exact_at(&mut bytes, position).map_err(|error| {
        let message = format!("the file that is the object's body could not be read: {}", reason(&error));
        Error::new(ErrorKind::Io, message).with_source(error)
    })?;
    Ok(bytes.freeze())
}

//! Files that Ruby has opened.

#![allow(unsafe_code, reason = "a descriptor is borrowed from Ruby")]

use std::fs::File;
use std::os::fd::{BorrowedFd, RawFd};

use encrypted_s3_core::{Error as CoreError, ErrorKind};
use magnus::{Error, Ruby};

use crate::error;

/// Duplicates a file descriptor, so that the file stays open if Ruby closes its own. Takes a descriptor and not a path,
/// because the file may have been unlinked or replaced since it was opened, as tempfiles often are.
///
/// # Errors
/// `FileError` when the descriptor is not open.
pub fn duplicate(ruby: &Ruby, descriptor: RawFd) -> Result<File, Error> {
    let unusable = || CoreError::new(ErrorKind::Io, "the file is not open");
    if descriptor < 0 {
        return Err(error::raised(ruby, &unusable()));
    }
    // SAFETY: not -1, and borrowed for the one call that duplicates it, during which the GVL keeps Ruby from closing
    // it. A number that is not open makes that call fail, nothing else.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let owned = borrowed.try_clone_to_owned();
    owned.map(File::from).map_err(|cause| error::raised(ruby, &unusable().with_source(cause)))
}

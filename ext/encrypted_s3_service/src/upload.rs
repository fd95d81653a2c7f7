//! `EncryptedS3Service::Native::Upload`: one object being written.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use encrypted_s3_core::upload::Upload as CoreUpload;
use encrypted_s3_core::{Error as CoreError, ErrorKind};
use magnus::{Class, DataTypeFunctions, Error, Module, RHash, RModule, RString, Ruby, TypedData, method};

use crate::client::call;
use crate::handle::Handle;
use crate::{error, gvl};

/// How long `abort` waits for the store to confirm. The abort goes on in the background after that.
const ABORT_WAIT: Duration = Duration::from_secs(5);

/// An object being written; see [`CoreUpload`].
#[derive(TypedData)]
#[magnus(class = "EncryptedS3Service::Native::Upload", free_immediately, size)]
pub struct Upload {
    upload: Handle<CoreUpload>,
    /// The file that `write_file` reads, kept open so that all of it comes from the same one.
    file: Mutex<Option<(PathBuf, File)>>,
}

impl DataTypeFunctions for Upload {
    fn size(&self) -> usize {
        size_of::<Self>() + self.upload.peek(CoreUpload::buffered).unwrap_or(0)
    }
}

/// Defines the class.
pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Upload", ruby.class_object())?;
    class.undef_default_alloc_func();
    class.define_method("write", method!(Upload::write, 1))?;
    class.define_method("write_file", method!(Upload::write_file, 3))?;
    class.define_method("finish", method!(Upload::finish, 0))?;
    class.define_method("abort", method!(Upload::abort, 0))?;
    class.define_method("bytes_sent", method!(Upload::bytes_sent, 0))
}

impl Upload {
    /// Takes an upload that was just begun.
    pub fn new(upload: CoreUpload) -> Self {
        Self { upload: Handle::new(upload), file: Mutex::new(None) }
    }

    fn write(ruby: &Ruby, this: &Self, bytes: RString) -> Result<(), Error> {
        let bytes = bytes.to_bytes();
        let mut upload = this.upload.lock(ruby)?;
        match upload.as_mut() {
            Some(upload) => call(ruby, upload.write(&bytes)),
            None => Err(closed(ruby)),
        }
    }

    fn write_file(ruby: &Ruby, this: &Self, path: PathBuf, offset: u64, length: u64) -> Result<u64, Error> {
        let mut upload = this.upload.lock(ruby)?;
        let Some(upload) = upload.as_mut() else { return Err(closed(ruby)) };
        let mut slot = this.file.try_lock().map_err(|_| error::busy(ruby))?;
        let slot = &mut *slot;
        call(ruby, async { upload.write_file(opened(slot, &path)?, offset, length).await })
    }

    fn finish(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        let mut upload = this.upload.lock(ruby)?;
        let Some(upload) = upload.as_mut() else { return Err(closed(ruby)) };
        let stored = call(ruby, upload.finish())?;
        let answer = ruby.hash_new();
        answer.aset(ruby.to_symbol("bytes"), upload.bytes_written())?;
        answer.aset(ruby.to_symbol("etag"), stored.etag)?;
        Ok(answer)
    }

    /// Cancels first and waits then: the waiting can be interrupted, the cancelling must not be.
    fn abort(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        let mut upload = this.upload.lock(ruby)?;
        let Some(upload) = upload.as_mut() else { return Ok(()) };
        upload.cancel();
        let _confirmed_or_late = gvl::wait(ruby, async { tokio::time::timeout(ABORT_WAIT, upload.abort()).await })?;
        Ok(())
    }

    fn bytes_sent(ruby: &Ruby, this: &Self) -> Result<u64, Error> {
        Ok(this.upload.lock(ruby)?.as_ref().map_or(0, CoreUpload::bytes_sent))
    }
}

fn opened<'a>(slot: &'a mut Option<(PathBuf, File)>, path: &Path) -> Result<&'a File, CoreError> {
    if slot.as_ref().is_none_or(|(known, _)| known != path) {
        let file = File::open(path).map_err(|error| {
            CoreError::new(ErrorKind::Io, format!("{}: the file could not be opened: {}", path.display(), error.kind()))
        })?;
        *slot = Some((path.to_owned(), file));
    }
    match slot {
        Some((_, file)) => Ok(file),
        None => Err(CoreError::new(ErrorKind::Internal, "a file that was just opened is gone")),
    }
}

fn closed(ruby: &Ruby) -> Error {
    error::named(ruby, "ClosedError", "the upload is over")
}

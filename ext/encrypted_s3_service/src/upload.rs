//! `EncryptedS3Service::Native::Upload`: one object being written.

use std::time::Duration;

use encrypted_s3_core::upload::{Index, Upload as CoreUpload};
use magnus::{DataTypeFunctions, Error, Module, RHash, RModule, RString, Ruby, TypedData, method};

use crate::answer::call;
use crate::handle::Handle;
use crate::{binary, class, error, file, gvl};

/// How long `abort` waits for the store to confirm. After that the abort continues in the background.
const ABORT_WAIT: Duration = Duration::from_secs(5);

/// An object being written; see [`CoreUpload`].
#[derive(TypedData)]
#[magnus(class = "EncryptedS3Service::Native::Upload", free_immediately, size)]
pub struct Upload {
    upload: Handle<CoreUpload>,
}

impl DataTypeFunctions for Upload {
    fn size(&self) -> usize {
        size_of::<Self>() + self.upload.peek(CoreUpload::buffered).unwrap_or(0)
    }
}

/// Defines the class.
pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = class::define::<Upload>(ruby, native, "Upload")?;
    class.define_method("write", method!(Upload::write, 1))?;
    class.define_method("write_file", method!(Upload::write_file, 3))?;
    class.define_method("finish", method!(Upload::finish, 0))?;
    class.define_method("abort", method!(Upload::abort, 0))?;
    class.define_method("bytes_sent", method!(Upload::bytes_sent, 0))
}

impl Upload {
    /// Wraps an upload that was just started.
    pub fn new(upload: CoreUpload) -> Self {
        Self { upload: Handle::new(upload) }
    }

    fn write(ruby: &Ruby, this: &Self, bytes: RString) -> Result<(), Error> {
        let mut upload = this.upload.lock(ruby)?;
        match upload.as_mut() {
            Some(upload) => binary::with_bytes(bytes, |bytes| call(ruby, upload.write(bytes))),
            None => Err(closed(ruby)),
        }
    }

    /// Reads the file behind a descriptor without calling Ruby. The position of the descriptor is neither used nor
    /// changed.
    fn write_file(ruby: &Ruby, this: &Self, descriptor: i32, offset: u64, length: u64) -> Result<u64, Error> {
        let mut upload = this.upload.lock(ruby)?;
        let Some(upload) = upload.as_mut() else { return Err(closed(ruby)) };
        let file = file::duplicate(ruby, descriptor)?;
        call(ruby, upload.write_file(&file, offset, length))
    }

    fn finish(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        let mut upload = this.upload.lock(ruby)?;
        let Some(upload) = upload.as_mut() else { return Err(closed(ruby)) };
        let stored = call(ruby, upload.finish())?;
        let answer = ruby.hash_new();
        answer.aset(ruby.to_symbol("bytes"), upload.bytes_written())?;
        answer.aset(ruby.to_symbol("etag"), stored.etag)?;
        match stored.index {
            Index::None => {}
            Index::Stored => answer.aset(ruby.to_symbol("indexed"), true)?,
            Index::Failed(error) => {
                answer.aset(ruby.to_symbol("indexed"), false)?;
                answer.aset(ruby.to_symbol("index_error"), error::raised(ruby, &error).value())?;
            }
        }
        Ok(answer)
    }

    /// Cancels the upload first and then waits, so that an interrupt ends the wait but not the cancellation. Returns
    /// true if the object was stored anyway, because the last request had already been sent.
    fn abort(ruby: &Ruby, this: &Self) -> Result<Option<bool>, Error> {
        let mut upload = this.upload.lock(ruby)?;
        let Some(upload) = upload.as_mut() else { return Ok(None) };
        upload.cancel();
        let ended = gvl::wait(ruby, async { tokio::time::timeout(ABORT_WAIT, upload.abort()).await })?;
        Ok(matches!(ended, Ok(Some(_))).then_some(true))
    }

    fn bytes_sent(ruby: &Ruby, this: &Self) -> Result<u64, Error> {
        Ok(this.upload.lock(ruby)?.as_ref().map_or(0, CoreUpload::bytes_sent))
    }
}

fn closed(ruby: &Ruby) -> Error {
    error::named(ruby, "ClosedError", "the upload is finished or aborted")
}

//! `EncryptedS3Service::Native::Download`: one object being read.

use encrypted_s3_core::download::{CHUNK, Download as CoreDownload, Used};
use magnus::{DataTypeFunctions, Error, Module, RHash, RModule, RString, Ruby, TypedData, method};

use crate::answer::call;
use crate::handle::Handle;
use crate::{binary, class, error};

/// An object being read; see [`CoreDownload`].
#[derive(TypedData)]
#[magnus(class = "EncryptedS3Service::Native::Download", free_immediately, size)]
pub struct Download {
    download: Handle<CoreDownload>,
    size: u64,
}

impl DataTypeFunctions for Download {
    fn size(&self) -> usize {
        size_of::<Self>() + self.download.peek(CoreDownload::buffered).unwrap_or(0)
    }
}

/// Defines the class.
pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = class::define::<Download>(ruby, native, "Download")?;
    class.define_method("read", method!(Download::read, 0))?;
    class.define_method("read_up_to", method!(Download::read_up_to, 1))?;
    class.define_method("skip", method!(Download::skip, 1))?;
    class.define_method("begin_at", method!(Download::begin_at, 2))?;
    class.define_method("bad_segment_map?", method!(Download::has_bad_sidecar, 0))?;
    class.define_method("etag", method!(Download::etag, 0))?;
    class.define_method("used", method!(Download::used, 0))?;
    class.define_method("size", method!(Download::plaintext_size, 0))?;
    class.define_method("close", method!(Download::close, 0))
}

impl Download {
    /// Wraps a download that was just opened.
    pub fn new(download: CoreDownload) -> Self {
        let size = download.size();
        Self { download: Handle::new(download), size }
    }

    /// Returns the next chunk of authenticated plaintext as a binary string, or nil after the last one.
    fn read(ruby: &Ruby, this: &Self) -> Result<Option<RString>, Error> {
        Self::read_up_to(ruby, this, CHUNK as u64)
    }

    /// Like `read`, but returns at most `most` bytes.
    fn read_up_to(ruby: &Ruby, this: &Self, most: u64) -> Result<Option<RString>, Error> {
        let mut download = this.download.lock(ruby)?;
        let download = download.as_mut().ok_or_else(|| closed(ruby))?;
        let chunk = call(ruby, download.read(most))?;
        chunk.map(|chunk| binary::string(ruby, chunk)).transpose()
    }

    /// Skips bytes. Whole segments among them are not fetched.
    fn skip(ruby: &Ruby, this: &Self, bytes: u64) -> Result<(), Error> {
        let mut download = this.download.lock(ruby)?;
        call(ruby, download.as_mut().ok_or_else(|| closed(ruby))?.skip(bytes))
    }

    /// Begins with byte `first` of the object. `length` is the number of bytes to read; nil for the rest.
    fn begin_at(ruby: &Ruby, this: &Self, first: u64, length: Option<u64>) -> Result<(), Error> {
        let mut download = this.download.lock(ruby)?;
        call(ruby, download.as_mut().ok_or_else(|| closed(ruby))?.begin_at(first, length))
    }

    /// Returns the format of the object and the key that opened it.
    fn used(ruby: &Ruby, this: &Self) -> Result<RHash, Error> {
        let download = this.download.lock(ruby)?;
        used(ruby, download.as_ref().ok_or_else(|| closed(ruby))?.used())
    }

    fn etag(ruby: &Ruby, this: &Self) -> Result<String, Error> {
        let download = this.download.lock(ruby)?;
        Ok(download.as_ref().ok_or_else(|| closed(ruby))?.etag().to_owned())
    }

    fn plaintext_size(&self) -> u64 {
        self.size
    }

    /// Whether the segment map beside the object was found to be wrong.
    fn has_bad_sidecar(ruby: &Ruby, this: &Self) -> Result<bool, Error> {
        let download = this.download.lock(ruby)?;
        Ok(download.as_ref().is_some_and(CoreDownload::has_bad_sidecar))
    }

    /// Frees the connection and the memory.
    fn close(ruby: &Ruby, this: &Self) -> Result<(), Error> {
        *this.download.lock(ruby)? = None;
        Ok(())
    }
}

/// The format and the key of an opened object: `format`, and `key_id` and `current` as far as they may be known.
pub fn used(ruby: &Ruby, used: &Used) -> Result<RHash, Error> {
    let answer = ruby.hash_new();
    answer.aset(ruby.to_symbol("format"), used.format.name())?;
    answer.aset(ruby.to_symbol("key_id"), used.key.as_ref().and_then(|key| key.id.as_deref()))?;
    answer.aset(ruby.to_symbol("current"), used.key.as_ref().map(|key| key.is_writing))?;
    Ok(answer)
}

fn closed(ruby: &Ruby) -> Error {
    error::named(ruby, "ClosedError", "the download is closed")
}

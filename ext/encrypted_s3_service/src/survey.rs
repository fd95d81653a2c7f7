//! Methods of `EncryptedS3Service::Native::Client` that examine a bucket and the versions in it; the doctor and the
//! maintenance tasks use them.

use bytes::BytesMut;
use encrypted_s3_core::store::{NewObject, Reading};
use encrypted_s3_core::task;
use magnus::{Error, Module, RArray, RClass, RHash, RString, Ruby, method};

use crate::answer::{answered, call};
use crate::client::{self, Client};
use crate::store::Store;

/// Defines the methods.
pub fn init(class: RClass) -> Result<(), Error> {
    class.define_method("stored_bytes", method!(stored_bytes, 1))?;
    class.define_method("begin_upload", method!(begin_upload, 1))?;
    class.define_method("abort_upload", method!(abort_upload, 2))?;
    class.define_method("unfinished_uploads", method!(unfinished_uploads, 1))?;
    class.define_method("versions", method!(versions, 1))?;
    class.define_method("head_version", method!(head_version, 2))?;
    class.define_method("open_version", method!(open_version, 2))?;
    class.define_method("delete_version", method!(delete_version, 2))?;
    class.define_method("bucket_state", method!(bucket_state, 0))?;
    class.define_method("ask_unsigned", method!(ask_unsigned, 1))
}

/// Returns an object's body as it is stored in the bucket. All of it is held in memory.
fn stored_bytes(ruby: &Ruby, this: &Client, key: String) -> Result<RString, Error> {
    let store = this.store();
    let bytes = answered(ruby, async move {
        let mut object = store.get(&key, Reading::default()).await?;
        let mut bytes = BytesMut::new();
        while let Some(chunk) = object.body.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.freeze())
    })?;
    Ok(ruby.str_from_slice(&bytes))
}

/// Begins a multipart upload and returns its id.
fn begin_upload(ruby: &Ruby, this: &Client, key: String) -> Result<String, Error> {
    let store = this.store();
    let content_type = "application/octet-stream".to_owned();
    let object = NewObject { key, content_type, ..NewObject::default() };
    answered(ruby, async move { store.create_multipart(object).await })
}

fn abort_upload(ruby: &Ruby, this: &Client, key: String, id: String) -> Result<(), Error> {
    let store = this.store();
    answered(ruby, async move { store.abort_multipart(&key, &id).await })
}

/// Returns `[key, upload id]` pairs of the multipart uploads that were started under `prefix` and not finished.
fn unfinished_uploads(ruby: &Ruby, this: &Client, prefix: String) -> Result<RArray, Error> {
    let uploads = match this.bucket_or_folder() {
        Store::Bucket(store) => store.unfinished_uploads(&prefix),
        Store::Folder(store) => store.unfinished_uploads(&prefix),
    };
    let uploads = answered(ruby, uploads)?;
    Ok(ruby.ary_from_iter(uploads))
}

/// Returns `[key, version id, latest?, delete marker?]` of all versions under `prefix`, delete markers included.
fn versions(ruby: &Ruby, this: &Client, prefix: String) -> Result<RArray, Error> {
    let store = this.bucket(ruby)?;
    let found = answered(ruby, async move { store.versions(&prefix).await })?;
    Ok(ruby.ary_from_iter(found.into_iter().map(|found| (found.key, found.id, found.is_latest, found.is_marker))))
}

/// Returns the same as `head`, of one version.
fn head_version(ruby: &Ruby, this: &Client, key: String, id: String) -> Result<RHash, Error> {
    let store = this.bucket(ruby)?;
    let head = answered(ruby, async move { store.head_version(&key, &id).await })?;
    client::properties(ruby, &head)
}

/// Unwraps the data key of one version by the envelope in its metadata. Raises the error of an envelope that cannot be
/// opened. The body is not read.
fn open_version(ruby: &Ruby, this: &Client, key: String, id: String) -> Result<(), Error> {
    let (store, envelopes) = (this.bucket(ruby)?, this.envelopes());
    call(ruby, async move {
        let head = task::run(store.head_version(&key, &id)).await?;
        let opened = envelopes.open(&key, head.entries(), None).await;
        opened.map(drop).map_err(|error| error.for_object(&key))
    })
}

fn delete_version(ruby: &Ruby, this: &Client, key: String, id: String) -> Result<(), Error> {
    let store = this.bucket(ruby)?;
    answered(ruby, async move { store.delete_version(&key, &id).await })
}

/// Returns a hash with `versioning`, `locks` and `default_lock`.
fn bucket_state(ruby: &Ruby, this: &Client) -> Result<RHash, Error> {
    let store = this.bucket(ruby)?;
    let state = answered(ruby, async move { store.bucket_state().await })?;
    let answer = ruby.hash_new();
    answer.aset(ruby.to_symbol("versioning"), state.versioning)?;
    answer.aset(ruby.to_symbol("locks"), state.locks)?;
    answer.aset(ruby.to_symbol("default_lock"), state.default_lock)?;
    Ok(answer)
}

/// Sends a request without a signature and returns the `status` and `date` of the answer.
fn ask_unsigned(ruby: &Ruby, this: &Client, key: String) -> Result<RHash, Error> {
    let store = this.bucket(ruby)?;
    let seen = answered(ruby, async move { store.ask_unsigned(&key).await })?;
    let answer = ruby.hash_new();
    answer.aset(ruby.to_symbol("status"), seen.status)?;
    answer.aset(ruby.to_symbol("date"), seen.date)?;
    Ok(answer)
}

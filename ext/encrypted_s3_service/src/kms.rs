//! Methods of `EncryptedS3Service::Native::Client` that examine keys in AWS KMS; the doctor and the audit use them.

use encrypted_s3_core::envelope::Envelopes;
use magnus::{Error, Module, RClass, RHash, Ruby, method};

use crate::answer::call;
use crate::client::Client;

/// Defines the methods.
pub fn init(class: RClass) -> Result<(), Error> {
    class.define_method("kms_key", method!(kms_key, 1))?;
    class.define_method("try_writing_key", method!(try_writing_key, 0))
}

/// Asks KMS about the key with this id. Returns its `arn` and `state`, and whether it can make data keys (`usable`).
fn kms_key(ruby: &Ruby, this: &Client, id: String) -> Result<RHash, Error> {
    let Envelopes { keyring, .. } = this.envelopes();
    let described = call(ruby, keyring.describe_kms_key(&id))?;
    let answer = ruby.hash_new();
    answer.aset(ruby.to_symbol("arn"), described.arn)?;
    answer.aset(ruby.to_symbol("state"), described.state)?;
    answer.aset(ruby.to_symbol("usable"), described.is_symmetric)?;
    Ok(answer)
}

/// Makes a data key, has the writing key unwrap it and compares the two. Returns false when they differ.
fn try_writing_key(ruby: &Ruby, this: &Client) -> Result<bool, Error> {
    let Envelopes { keyring, .. } = this.envelopes();
    call(ruby, keyring.try_writing_key())
}

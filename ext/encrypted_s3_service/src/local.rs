//! `EncryptedS3Service::Native::Local`: objects in local files.

use std::collections::HashMap;

use encrypted_s3_core::download::DownloadPlan;
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::local;
use magnus::{Error, Module, Object, RHash, RModule, RString, Ruby, function};

use crate::answer::call;
use crate::download::Download;
use crate::{connections, file, options, process};

/// Defines the module.
pub fn init(native: RModule) -> Result<(), Error> {
    let module = native.define_module("Local")?;
    module.define_singleton_method("open", function!(open, 5))?;
    module.define_singleton_method("seal", function!(seal, 4))
}

/// Opens the object whose body is the file behind a descriptor.
fn open(
    ruby: &Ruby,
    settings: RHash,
    name: String,
    descriptor: i32,
    metadata: HashMap<String, String>,
    instruction_file: Option<RString>,
) -> Result<Download, Error> {
    let envelopes = envelopes(ruby, settings)?;
    // A segment map beside a local file is not read, because the whole file is available.
    let plan = DownloadPlan { segment_index: false, ..options::download_plan(ruby, settings)? };
    let body = file::duplicate(ruby, descriptor)?;
    let instruction_file = instruction_file.map(|text| text.to_bytes().to_vec());
    call(ruby, local::open(&envelopes, &plan, &name, body, metadata, instruction_file)).map(Download::new)
}

/// Encrypts the file behind one descriptor into the file behind another. Returns the plaintext's size and the object's
/// user metadata, names without the `x-amz-meta-` prefix.
fn seal(ruby: &Ruby, settings: RHash, name: String, from: i32, to: i32) -> Result<(u64, RHash), Error> {
    let envelopes = envelopes(ruby, settings)?;
    let plan = options::part_plan(ruby, settings)?;
    let (plaintext, body) = (file::duplicate(ruby, from)?, file::duplicate(ruby, to)?);
    let sealed = call(ruby, local::seal(&envelopes, plan, &name, &plaintext, body))?;
    Ok((sealed.bytes, ruby.hash_from_iter(sealed.metadata)))
}

/// The keys in the settings, including those in KMS.
fn envelopes(ruby: &Ruby, settings: RHash) -> Result<Envelopes, Error> {
    let envelopes = options::envelopes(ruby, settings)?;
    let (connection, kms) = (options::connection(ruby, settings)?, options::kms(ruby, settings)?);
    Ok(connections::with_kms(envelopes, process::id(), &connection, &kms))
}

//! Objects in local files, with the same formats and the same guarantees as in a bucket. These functions read an object
//! that was copied out of a bucket, and create an object, without a store.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use crate::download::{Download, DownloadPlan};
use crate::envelope::Envelopes;
use crate::store::FileStore;
use crate::upload::{PartPlan, Upload, UploadOptions};
use crate::{Error, ErrorKind, Result};

/// The number of bytes of plaintext that are encrypted in one step.
const STEP: u64 = 8 * 1024 * 1024;

/// The result of encrypting a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The number of bytes of plaintext.
    pub bytes: u64,
    /// The object's user metadata; the names lack the `x-amz-meta-` prefix.
    pub metadata: Vec<(String, String)>,
}

/// Opens the object whose body is `file` and whose user metadata is `metadata`. `name` is the object's key; it also
/// appears in messages. `instruction_file` is the body of the instruction file, if there is one.
///
/// # Errors
/// The errors of [`Download::open`]; `Configuration` when an instruction file is given and `envelopes` does not read
/// instruction files.
pub async fn open(
    envelopes: &Envelopes,
    plan: &DownloadPlan,
    name: &str,
    file: File,
    metadata: HashMap<String, String>,
    instruction_file: Option<Vec<u8>>,
) -> Result<Download> {
    let mut store = FileStore::new(file, metadata);
    match (envelopes.instruction_file(name), instruction_file) {
        (Some(key), Some(body)) => store = store.with_instruction_file(key, body),
        (None, Some(_)) => {
            let message = "an instruction file is only read when `envelope_location` is `instruction_file`";
            return Err(Error::new(ErrorKind::Configuration, message));
        }
        _ => {}
    }
    Download::open(Arc::new(store), envelopes, plan, name).await
}

/// Encrypts the whole file `plaintext` into the empty file `body`. `name` is the key of the object. Must be called
/// within a tokio runtime. Returns the number of bytes and the metadata to store with the body.
///
/// # Errors
/// The errors of [`Upload::write_file`] and [`Upload::finish`]. After an error the content of `body` is undefined.
pub async fn seal(envelopes: &Envelopes, plan: PartPlan, name: &str, plaintext: &File, body: File) -> Result<Sealed> {
    let store = FileStore::new(body, HashMap::new());
    // One part at a time, so that the parts arrive in order.
    let plan = PartPlan { concurrency: 1, ..plan };
    let mut upload = Upload::begin(Arc::new(store.clone()), envelopes, plan, name, UploadOptions::default()).await?;
    let mut bytes = 0;
    loop {
        let taken = upload.write_file(plaintext, bytes, STEP).await?;
        if taken == 0 {
            break;
        }
        bytes += taken;
    }
    upload.finish().await?;
    Ok(Sealed { bytes, metadata: store.written_metadata() })
}

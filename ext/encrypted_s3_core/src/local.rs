//! Objects in local files, by the same formats and with the same promises as in a bucket: so that an object that was
//! taken out of a bucket can be read, and one made, where there is no store.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use crate::download::{Download, DownloadPlan};
use crate::envelope::Envelopes;
use crate::store::FileStore;
use crate::upload::{PartPlan, Upload, UploadOptions};
use crate::{Error, ErrorKind, Result};

/// Bytes of plaintext that are taken at once.
const STEP: u64 = 8 * 1024 * 1024;

/// What an object was made of and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Bytes of plaintext.
    pub bytes: u64,
    /// The object's user metadata: names without the `x-amz-meta-` prefix.
    pub metadata: Vec<(String, String)>,
}

/// Opens the object whose body is `file`. `name` stands for it in messages; the instruction file is the body of one,
/// which counts only where `envelopes` has them read.
///
/// # Errors
/// As [`Download::open`].
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
            let what = "an instruction file is only read when `envelope_location` is `instruction_file`";
            return Err(Error::new(ErrorKind::Configuration, what));
        }
        _ => {}
    }
    Download::open(Arc::new(store), envelopes, plan, name).await
}

/// Encrypts `plaintext`, from its beginning to its end, into the empty file `body`. Must be called within a tokio
/// runtime.
///
/// # Errors
/// As [`Upload::write_file`] and [`Upload::finish`]; then `body` holds anything.
pub async fn seal(envelopes: &Envelopes, plan: PartPlan, name: &str, plaintext: &File, body: File) -> Result<Sealed> {
    let store = FileStore::new(body, HashMap::new());
    // One part at a time, so that they come in order.
    let plan = PartPlan { concurrency: 1, ..plan };
    let mut upload = Upload::begin(Arc::new(store.clone()), envelopes, plan, name, UploadOptions::default())?;
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

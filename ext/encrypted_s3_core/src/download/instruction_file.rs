//! Reads the instruction file of an object, which holds the envelope if the object's metadata does not.

use std::sync::Arc;

use super::small;
use crate::envelope::{Envelopes, MAX_INSTRUCTION_FILE};
use crate::store::{ObjectHead, ObjectStore};
use crate::task;
use crate::{ErrorKind, Result};

/// Returns the bytes of the instruction file. More than [`MAX_INSTRUCTION_FILE`] bytes mean that the file is too large;
/// its rest is not read. Returns `None` when the object needs no instruction file or there is none.
///
/// # Errors
/// Every error of the store except `NotFound`.
pub(super) async fn read(
    store: Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    head: &ObjectHead,
    key: &str,
) -> Result<Option<Vec<u8>>> {
    let metadata = head.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let Some(file) = envelopes.instruction_file_for(key, metadata) else { return Ok(None) };
    match task::run(fetch(store, file)).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // The file exists and is empty.
        Err(error) if error.kind() == ErrorKind::InvalidRange => Ok(Some(Vec::new())),
        Err(error) => Err(error),
    }
}

async fn fetch(store: Arc<dyn ObjectStore>, file: String) -> Result<Vec<u8>> {
    fetch_whole(store, file).await.map(|(_, bytes)| bytes)
}

/// Returns the properties and the bytes of an instruction file, at most one byte more than [`MAX_INSTRUCTION_FILE`].
pub(crate) async fn fetch_whole(store: Arc<dyn ObjectStore>, file: String) -> Result<(ObjectHead, Vec<u8>)> {
    small::read(&store, &file, MAX_INSTRUCTION_FILE + 1).await
}

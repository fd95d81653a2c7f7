//! Changes the wrapping key of an object whose envelope is in an instruction file, by replacing that file. The object
//! itself stays, so this also works for objects that are archived or locked.

use std::sync::Arc;

use bytes::Bytes;

use super::{Rotated, Rotation, pairs};
use crate::download::instruction_file::fetch_whole;
use crate::envelope::{Envelopes, RewrapFile, describe_file};
use crate::store::{NewObject, ObjectHead, ObjectStore};
use crate::task;
use crate::{Error, ErrorKind, Result};

/// The content type of instruction files.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Wraps the data key of the object `key`, with this `head`, by the writing key and replaces the instruction file under
/// `file`, unless it was replaced meanwhile. With `verify` the store must return the new file afterwards.
///
/// # Errors
/// `MissingEnvelope` when there is no such file; the errors of opening the envelope; `Changed` when the file was
/// replaced; `NotRotated` when the store does not return the new file.
pub(super) async fn rotate(
    store: &Arc<dyn ObjectStore>,
    envelopes: &Envelopes,
    key: &str,
    head: &ObjectHead,
    file: &str,
    verify: bool,
) -> Result<Rotated> {
    let (found, bytes) = fetch(store, key, file).await?;
    let metadata = pairs(head);
    let former_key_id = describe_file(&metadata, &bytes).and_then(|described| described.key_id);
    let looked_at = |outcome| Ok(Rotated { outcome, former_key_id });
    let rewrap = envelopes.rewrap_file(key, &metadata, &bytes).await.map_err(|error| error.for_object(key))?;
    let (format, new) = match rewrap {
        RewrapFile::Current(format) => return looked_at(Rotation::Current(format)),
        RewrapFile::Reencrypt(why) => return looked_at(Rotation::Reencrypt(why)),
        RewrapFile::File(format, new) => (format, Bytes::from(new)),
    };
    let metadata = found.metadata.into_iter().collect();
    let content_type = CONTENT_TYPE.to_owned();
    let object = NewObject { key: file.to_owned(), content_type, metadata, ..NewObject::default() };
    task::run(store.replace(object, new.clone(), &found.etag)).await?;
    if verify && fetch(store, key, file).await?.1 != new {
        let message = "the store reported that it replaced the instruction file, but it returns another one. \
                       Do not remove the old key";
        return Err(Error::new(ErrorKind::NotRotated, message).for_object(key));
    }
    looked_at(Rotation::Rotated(format))
}

async fn fetch(store: &Arc<dyn ObjectStore>, key: &str, file: &str) -> Result<(ObjectHead, Vec<u8>)> {
    task::run(fetch_whole(store.clone(), file.to_owned())).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let message = format!("it has no envelope in its metadata, and there is no instruction file {file:?}");
            Error::new(ErrorKind::MissingEnvelope, message).for_object(key)
        }
        _ => error,
    })
}

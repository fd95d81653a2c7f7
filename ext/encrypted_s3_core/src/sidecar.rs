//! Storing an object's segment map beside it, as `<key>.segments` (`docs/format.md`, 3.4 and 3.5).
//!
//! A stored map only saves time: without it an object is read whole once. So storing an object does not fail when its
//! map cannot be stored.

use std::sync::Arc;

use bytes::Bytes;

use crate::download::small;
use crate::segments::{self, MARK_LEN, Map};
use crate::store::{NewObject, ObjectSettings, ObjectStore};
use crate::{Error, ErrorKind, Result};

/// The MIME type of stored maps.
const CONTENT_TYPE: &str = "application/octet-stream";

/// Stores the map of the object `key`. Call it after the object was stored. `settings` are those of the object.
///
/// A map replaces an older one, but neither an object of any other kind nor a map that a later version wrote.
///
/// # Errors
/// `Rejected` when another object is stored under the map's key; `Internal` for a map that is not for storing;
/// otherwise the errors of the store. None of them means that the object is damaged.
pub async fn put(store: Arc<dyn ObjectStore>, key: &str, map: &Map, settings: ObjectSettings) -> Result<()> {
    let not_stored = || Error::new(ErrorKind::Internal, "this segment map is not for storing").for_object(key);
    let body = map.to_sidecar().ok_or_else(not_stored)?;
    put_body(store, key, body.into(), settings).await
}

/// Like [`put`], for a map that is already in its stored form.
///
/// # Errors
/// The errors of [`put`].
pub(crate) async fn put_body(
    store: Arc<dyn ObjectStore>,
    key: &str,
    body: Bytes,
    settings: ObjectSettings,
) -> Result<()> {
    let Some(sidecar) = segments::sidecar_key(key) else {
        let message = "the key is too long for a segment map beside the object";
        return Err(Error::new(ErrorKind::Rejected, message).for_object(key));
    };
    let content_type = CONTENT_TYPE.to_owned();
    let object = NewObject { key: sidecar.clone(), content_type, metadata: Vec::new(), settings };
    let is_taken = match store.put_if_absent(object.clone(), body.clone()).await {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == ErrorKind::Changed => true,
        Err(error) if error.kind() == ErrorKind::Unsupported => exists(&store, &sidecar).await?,
        Err(error) => return Err(error),
    };
    if is_taken && !segments::may_be_replaced(&beginning(&store, &sidecar).await?) {
        return Err(taken(&sidecar));
    }
    store.put(object, body).await.map(drop)
}

/// The error for another object under the key of a map.
pub(crate) fn taken(sidecar: &str) -> Error {
    let message = "another object, or the segment map of a later version, is stored under this key. It was not changed";
    Error::new(ErrorKind::Rejected, message).for_object(sidecar)
}

async fn exists(store: &Arc<dyn ObjectStore>, key: &str) -> Result<bool> {
    match store.head(key).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the object `key` is a stored map. False when there is no such object.
///
/// # Errors
/// The errors of the store.
pub async fn is_at(store: Arc<dyn ObjectStore>, key: &str) -> Result<bool> {
    match beginning(&store, key).await {
        Ok(bytes) => Ok(segments::is_sidecar(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The first bytes of an object: enough to recognize a map, or fewer if it has fewer.
async fn beginning(store: &Arc<dyn ObjectStore>, key: &str) -> Result<Vec<u8>> {
    match small::read(store, key, MARK_LEN).await {
        Ok((_, bytes)) => Ok(bytes),
        // The object is empty.
        Err(error) if error.kind() == ErrorKind::InvalidRange => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

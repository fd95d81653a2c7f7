//! Reads the segment map that is stored beside an object.

use std::sync::Arc;

use crate::envelope::ContentKey;
use crate::segments::{MAX_SIDECAR_LEN, Map, NoMap, sidecar_key};
use crate::store::{ObjectStore, Reading};
use crate::task::{self, Task};
use crate::{Error, ErrorKind, Result};

/// A request for the map beside an object.
pub(super) type Asked = Task<Vec<u8>>;

/// What is stored beside an object.
pub(super) enum Stored {
    Map(Map),
    /// No map, or one that this gem must leave as it is.
    Nothing,
    /// A map that does not belong to this object.
    Bad,
}

/// Requests the map beside the object `key`. Must be called within a tokio runtime. Returns `None` when the key is so
/// long that nothing can be stored beside it.
pub(super) fn ask(store: &Arc<dyn ObjectStore>, key: &str) -> Option<Asked> {
    let (store, sidecar) = (store.clone(), sidecar_key(key)?);
    Some(task::spawn(async move { fetch(store, &sidecar).await }))
}

/// Waits for the map. Every failure means that there is no map: the object itself can still be read.
pub(super) async fn read(mut asked: Asked, key: &ContentKey, text_len: u64) -> Stored {
    let Ok(bytes) = task::join(&mut asked).await else { return Stored::Nothing };
    match Map::read(&bytes, key, text_len) {
        Ok(map) => Stored::Map(map),
        Err(NoMap::Length | NoMap::OtherObject | NoMap::Commitment) => Stored::Bad,
        Err(NoMap::Magic | NoMap::Version(_) | NoMap::Legacy | NoMap::Derivation) => Stored::Nothing,
    }
}

/// Memory grows with the bytes that arrive, up to the size of the largest map.
async fn fetch(store: Arc<dyn ObjectStore>, sidecar: &str) -> Result<Vec<u8>> {
    let reading = Reading { range: Some((0, MAX_SIDECAR_LEN)), if_match: None };
    let mut body = store.get(sidecar, reading).await?.body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() as u64 > MAX_SIDECAR_LEN {
            return Err(Error::new(ErrorKind::TooLarge, "no segment map is that long"));
        }
    }
    Ok(bytes)
}

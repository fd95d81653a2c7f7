//! Reads the segment map that is stored beside an object: the whole map, or only the needed part if it is too large to
//! be kept.

use std::ops::Range;
use std::sync::Arc;

use crate::envelope::ContentKey;
use crate::segments::{HEADER_LEN, Layout, MAX_SIDECAR_LEN, Map, NoMap, may_be_replaced, sidecar_key};
use crate::store::{ObjectStore, Reading};
use crate::task::{self, Task};
use crate::{Error, ErrorKind, Result};

/// The largest number of segments whose tags are fetched at once if the map is not read whole: those of 4 GiB.
const MOST_NUMBERS: u64 = 65_536;

/// Requests for the map beside an object.
pub(super) enum Asked {
    /// The whole map.
    Whole(Task<Vec<u8>>),
    /// Its header, and the tags of the segments with these numbers, as far as the object has them.
    Part { numbers: Range<u64>, header: Task<Vec<u8>>, tags: Task<Vec<u8>> },
}

/// The object under the key of a map.
pub(super) enum Stored {
    Map(Map),
    /// No map, or one that must not be replaced.
    Nothing,
    /// A map that does not belong to this object.
    Bad,
}

/// The limits for reading a map beside an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// A map of at most this many bytes is read whole, so that it can be kept.
    limit: u64,
}

impl Size {
    /// `memory` is the limit in bytes for all kept maps.
    pub(super) fn of(memory: usize) -> Self {
        Self { limit: (memory as u64).min(MAX_SIDECAR_LEN) }
    }

    /// Whether the map of an object with `text_len` bytes of ciphertext is read whole.
    pub(super) fn is_whole(self, text_len: u64) -> bool {
        Layout::of(text_len).sidecar_len().is_some_and(|length| length <= self.limit)
    }

    /// Limits `numbers` to the segments whose tags may be in memory at once.
    fn limited(self, numbers: Range<u64>) -> Range<u64> {
        let most = (self.limit / TAG).clamp(1, MOST_NUMBERS);
        numbers.start..numbers.end.min(numbers.start.saturating_add(most))
    }

    /// Requests the map beside the object `key`, of which the segments with these `numbers` are wanted. `text_len` is
    /// the number of bytes of its ciphertext, if that is known. Must be called within a tokio runtime. Returns `None`
    /// when the key is so long that nothing can be stored beside it.
    pub(super) fn ask(
        self,
        store: &Arc<dyn ObjectStore>,
        key: &str,
        numbers: Range<u64>,
        text_len: Option<u64>,
    ) -> Option<Asked> {
        let sidecar = sidecar_key(key)?;
        // An object that has this segment has at least this many tags.
        let at_least = (HEADER_LEN as u64).saturating_add(numbers.start.saturating_mul(TAG));
        let is_whole = text_len.map_or(at_least <= self.limit, |text_len| self.is_whole(text_len));
        let request = |range: Range<u64>, most| {
            let (store, sidecar) = (store.clone(), sidecar.clone());
            task::spawn(async move { fetch(store, &sidecar, range, most).await })
        };
        if is_whole {
            return Some(Asked::Whole(request(0..MAX_SIDECAR_LEN + 1, Some(self.limit))));
        }
        let layout = Layout::of(text_len.unwrap_or(u64::MAX));
        let last = layout.count().saturating_sub(1);
        let numbers = self.limited(numbers.start.min(last)..numbers.end.min(layout.count()).max(1));
        let tags = layout.tags_of(numbers.clone());
        Some(Asked::Part { header: request(0..HEADER_LEN as u64, None), tags: request(tags, None), numbers })
    }
}

const TAG: u64 = crate::gcm::TAG_LEN as u64;

impl Asked {
    /// Whether these requests are useful for an object with `text_len` bytes of ciphertext. They may have been sent
    /// before its length was known.
    pub(super) fn is_for(&self, text_len: u64, size: Size) -> bool {
        match self {
            Self::Whole(_) => size.is_whole(text_len),
            Self::Part { numbers, .. } => !size.is_whole(text_len) && numbers.start < Layout::of(text_len).count(),
        }
    }

    /// Waits for the map. Every failure means that there is no map: the object itself can still be read.
    pub(super) async fn read(self, key: &ContentKey, text_len: u64) -> Stored {
        let (mut is_map, mut read) = (false, Err(NoMap::Magic));
        match self {
            Self::Whole(mut asked) => {
                if let Ok(bytes) = task::join(&mut asked).await {
                    (is_map, read) = (may_be_replaced(&bytes), Map::read(&bytes, key, text_len));
                }
            }
            Self::Part { numbers, mut header, mut tags } => {
                if let (Ok(header), Ok(tags)) = (task::join(&mut header).await, task::join(&mut tags).await) {
                    let numbers = numbers.start..numbers.end.min(Layout::of(text_len).count());
                    let part = Map::read_part(&header, &tags, numbers, key, text_len);
                    (is_map, read) = (may_be_replaced(&header), part);
                }
            }
        }
        match read {
            Ok(map) => Stored::Map(map),
            // Another object is stored there, and is not replaced.
            Err(_) if !is_map => Stored::Nothing,
            Err(NoMap::Length | NoMap::OtherObject | NoMap::Commitment) => Stored::Bad,
            Err(NoMap::Magic | NoMap::Version(_) | NoMap::Legacy | NoMap::Derivation) => Stored::Nothing,
        }
    }
}

/// Fetches a range of the map. A map of more than `most` bytes is not read. Memory grows with the bytes that arrive.
async fn fetch(store: Arc<dyn ObjectStore>, sidecar: &str, range: Range<u64>, most: Option<u64>) -> Result<Vec<u8>> {
    let too_long = || Error::new(ErrorKind::TooLarge, "no segment map is that long");
    let wanted = range.end.saturating_sub(range.start);
    let reading = Reading { range: Some((range.start, range.end.saturating_sub(1))), if_match: None };
    let object = store.get(sidecar, reading).await?;
    if most.is_some_and(|most| object.head.size > most) || object.first != range.start {
        return Err(too_long());
    }
    let mut body = object.body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() as u64 > wanted {
            return Err(too_long());
        }
    }
    Ok(bytes)
}

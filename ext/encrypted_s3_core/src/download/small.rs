//! Reading of small objects in one request.

use std::sync::Arc;

use tokio::time::Instant;

use crate::store::{Body, Object, ObjectHead, ObjectStore, Reading};
use crate::{Error, ErrorKind, Result};

/// How many times an object is read if its body is cut off. The store itself retries failed requests.
const ATTEMPTS: u32 = 3;

/// Returns the properties of an object and its first bytes, `most` of them or as many as it has.
///
/// # Errors
/// The errors of the store, including `InvalidRange` for an empty object.
pub(crate) async fn read(store: &Arc<dyn ObjectStore>, key: &str, most: usize) -> Result<(ObjectHead, Vec<u8>)> {
    let range = Some((0, (most as u64).saturating_sub(1)));
    let began = Instant::now();
    let mut left = ATTEMPTS;
    loop {
        let Object { head, body, .. } = store.get(key, Reading { range, if_match: None }).await?;
        left -= 1;
        let wanted = usize::try_from(head.size).map_or(most, |size| size.min(most));
        match drain(body, most, wanted).await {
            Ok(bytes) => return Ok((head, bytes)),
            Err(error) => {
                let is_broken = matches!(error.kind(), ErrorKind::Transport | ErrorKind::Damaged);
                // Detecting a stalled body takes time: another attempt must fit into the store's time limit.
                if !is_broken || left == 0 || began.elapsed() > store.patience() / 2 {
                    return Err(error);
                }
            }
        }
    }
}

/// Reads at most `most` bytes, of which `wanted` must arrive: a body whose length is not known may have been cut off.
async fn drain(mut body: Body, most: usize, wanted: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < most
        && let Some(piece) = body.next().await
    {
        bytes.extend_from_slice(&piece?);
    }
    bytes.truncate(most);
    if bytes.len() < wanted {
        return Err(Error::new(ErrorKind::Transport, "the connection ended before the end of the body"));
    }
    Ok(bytes)
}

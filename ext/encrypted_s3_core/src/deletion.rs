//! Deleting many objects.

use std::sync::Arc;

use crate::store::ObjectStore;
use crate::{Error, ErrorKind, Result};

/// Deletes every object whose key begins with `prefix`, a page of up to 1,000 at a time.
///
/// # Errors
/// Those of the store, and `Transport` when a list is incomplete and has no continuation token. The objects of earlier
/// pages are then already deleted.
pub async fn delete_prefixed(store: Arc<dyn ObjectStore>, prefix: String) -> Result<()> {
    let mut from = None;
    loop {
        let page = store.list(&prefix, from.take()).await?;
        if !page.keys.is_empty() {
            store.delete_many(page.keys).await?;
        }
        match (page.next, page.truncated) {
            (Some(next), _) => from = Some(next),
            (None, false) => return Ok(()),
            (None, true) => {
                let what = "the list of objects is incomplete: the store sent no token for its next page";
                return Err(Error::new(ErrorKind::Transport, what));
            }
        }
    }
}

//! Deleting many objects.

use std::sync::Arc;

use crate::store::ObjectStore;
use crate::{Error, ErrorKind, Result};

/// Deletes every object whose key begins with `prefix`, a page of up to 1,000 at a time.
///
/// # Errors
/// What the store says, and `Transport` when it says that there is more and not where; objects of the pages before are
/// gone then.
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
                let what = "the store lists more objects and does not say where the list goes on";
                return Err(Error::new(ErrorKind::Transport, what));
            }
        }
    }
}

//! Operations on many objects.

use std::sync::Arc;

use crate::Result;
use crate::store::ObjectStore;

/// Deletes every object whose key begins with `prefix`, a page of up to 1,000 at a time.
///
/// # Errors
/// What the store says; objects of the pages before are gone then.
pub async fn delete_prefixed(store: Arc<dyn ObjectStore>, prefix: String) -> Result<()> {
    let mut from = None;
    loop {
        let page = store.list(&prefix, from).await?;
        if !page.keys.is_empty() {
            store.delete_many(page.keys).await?;
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(()),
        }
    }
}

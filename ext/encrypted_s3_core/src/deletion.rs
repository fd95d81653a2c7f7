//! Deleting objects together with their segment maps and instruction files.

use std::sync::Arc;

use crate::envelope::Envelopes;
use crate::store::{ObjectStore, unasked};
use crate::{Error, ErrorKind, Result, segments, task};

/// Deletes an object, its segment map, and its instruction file if `envelopes` reads instruction files: a leftover file
/// would be used for a later object under the same key. The requests are sent at the same time. A missing object is not
/// an error.
///
/// # Errors
/// The errors of the store. An error for the object itself takes precedence over the others.
pub async fn delete(store: Arc<dyn ObjectStore>, envelopes: &Envelopes, key: &str) -> Result<()> {
    let beside = [segments::sidecar_key(key), envelopes.instruction_file(key)];
    let keys = std::iter::once(key.to_owned()).chain(beside.into_iter().flatten());
    // All requests are sent before the first answer is awaited.
    let deletions: Vec<_> = keys.map(|key| task::spawn(store.delete(&key))).collect();
    let mut first = Ok(());
    for mut deletion in deletions {
        first = first.and(task::join(&mut deletion).await);
    }
    first
}

/// Deletes every object whose key begins with `prefix`, a page of up to 1,000 at a time.
///
/// # Errors
/// The errors of the store; `Rejected` when a list has a key that does not begin with `prefix`; `Transport` when a list
/// is incomplete and has no continuation token, or that of the page before. The objects of earlier pages are then
/// already deleted.
pub async fn delete_prefixed(store: Arc<dyn ObjectStore>, prefix: String) -> Result<()> {
    let mut from: Option<String> = None;
    loop {
        let page = store.list(&prefix, from.clone()).await?;
        if let Some(stray) = page.keys.iter().find(|key| key.is_empty() || !key.starts_with(&prefix)) {
            return Err(unasked(stray, &prefix));
        }
        if !page.keys.is_empty() {
            store.delete_many(page.keys).await?;
        }
        match (page.next, page.truncated) {
            (None, false) => return Ok(()),
            (None, true) => return Err(incomplete("the store sent no token for its next page")),
            (Some(next), _) if from.as_ref() == Some(&next) => {
                return Err(incomplete("the store sent the same token for its next page again"));
            }
            (next, _) => from = next,
        }
    }
}

fn incomplete(problem: &str) -> Error {
    Error::new(ErrorKind::Transport, format!("the list of objects is incomplete: {problem}"))
}

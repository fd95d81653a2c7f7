//! Writing a large object into a file in one pass.
//!
//! The plaintext is written before the object's tag is checked, and removed if the tag is wrong. The caller gets the
//! file only after that. This is done only for a file whose former state can be restored.

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::arrival::RESTARTS;
use super::origin::{Begun, Origin, Part};
use super::target::Target;
use super::trailer::Cut;
use super::{Written, unwritable};
use crate::checksum::{Algorithm, Digester};
use crate::{Error, ErrorKind, Result};

/// Writes the object into the file. If the object was replaced meanwhile by a version with the same body and another
/// envelope, that version is written instead.
///
/// # Errors
/// `Auth` when the object was changed after it was encrypted, `Changed` when the object was replaced, `Io` when the
/// file cannot be written, and the errors of the requests. On an error the caller restores the file.
pub(super) async fn save(
    origin: &Arc<Origin>,
    mut begun: Begun,
    target: &Target<'_>,
    digest: Option<Algorithm>,
) -> Result<Written> {
    let mark = begun.mark();
    for _ in 0..RESTARTS {
        let changed = match write(origin, begun, target, digest).await {
            Err(error) if error.kind() == ErrorKind::Changed => error,
            written => return written,
        };
        target.restore().map_err(|error| unwritable(&origin.key, error))?;
        begun = origin.begin_anew(&mark, Part::WHOLE, changed).await?;
    }
    write(origin, begun, target, digest).await
}

async fn write(origin: &Origin, begun: Begun, target: &Target<'_>, digest: Option<Algorithm>) -> Result<Written> {
    let Begun { mut ranges, unlocked, .. } = begun;
    let mut content = unlocked.content_key.content()?;
    let mut digester = digest.map(Digester::new);
    let mut cut = Cut::after(unlocked.size);
    let mut file = target.file;
    let named = |error: Error| error.for_object(&origin.key);
    while let Some(mut bytes) = ranges.next().await.map_err(named)? {
        cut.apply(&mut bytes);
        content.update(bytes.bytes_from(0)).map_err(named)?;
        file.write_all(bytes.bytes()).map_err(|error| unwritable(&origin.key, error))?;
        if let Some(digester) = &mut digester {
            digester.update(bytes.bytes()).await;
        }
        // All bytes may have arrived already. Without this yield the caller could not be interrupted.
        tokio::task::yield_now().await;
    }
    content.finish(cut.trailer()).map_err(named)?;
    let digest = match digester {
        Some(digester) => Some(STANDARD.encode(digester.finish().await?)),
        None => None,
    };
    Ok(Written { bytes: unlocked.size, digest, used: unlocked.used })
}

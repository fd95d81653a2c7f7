//! Decryption of an object's body in any of the formats.

use crate::cbc;
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::{self, TAG_LEN};

/// Decrypts a body in order and in place. The plaintext is unauthenticated until [`finish`](Self::finish) has returned.
#[derive(Debug)]
#[must_use]
pub enum Content {
    /// V2 and V3: the ciphertext is followed by its authentication tag.
    Gcm(Box<gcm::Opener>),
    /// Legacy: nothing is authenticated, and the length of the plaintext is known only at the end.
    Cbc(cbc::Opener),
}

impl Content {
    /// Decrypts the next bytes of the ciphertext: whole blocks for a legacy object, any number otherwise.
    ///
    /// # Errors
    /// The errors of the cipher.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        match self {
            Self::Gcm(opener) => opener.update(data),
            Self::Cbc(opener) => opener.update(data),
        }
    }

    /// Checks the integrity of the text, as far as the format allows, and returns how many bytes at its end are
    /// padding.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] or [`ErrorKind::Cbc`]; [`ErrorKind::Transport`] for a trailer of the wrong length.
    pub fn finish(self, trailer: &[u8]) -> Result<usize> {
        match self {
            Self::Gcm(opener) => {
                let tag: &[u8; TAG_LEN] = trailer
                    .try_into()
                    .map_err(|_| Error::new(ErrorKind::Transport, "the store sent fewer bytes than it announced"))?;
                opener.finish(tag).map(|()| 0)
            }
            Self::Cbc(opener) => opener.finish(),
        }
    }
}

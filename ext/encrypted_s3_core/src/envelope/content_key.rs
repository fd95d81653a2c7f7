//! The key material of one object's content, for callers that read at any offset or derive more from the data key.

use std::fmt;

use super::Format;
use super::commitment::{Derivation, ID_LEN, Id, SUITE_ID};
use super::{v2, v3};
use crate::cbc::{self, Iv};
use crate::content::Content;
use crate::error::Result;
use crate::gcm::{Backend, Nonce, Opener, Sealer, plaintext_len};
use crate::secret::DataKey;

/// The data key of one object and the key and nonce of its content (`docs/format.md`, 2).
///
/// Wiped when dropped; neither `Clone` nor printable.
pub struct ContentKey {
    data_key: DataKey,
    form: Form,
}

enum Form {
    V2(Nonce),
    V3 { message_id: Id, content_key: DataKey },
    Cbc { format: Format, iv: Iv, genuine: bool },
}

impl ContentKey {
    /// V2: the data key and the nonce, `x-amz-iv`.
    pub fn v2(data_key: DataKey, nonce: Nonce) -> Self {
        Self { data_key, form: Form::V2(nonce) }
    }

    /// V3: the data key, whose commitment was checked, and the message id, `x-amz-i`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the derivation fails.
    pub fn v3(data_key: DataKey, message_id: [u8; ID_LEN]) -> Result<Self> {
        let content_key = Derivation::new(&data_key, &message_id).content_key()?;
        Ok(Self { data_key, form: Form::V3 { message_id, content_key } })
    }

    /// Legacy CBC in an envelope of this `format`. If `genuine` is false, it decrypts like a broken object; see
    /// [`cbc::Opener`].
    pub fn legacy(data_key: DataKey, format: Format, iv: Iv, genuine: bool) -> Self {
        Self { data_key, form: Form::Cbc { format, iv, genuine } }
    }

    /// The object's unwrapped data key. V3 encrypts with a key derived from it.
    pub fn data_key(&self) -> &DataKey {
        &self.data_key
    }

    /// The format of the envelope.
    pub fn format(&self) -> Format {
        match &self.form {
            Form::V2(_) => Format::V2,
            Form::V3 { .. } => Format::V3,
            Form::Cbc { format, .. } => *format,
        }
    }

    /// The random values of the object besides its data key: nonce, message id or initialisation vector.
    pub fn object_id(&self) -> &[u8] {
        match &self.form {
            Form::V2(nonce) => nonce,
            Form::V3 { message_id, .. } => message_id,
            Form::Cbc { iv, .. } => iv,
        }
    }

    /// Whether the content has no authentication tag.
    pub fn is_legacy(&self) -> bool {
        matches!(self.form, Form::Cbc { .. })
    }

    /// Returns how many of the `body_len` bytes of the body are ciphertext. The others are its trailer.
    ///
    /// # Errors
    /// [`ErrorKind::Truncated`](crate::ErrorKind::Truncated), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) or
    /// [`ErrorKind::Cbc`](crate::ErrorKind::Cbc) when no message has this length.
    pub fn text_len(&self, body_len: u64) -> Result<u64> {
        match &self.form {
            Form::V2(_) | Form::V3 { .. } => plaintext_len(body_len),
            Form::Cbc { .. } if body_len > 0 && body_len.is_multiple_of(cbc::BLOCK_LEN as u64) => Ok(body_len),
            Form::Cbc { .. } => Err(cbc::failed()),
        }
    }

    /// The key and nonce of AES-256-GCM and its additional data; `None` for legacy CBC.
    pub(crate) fn gcm(&self) -> Option<(&DataKey, &Nonce, &'static [u8])> {
        match &self.form {
            Form::V2(nonce) => Some((&self.data_key, nonce, v2::NO_AAD)),
            Form::V3 { content_key, .. } => Some((content_key, &v3::NONCE, &SUITE_ID)),
            Form::Cbc { .. } => None,
        }
    }

    /// Returns the sealer of the content; `None` for legacy CBC, which is not written. Consumes the key: a second text
    /// under it and its nonce would reveal both texts.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the cipher cannot be set up.
    pub fn into_sealer<B: Backend>(self) -> Result<Option<Sealer<B>>> {
        self.gcm().map(|(key, nonce, aad)| Sealer::with_backend(key, nonce, aad)).transpose()
    }

    /// Returns the decryptor that also checks the content.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) when the cipher cannot be set up.
    pub fn content(&self) -> Result<Content> {
        let gcm = |key, nonce, aad| Opener::new(key, nonce, aad).map(|opener| Content::Gcm(Box::new(opener)));
        match &self.form {
            Form::V2(nonce) => gcm(&self.data_key, nonce, v2::NO_AAD),
            Form::V3 { content_key, .. } => gcm(content_key, &v3::NONCE, &SUITE_ID),
            Form::Cbc { iv, genuine, .. } => Ok(Content::Cbc(cbc::Opener::new(&self.data_key, iv, *genuine))),
        }
    }
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey([redacted])")
    }
}

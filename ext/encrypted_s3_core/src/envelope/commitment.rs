//! Key commitment of the V3 format. HKDF with SHA-512 (RFC 5869) derives two values from the data key and the object's
//! message id: the key of the content, and a commitment that no other data key produces (S3 Encryption Client
//! specification, key derivation). AES-GCM alone does not commit to a key: two data keys that open one ciphertext can
//! be found.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::kdf::Hkdf;
use crate::secret::{DATA_KEY_LEN, DataKey};

/// Length of the message id and of the commitment in bytes.
pub(super) const ID_LEN: usize = 28;

/// The number of the suite. It is additional data of the content, and part of the labels below.
pub(super) const SUITE_ID: [u8; 2] = [0x00, 0x73];

const COMMIT_LABEL: &[u8] = b"\x00\x73COMMITKEY";
const DERIVE_LABEL: &[u8] = b"\x00\x73DERIVEKEY";

/// 28 bytes: the random message id, or the commitment to the key.
pub(super) type Id = [u8; ID_LEN];

/// The source of the content key and of the commitment.
pub(super) struct Derivation(Hkdf);

impl Derivation {
    pub(super) fn new(data_key: &DataKey, message_id: &Id) -> Self {
        Self(Hkdf::new(message_id, data_key.expose()))
    }

    /// The commitment, which is stored with the object.
    pub(super) fn commitment(&self) -> Result<Id> {
        let mut commitment = [0; ID_LEN];
        self.0.expand(&[COMMIT_LABEL], &mut commitment)?;
        Ok(commitment)
    }

    /// Compares the stored value in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Commitment`] when the data key is not the one that the object was encrypted under.
    pub(super) fn verify(&self, stored: &Id) -> Result<()> {
        if self.commitment()?.ct_eq(stored).into() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Commitment,
            "the key commitment does not match: the object's data key was replaced or its envelope was changed",
        ))
    }

    /// The key of the content.
    pub(super) fn content_key(&self) -> Result<DataKey> {
        let mut key = Zeroizing::new([0; DATA_KEY_LEN]);
        self.0.expand(&[DERIVE_LABEL], key.as_mut_slice())?;
        DataKey::from_bytes(key.as_slice())
    }
}

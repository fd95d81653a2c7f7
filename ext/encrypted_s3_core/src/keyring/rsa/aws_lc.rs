//! RSA by aws-lc.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
    Pkcs1PrivateDecryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{FINGERPRINT_LEN, check_bits, oaep_sha256, parse_payload, refused};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DATA_KEY_LEN, DataKey};

/// An RSA key of 2,048 to 4,096 bits: a public one only wraps, a private one also unwraps.
///
/// Wiped when dropped; neither `Clone` nor comparable nor printable.
pub struct RsaKey {
    public: OaepPublicEncryptingKey,
    /// The public half as DER, for comparing keys.
    public_der: Box<[u8]>,
    private: Option<Private>,
}

struct Private {
    key: PrivateDecryptingKey,
    /// For the one padding that aws-lc-rs lacks.
    der: Zeroizing<Box<[u8]>>,
}

impl RsaKey {
    /// A private key from the DER of its PKCS#8 `PrivateKeyInfo`, unencrypted. The caller wipes its own copy.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when it is not an RSA private key of 2,048 to 4,096 bits.
    pub fn from_private_der(pkcs8: &[u8]) -> Result<Self> {
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| refused("is not a private RSA key in PKCS#8"))?;
        check_bits(key.key_size_bits())?;
        let (public, public_der) = wrapping(key.public_key())?;
        Ok(Self { public, public_der, private: Some(Private { key, der: Zeroizing::new(pkcs8.into()) }) })
    }

    /// A public key from the DER of its X.509 `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`] when it is not an RSA public key of 2,048 to 4,096 bits.
    pub fn from_public_der(spki: &[u8]) -> Result<Self> {
        let key = PublicEncryptingKey::from_der(spki).map_err(|_| refused("is not a public RSA key"))?;
        check_bits(key.key_size_bits())?;
        let (public, public_der) = wrapping(key)?;
        Ok(Self { public, public_der, private: None })
    }

    pub(crate) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    /// The first bytes of the SHA-256 of the public half's `SubjectPublicKeyInfo`.
    pub(crate) fn fingerprint(&self) -> [u8; FINGERPRINT_LEN] {
        let digest: [u8; 32] = Sha256::digest(&self.public_der).into();
        let mut fingerprint = [0; FINGERPRINT_LEN];
        fingerprint.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        fingerprint
    }

    /// Wraps `data_key` by OAEP with SHA-256 for the label, which is empty, and for MGF1.
    pub(crate) fn wrap_for_recovery(&self, data_key: &DataKey) -> Result<Vec<u8>> {
        self.encrypt(&OAEP_SHA256_MGF1SHA256, data_key.expose())
    }

    /// Undoes [`wrap_for_recovery`](Self::wrap_for_recovery); `None` when this is not the right key.
    pub(crate) fn unwrap_for_recovery(&self, wrapped: &[u8]) -> Result<Option<DataKey>> {
        whole(self.decrypt_oaep(&OAEP_SHA256_MGF1SHA256, wrapped))
    }

    /// Whether both have the same public half.
    pub(in super::super) fn is(&self, other: &Self) -> bool {
        self.public_der == other.public_der
    }

    /// Wraps `data_key` by `RSA-OAEP-SHA1`, bound to the text `bind`.
    pub(in super::super) fn wrap(&self, data_key: &DataKey, bind: &str) -> Result<Vec<u8>> {
        let payload = Zeroizing::new([&[DATA_KEY_LEN as u8][..], data_key.expose(), bind.as_bytes()].concat());
        self.encrypt(&OAEP_SHA1_MGF1SHA1, &payload)
    }

    fn encrypt(&self, algorithm: &'static OaepAlgorithm, payload: &[u8]) -> Result<Vec<u8>> {
        let mut wrapped = vec![0; self.public.ciphertext_size()];
        let length = self
            .public
            .encrypt(algorithm, payload, &mut wrapped, None)
            .map_err(|_| Error::new(ErrorKind::Internal, "aws-lc refused to wrap a data key by RSA"))?
            .len();
        wrapped.truncate(length);
        Ok(wrapped)
    }

    /// Unwraps `RSA-OAEP-SHA1`; `None` when this is not the right key.
    ///
    /// # Errors
    /// [`ErrorKind::AlgMismatch`] and [`ErrorKind::Malformed`] when it is, and the content is not the expected one.
    pub(in super::super) fn unwrap_oaep_sha1(&self, wrapped: &[u8], bind: &str) -> Result<Option<DataKey>> {
        let payload = self.decrypt_oaep(&OAEP_SHA1_MGF1SHA1, wrapped);
        payload.map(|payload| parse_payload(&payload, bind)).transpose()
    }

    /// Unwraps OAEP with SHA-256 for the label and SHA-1 for MGF1, the meaning of Java's
    /// `RSA/ECB/OAEPWithSHA-256AndMGF1Padding`; `None` when this is not the right key.
    pub(in super::super) fn unwrap_oaep_sha256(&self, wrapped: &[u8]) -> Result<Option<DataKey>> {
        let Some(private) = &self.private else { return Ok(None) };
        whole(oaep_sha256::decrypt(&private.der, wrapped)?)
    }

    /// Unwraps PKCS#1 v1.5; `None` when the padding is not right or the length is not a data key's. The caller must
    /// make this indistinguishable from a wrong data key.
    pub(in super::super) fn unwrap_pkcs1(&self, wrapped: &[u8]) -> Result<Option<DataKey>> {
        whole(self.decrypt(|key, room| {
            let key = Pkcs1PrivateDecryptingKey::new(key.clone()).ok()?;
            key.decrypt(wrapped, room).ok().map(|payload| payload.len())
        }))
    }

    fn decrypt_oaep(&self, algorithm: &'static OaepAlgorithm, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.decrypt(|key, room| {
            let key = OaepPrivateDecryptingKey::new(key.clone()).ok()?;
            key.decrypt(algorithm, wrapped, room, None).ok().map(|payload| payload.len())
        })
    }

    /// Runs `decrypt` with the private key and a buffer for the plaintext, and returns as many bytes as it reports.
    fn decrypt(
        &self,
        decrypt: impl FnOnce(&PrivateDecryptingKey, &mut [u8]) -> Option<usize>,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let private = self.private.as_ref()?;
        let mut plaintext = Zeroizing::new(vec![0; private.key.key_size_bytes()]);
        let length = decrypt(&private.key, &mut plaintext)?;
        plaintext.truncate(length);
        Some(plaintext)
    }
}

fn wrapping(key: PublicEncryptingKey) -> Result<(OaepPublicEncryptingKey, Box<[u8]>)> {
    let der: PublicKeyX509Der<'_> = key.as_der().map_err(|_| refused("cannot be written as DER"))?;
    let der = der.as_ref().into();
    Ok((OaepPublicEncryptingKey::new(key).map_err(|_| refused("cannot wrap data keys"))?, der))
}

fn whole(data_key: Option<Zeroizing<Vec<u8>>>) -> Result<Option<DataKey>> {
    data_key.filter(|bytes| bytes.len() == DATA_KEY_LEN).map(|bytes| DataKey::from_bytes(&bytes)).transpose()
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_private() { "RsaKey(private, [redacted])" } else { "RsaKey(public)" })
    }
}

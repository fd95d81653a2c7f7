//! The RSA key of a build without RSA: it refuses everything.

use std::convert::Infallible;
use std::fmt;

use super::{FINGERPRINT_LEN, refused};
use crate::error::{Error, Result};
use crate::secret::DataKey;

/// An RSA key; without the feature `aws-lc` there is none.
pub struct RsaKey(Infallible);

impl RsaKey {
    /// Refuses the key.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) always.
    pub fn from_private_der(_pkcs8: &[u8]) -> Result<Self> {
        Err(unavailable())
    }

    /// Refuses the key.
    ///
    /// # Errors
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) always.
    pub fn from_public_der(_spki: &[u8]) -> Result<Self> {
        Err(unavailable())
    }

    pub(crate) fn is_private(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn fingerprint(&self) -> [u8; FINGERPRINT_LEN] {
        match self.0 {}
    }

    pub(crate) fn wrap_for_recovery(&self, _data_key: &DataKey) -> Result<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) fn unwrap_for_recovery(&self, _wrapped: &[u8]) -> Result<Option<DataKey>> {
        match self.0 {}
    }

    pub(in super::super) fn is(&self, _other: &Self) -> bool {
        match self.0 {}
    }

    pub(in super::super) fn wrap(&self, _data_key: &DataKey, _bind: &str) -> Result<Vec<u8>> {
        match self.0 {}
    }

    pub(in super::super) fn unwrap_oaep_sha1(&self, _wrapped: &[u8], _bind: &str) -> Result<Option<DataKey>> {
        match self.0 {}
    }

    pub(in super::super) fn unwrap_oaep_sha256(&self, _wrapped: &[u8]) -> Result<Option<DataKey>> {
        match self.0 {}
    }

    pub(in super::super) fn unwrap_pkcs1(&self, _wrapped: &[u8]) -> Result<Option<DataKey>> {
        match self.0 {}
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

fn unavailable() -> Error {
    refused("needs the feature `aws-lc`, which this build of the extension lacks")
}

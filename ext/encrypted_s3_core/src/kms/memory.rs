//! Keys in memory that behave like those of AWS KMS, for tests: they check contexts, distinguish a wrong key from a
//! broken ciphertext, and count the requests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Context, KeyService, KmsDescription, KmsFuture, KmsKey, KmsRewrapped, KmsWrapped};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{DATA_KEY_LEN, DataKey, fill_random};

/// Keys of a KMS in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryKms(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    wrapped: HashMap<Vec<u8>, Held>,
    refused: HashMap<String, ErrorKind>,
    requests: Vec<String>,
}

struct Held {
    arn: String,
    context: Context,
    data_key: [u8; DATA_KEY_LEN],
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({})", self.arn)
    }
}

impl MemoryKms {
    /// Starts without ciphertexts. Every key id names a key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes `blob` the ciphertext of `data_key`, wrapped by the key `arn` in the context `json`.
    ///
    /// # Errors
    /// `Malformed` when `json` is not a context.
    pub fn insert(&self, blob: &[u8], arn: &str, json: &str, data_key: [u8; DATA_KEY_LEN]) -> Result<()> {
        let held = Held { arn: arn.to_owned(), context: Context::parse(json)?, data_key };
        self.state().wrapped.insert(blob.to_vec(), held);
        Ok(())
    }

    /// Makes every request that uses the key `arn` fail.
    pub fn refuse(&self, arn: &str, kind: ErrorKind) {
        self.state().refused.insert(arn.to_owned(), kind);
    }

    /// The operations so far, with the key ids that they named.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, operation: &str, key: &KmsKey) -> Result<()> {
        let mut state = self.state();
        let id = key.id().unwrap_or("any");
        state.requests.push(format!("{operation} {id}"));
        match state.refused.get(id) {
            Some(kind) => Err(Error::new(*kind, format!("{operation}: {id} is refused"))),
            None => Ok(()),
        }
    }

    fn wrap(&self, key: &KmsKey, context: &Context, data_key: &[u8; DATA_KEY_LEN]) -> Result<KmsWrapped> {
        let mut blob = vec![0; 184];
        fill_random(&mut blob)?;
        let arn = key.id().unwrap_or_default().to_owned();
        let held = Held { arn: arn.clone(), context: context.clone(), data_key: *data_key };
        self.state().wrapped.insert(blob.clone(), held);
        Ok(KmsWrapped { blob, key_arn: arn })
    }

    fn unwrap(&self, key: &KmsKey, context: &Context, blob: &[u8]) -> Result<Option<([u8; DATA_KEY_LEN], String)>> {
        let state = self.state();
        let broken = || Error::new(ErrorKind::Unwrap, "InvalidCiphertextException");
        let held = state.wrapped.get(blob).ok_or_else(broken)?;
        if key.id().is_some_and(|id| id != held.arn) {
            return Ok(None);
        }
        if held.context != *context {
            return Err(broken());
        }
        Ok(Some((held.data_key, held.arn.clone())))
    }
}

fn ready<T: Send + 'static>(answer: Result<T>) -> KmsFuture<T> {
    Box::pin(async { answer })
}

impl KeyService for MemoryKms {
    fn generate_data_key(&self, key: &KmsKey, context: &Context) -> KmsFuture<(DataKey, KmsWrapped)> {
        ready(self.begin("GenerateDataKey", key).and_then(|()| {
            let data_key = DataKey::generate()?;
            let wrapped = self.wrap(key, context, data_key.expose())?;
            Ok((data_key, wrapped))
        }))
    }

    fn encrypt(&self, key: &KmsKey, context: &Context, data_key: &DataKey) -> KmsFuture<KmsWrapped> {
        ready(self.begin("Encrypt", key).and_then(|()| self.wrap(key, context, data_key.expose())))
    }

    fn decrypt(&self, key: &KmsKey, context: &Context, blob: &[u8]) -> KmsFuture<Option<(DataKey, String)>> {
        ready(self.begin("Decrypt", key).and_then(|()| match self.unwrap(key, context, blob)? {
            Some((data_key, arn)) => Ok(Some((DataKey::from_bytes(&data_key)?, arn))),
            None => Ok(None),
        }))
    }

    fn re_encrypt(
        &self,
        (from, from_context): (&KmsKey, &Context),
        (to, to_context): (&KmsKey, &Context),
        blob: &[u8],
    ) -> KmsFuture<Option<KmsRewrapped>> {
        ready(self.begin("ReEncrypt", from).and_then(|()| match self.unwrap(from, from_context, blob)? {
            Some((data_key, source_arn)) => {
                Ok(Some(KmsRewrapped { wrapped: self.wrap(to, to_context, &data_key)?, source_arn }))
            }
            None => Ok(None),
        }))
    }

    fn region(&self, key: &KmsKey) -> Option<String> {
        key.region().map(str::to_owned)
    }

    fn describe(&self, key: &KmsKey) -> KmsFuture<KmsDescription> {
        ready(self.begin("DescribeKey", key).map(|()| KmsDescription {
            arn: key.id().unwrap_or_default().to_owned(),
            state: "Enabled".to_owned(),
            is_symmetric: true,
        }))
    }
}

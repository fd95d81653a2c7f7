//! The keys of a keyring that are in AWS KMS (S3 Encryption Client specification, KMS keyring).
//!
//! If a request names no key, KMS uses the key that the ciphertext names, so anybody who can write to the bucket would
//! choose the key. Therefore every request names a configured key, unless the configuration allows any key.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use super::{Key, KeyMaterial, KeyUse, Keyring, WrappedKey, Wrapping, WritingWrap, wrap::Wrap};
use crate::error::{Error, ErrorKind, Result};
use crate::kms::{Context, KeyService, KmsDescription, KmsKey, KmsWrapped};
use crate::secret::DataKey;
use crate::task;

/// The result of rewrapping a data key in KMS.
#[derive(Debug)]
pub(crate) enum ReEncrypted {
    /// The data key was already wrapped by the writing key, which has this ARN.
    Current(String),
    /// The data key is now wrapped by the writing key.
    Changed(Wrapping),
    /// KMS alone cannot rewrap it: one of the keys is not in KMS, or they are in two regions.
    Impossible,
}

impl Keyring {
    /// Requests the state of the key with this `id`.
    ///
    /// # Errors
    /// The errors of [`KeyService`]; [`ErrorKind::Configuration`] for an invalid id.
    pub async fn describe_kms_key(&self, id: &str) -> Result<KmsDescription> {
        let key = KmsKey::new(id, Context::default())?;
        task::run(self.kms()?.describe(&key)).await
    }

    /// Generates a data key, unwraps it by the writing key, and returns whether both are the same.
    ///
    /// # Errors
    /// The errors of making a new object and of opening it.
    pub async fn try_writing_key(&self) -> Result<bool> {
        const BIND: &str = "try";
        let (data_key, wrapping) = self.new_data_key(BIND).await?;
        let (opened, _) = self.unwrap(WrappedKey::of(&wrapping, BIND)).await?;
        Ok(bool::from(data_key.expose().ct_eq(opened.expose())))
    }

    pub(super) async fn generate_by_kms(&self, key: &KmsKey, bind: &str) -> Result<(DataKey, Wrapping)> {
        let context = key.context().bound(bind);
        let (data_key, wrapped) = task::run(self.kms()?.generate_data_key(key, &context)).await?;
        Ok((data_key, wrapping(wrapped, &context)))
    }

    pub(super) async fn wrap_by_kms(&self, key: &KmsKey, data_key: &DataKey, bind: &str) -> Result<Wrapping> {
        let context = key.context().bound(bind);
        let wrapped = task::run(self.kms()?.encrypt(key, &context, data_key)).await?;
        Ok(wrapping(wrapped, &context))
    }

    pub(super) async fn unwrap_by_kms(&self, wrapped: &WrappedKey<'_>) -> Result<(DataKey, KeyUse)> {
        let context = checked_context(wrapped)?;
        let mut refusal = None;
        for (key, kms) in self.kms_keys_for(wrapped, &context)? {
            match task::run(self.kms()?.decrypt(kms, &context, wrapped.bytes)).await {
                Ok(Some((data_key, arn))) => {
                    let id = Some(key.name().map_or(arn, str::to_owned));
                    return Ok((data_key, KeyUse { id, is_writing: key.key.is(&self.writing.key) }));
                }
                Ok(None) => {}
                Err(error) => note(&mut refusal, error)?,
            }
        }
        Err(refusal.unwrap_or_else(no_kms_key_fits))
    }

    /// Rewraps a data key under the writing key inside of KMS.
    ///
    /// # Errors
    /// The errors of [`unwrap`](Self::unwrap).
    pub(crate) async fn re_encrypt(&self, wrapped: &WrappedKey<'_>) -> Result<ReEncrypted> {
        let (KeyMaterial::Kms(writing), Wrap::KmsContext) = (&self.writing.key, wrapped.wrap) else {
            return Ok(ReEncrypted::Impossible);
        };
        self.check_kind(wrapped.wrap.kind())?;
        let (context, wanted) = (checked_context(wrapped)?, writing.context().bound(wrapped.bind));
        let keys = self.kms_keys_for(wrapped, &context)?;
        let kms = self.kms()?;
        if keys.iter().any(|(_, key)| kms.region(key) != kms.region(writing)) {
            return Ok(ReEncrypted::Impossible);
        }
        let mut refusal = None;
        for (_, key) in keys {
            let request = kms.re_encrypt((key, &context), (writing, &wanted), wrapped.bytes);
            match task::run(request).await {
                Ok(Some(rewrapped)) => {
                    let is_current = rewrapped.source_arn == rewrapped.wrapped.key_arn && context == wanted;
                    return Ok(if is_current {
                        ReEncrypted::Current(rewrapped.source_arn)
                    } else {
                        ReEncrypted::Changed(wrapping(rewrapped.wrapped, &wanted))
                    });
                }
                Ok(None) => {}
                Err(error) => note(&mut refusal, error)?,
            }
        }
        Err(refusal.unwrap_or_else(no_kms_key_fits))
    }

    fn kms(&self) -> Result<Arc<dyn KeyService>> {
        self.kms.clone().ok_or_else(|| Error::new(ErrorKind::Internal, "the keyring has no client of AWS KMS"))
    }

    /// The keys in KMS that may unwrap a data key of this `context`: first the key that the object names, last the
    /// entry for any key.
    fn kms_keys_for(&self, wrapped: &WrappedKey<'_>, context: &Context) -> Result<Vec<(&Key, &KmsKey)>> {
        // Readers of the legacy wrap configured no context, so there is none to compare.
        let given = (wrapped.wrap == Wrap::KmsContext).then(|| context.given());
        let in_kms = self.keys().filter_map(|key| match &key.key {
            KeyMaterial::Kms(kms) => Some((key, kms)),
            _ => None,
        });
        let mut keys: Vec<_> =
            in_kms.filter(|(_, kms)| given.as_ref().is_none_or(|given| given == kms.context())).collect();
        if keys.is_empty() {
            return Err(other_context(context));
        }
        let named = wrapped.kms_key.or(context.key_id());
        keys.sort_by_key(|(_, kms)| match (kms.id(), named) {
            (None, _) => 2,
            (Some(_), Some(named)) if kms.has_arn(named) == Some(true) => 0,
            _ => 1,
        });
        Ok(keys)
    }
}

fn wrapping(wrapped: KmsWrapped, context: &Context) -> Wrapping {
    Wrapping {
        wrap: WritingWrap::KmsContext,
        bytes: wrapped.blob,
        description: context.to_json(),
        kms_key: Some(wrapped.key_arn),
    }
}

/// The whole encryption context of an envelope, which must be for the content algorithm that the envelope names.
fn checked_context(wrapped: &WrappedKey<'_>) -> Result<Context> {
    let context = Context::parse(wrapped.material_description)?;
    if wrapped.wrap == Wrap::KmsContext && context.algorithm() != Some(wrapped.bind) {
        return Err(super::rsa::other_algorithm());
    }
    Ok(context)
}

/// Keeps the first refusal of a key, because another key may still fit. An error that does not concern one key ends the
/// search.
fn note(first: &mut Option<Error>, error: Error) -> Result<()> {
    match error.kind() {
        ErrorKind::Access | ErrorKind::KeyDisabled | ErrorKind::KeyDestroyed | ErrorKind::Unwrap => {
            first.get_or_insert(error);
            Ok(())
        }
        _ => Err(error),
    }
}

fn other_context(context: &Context) -> Error {
    // Anybody who can write to the bucket chooses these names: show only a part of them, and escape it.
    let names: String = context.given().names().collect::<Vec<_>>().join(", ").chars().take(200).collect();
    let has = if names.is_empty() { "has no entries".to_owned() } else { format!("has the entries {names:?}") };
    Error::new(
        ErrorKind::ContextMismatch,
        format!("its encryption context differs from `kms_encryption_context`: it {has}"),
    )
}

fn no_kms_key_fits() -> Error {
    Error::new(
        ErrorKind::Unwrap,
        "its data key was wrapped by another KMS key than `kms_key_id` and those of `decryption_keys`: add `kms:` and \
         the key's ARN to `decryption_keys`, or set `kms_allow_decrypt_with_any_cmk: true`",
    )
}

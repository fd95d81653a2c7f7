//! AWS KMS through Amazon's client, with the credentials, proxies, certificates and time limits of the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::Region;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{DataKeySpec, KeySpec, KeyUsageType};
use zeroize::Zeroizing;

use super::aws_error::{self, Request};
use super::{Context, KeyService, KmsDescription, KmsFuture, KmsKey, KmsRewrapped, KmsWrapped};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;
use crate::store::aws_connection::{Connection, Shared, own_retries};
use crate::store::aws_environment;
use crate::store::patience::Patience;

/// The location of KMS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KmsSettings {
    /// The region of keys whose ids do not contain it; `None` is the store's.
    pub region: Option<String>,
    /// The address of KMS; `None` looks in the environment and the profile, and then uses Amazon's.
    pub endpoint: Option<String>,
}

/// AWS KMS, over the connection settings of the store.
#[derive(Debug)]
pub struct AwsKms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Arc<Connection>,
    settings: KmsSettings,
    /// By region; created on first use.
    clients: Mutex<HashMap<String, Client>>,
}

impl AwsKms {
    pub(crate) fn over(connection: Arc<Connection>, settings: KmsSettings) -> Self {
        Self(Arc::new(Inner { connection, settings, clients: Mutex::default() }))
    }

    /// The requirements of a request: the client for the key's region, and the subject of its errors.
    fn request(&self, operation: &'static str, keys: &[&KmsKey]) -> (Arc<Inner>, Option<String>, Request) {
        let region = keys.iter().find_map(|key| key.region()).map(str::to_owned);
        (self.0.clone(), region, Request::new(operation, keys))
    }
}

impl Inner {
    async fn client(&self, region: Option<String>) -> Result<Client> {
        let shared = self.connection.shared().await?;
        let of_shared = || shared.config.region().map(|region| region.as_ref().to_owned());
        let region = region.or_else(|| self.settings.region.clone()).or_else(of_shared).ok_or_else(|| {
            let message = "no region for AWS KMS: set `kms_region`, or the ARN of a key as `kms_key_id`";
            Error::new(ErrorKind::Configuration, message)
        })?;
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&region) {
            return Ok(client.clone());
        }
        let client = self.connect(&shared, &region)?;
        clients.insert(region, client.clone());
        Ok(client)
    }

    fn connect(&self, shared: &Shared, region: &str) -> Result<Client> {
        let settings = &self.connection.settings;
        let endpoint = match self.settings.endpoint.clone() {
            None => aws_environment::endpoint(&shared.config, "KMS")?,
            given => given,
        };
        let mut config = aws_sdk_kms::config::Builder::from(&shared.for_service(settings, endpoint.as_deref())?)
            .region(Region::new(region.to_owned()))
            .retry_partition(own_retries())
            .interceptor(Patience { read_timeout: settings.read_timeout, allowance: Duration::ZERO });
        config.set_endpoint_url(endpoint);
        Ok(Client::from_conf(config.build()))
    }
}

impl KeyService for AwsKms {
    fn generate_data_key(&self, key: &KmsKey, context: &Context) -> KmsFuture<(DataKey, KmsWrapped)> {
        let (inner, region, about) = self.request("GenerateDataKey", &[key]);
        let (id, context) = (key.id().map(str::to_owned), context.to_map());
        Box::pin(async move {
            let request = inner.client(region).await?.generate_data_key().set_key_id(id);
            let request = request.key_spec(DataKeySpec::Aes256).set_encryption_context(Some(context));
            let answer = request.send().await.map_err(|error| aws_error::translated(&error, &about))?;
            let data_key = data_key(answer.plaintext, &about)?;
            Ok((data_key, wrapped(answer.ciphertext_blob, answer.key_id, &about)?))
        })
    }

    fn encrypt(&self, key: &KmsKey, context: &Context, data_key: &DataKey) -> KmsFuture<KmsWrapped> {
        let (inner, region, about) = self.request("Encrypt", &[key]);
        let (id, context) = (key.id().map(str::to_owned), context.to_map());
        let plaintext = Zeroizing::new(data_key.expose().to_vec());
        Box::pin(async move {
            let request = inner.client(region).await?.encrypt().set_key_id(id).set_encryption_context(Some(context));
            let request = request.plaintext(Blob::new(plaintext.as_slice()));
            let answer = request.send().await.map_err(|error| aws_error::translated(&error, &about))?;
            wrapped(answer.ciphertext_blob, answer.key_id, &about)
        })
    }

    fn decrypt(&self, key: &KmsKey, context: &Context, blob: &[u8]) -> KmsFuture<Option<(DataKey, String)>> {
        let (inner, region, about) = self.request("Decrypt", &[key]);
        let (key, context, blob) = (key.clone(), context.to_map(), Blob::new(blob));
        Box::pin(async move {
            let request = inner.client(region).await?.decrypt().set_key_id(key.id().map(str::to_owned));
            let answer = match request.set_encryption_context(Some(context)).ciphertext_blob(blob).send().await {
                Err(error) if aws_error::is_of_another_key(&error) => return Ok(None),
                answer => answer.map_err(|error| aws_error::translated(&error, &about))?,
            };
            let arn = answer.key_id.unwrap_or_default();
            let data_key = data_key(answer.plaintext, &about)?;
            Ok((key.has_arn(&arn) != Some(false)).then_some((data_key, arn)))
        })
    }

    fn re_encrypt(
        &self,
        (from, from_context): (&KmsKey, &Context),
        (to, to_context): (&KmsKey, &Context),
        blob: &[u8],
    ) -> KmsFuture<Option<KmsRewrapped>> {
        let (inner, region, about) = self.request("ReEncrypt", &[from, to]);
        let (from, blob) = (from.clone(), Blob::new(blob));
        let (from_context, to_context) = (from_context.to_map(), to_context.to_map());
        let to = to.id().map(str::to_owned);
        Box::pin(async move {
            let request = inner.client(region).await?.re_encrypt().ciphertext_blob(blob);
            let request = request.set_source_key_id(from.id().map(str::to_owned)).set_destination_key_id(to);
            let request = request.set_source_encryption_context(Some(from_context));
            let request = request.set_destination_encryption_context(Some(to_context));
            let answer = match request.send().await {
                Err(error) if aws_error::is_of_another_key(&error) => return Ok(None),
                answer => answer.map_err(|error| aws_error::translated(&error, &about))?,
            };
            let source_arn = answer.source_key_id.unwrap_or_default();
            if from.has_arn(&source_arn) == Some(false) {
                return Ok(None);
            }
            Ok(Some(KmsRewrapped { wrapped: wrapped(answer.ciphertext_blob, answer.key_id, &about)?, source_arn }))
        })
    }

    fn region(&self, key: &KmsKey) -> Option<String> {
        let of_settings = || self.0.settings.region.clone().or_else(|| self.0.connection.settings.region.clone());
        key.region().map(str::to_owned).or_else(of_settings)
    }

    fn describe(&self, key: &KmsKey) -> KmsFuture<KmsDescription> {
        let (inner, region, about) = self.request("DescribeKey", &[key]);
        let id = key.id().map(str::to_owned);
        Box::pin(async move {
            let answer = inner.client(region).await?.describe_key().set_key_id(id).send().await;
            let answer = answer.map_err(|error| aws_error::translated(&error, &about))?;
            let key = answer.key_metadata.ok_or_else(|| about.incomplete())?;
            // KMS and compatible servers omit defaults.
            let encrypts = key.key_usage.is_none_or(|usage| usage == KeyUsageType::EncryptDecrypt);
            let symmetric = key.key_spec.is_none_or(|spec| spec == KeySpec::SymmetricDefault);
            let state = key.key_state.map(|state| state.as_str().to_owned()).unwrap_or_default();
            let arn = key.arn.ok_or_else(|| about.incomplete())?;
            Ok(KmsDescription { arn, state, is_symmetric: encrypts && symmetric })
        })
    }
}

fn data_key(plaintext: Option<Blob>, about: &Request) -> Result<DataKey> {
    let plaintext = Zeroizing::new(plaintext.ok_or_else(|| about.incomplete())?.into_inner());
    DataKey::from_bytes(&plaintext)
}

fn wrapped(blob: Option<Blob>, arn: Option<String>, about: &Request) -> Result<KmsWrapped> {
    let blob = blob.ok_or_else(|| about.incomplete())?.into_inner();
    Ok(KmsWrapped { blob, key_arn: arn.ok_or_else(|| about.incomplete())? })
}

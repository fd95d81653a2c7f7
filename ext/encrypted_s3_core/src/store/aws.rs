//! Amazon S3, and whatever speaks its protocol, over Amazon's own client.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Region, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, Delete, ObjectIdentifier};
use aws_smithy_http_client::tls::{self, TlsContext, TrustStore};
use bytes::Bytes;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use super::aws_error::{self, Subject};
use super::patience::{self, Patience, WatchedClient};
use super::{
    Body, NewObject, Object, ObjectHead, ObjectStore, Page, Reading, Replacement, StoreFuture, Stored, StoredPart,
    aws_copy,
};
use crate::{Error, ErrorKind, Result};

/// Credentials that were given rather than found.
#[derive(Clone)]
pub struct Credentials {
    /// The id of the access key; not secret.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Zeroizing<String>,
    /// The session token of temporary credentials.
    pub session_token: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// When the client adds or checks a checksum of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumUse {
    /// Wherever the operation knows one.
    WhenSupported,
    /// Only where the operation demands one; for stores that refuse what they do not know.
    WhenRequired,
}

/// How the store is reached.
#[derive(Clone, Debug)]
pub struct AwsStoreSettings {
    /// The bucket's name.
    pub bucket: String,
    /// The region; `None` looks in the environment and the profile, and then takes `us-east-1` if there is an endpoint.
    pub region: Option<String>,
    /// The address of an S3-compatible store; `None` is Amazon's.
    pub endpoint: Option<String>,
    /// Puts the bucket into the path rather than into the host name.
    pub force_path_style: bool,
    /// `None` searches environment, profile, web identity, container and instance role, in Amazon's order.
    pub credentials: Option<Credentials>,
    /// The profile in the shared configuration files; `None` is `AWS_PROFILE` or the default.
    pub profile: Option<String>,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest time without progress, in either direction, after which an attempt counts as failed.
    pub read_timeout: Duration,
    /// How often a request is sent at most, the first time included.
    pub max_attempts: u32,
    /// A PEM file whose certificates are trusted instead of the system's.
    pub ca_bundle: Option<std::path::PathBuf>,
    /// Checksums of what is sent.
    pub request_checksums: ChecksumUse,
    /// Checksums of what is received.
    pub response_checksums: ChecksumUse,
}

/// A bucket over Amazon's client. The client is made on first use, so that nothing touches the network, the disk or a
/// thread before.
#[derive(Debug)]
pub struct AwsStore {
    inner: std::sync::Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: AwsStoreSettings,
    client: OnceCell<Client>,
}

impl AwsStore {
    /// A store that will be reached as `settings` say.
    pub fn new(settings: AwsStoreSettings) -> Self {
        Self { inner: std::sync::Arc::new(Inner { settings, client: OnceCell::new() }) }
    }

    fn subject(&self, operation: &'static str, key: &str) -> Subject {
        Subject { operation, bucket: self.inner.settings.bucket.clone(), key: key.to_owned() }
    }
}

impl Inner {
    async fn client(&self) -> Result<&Client> {
        self.client.get_or_try_init(|| connect(&self.settings)).await
    }

    /// Whether a body's SHA-256 goes into the signature. Over TLS, and with a checksum among the signed headers, it adds
    /// nothing but the time: SHA-256 takes several times as long as the encryption.
    fn signs_bodies(&self) -> bool {
        let plain = self.settings.endpoint.as_deref().is_some_and(|endpoint| !endpoint.starts_with("https:"));
        plain || self.settings.request_checksums == ChecksumUse::WhenRequired
    }

    /// The time limits of a request after which the store joins or copies `bytes` before it answers.
    fn patience(&self, bytes: u64) -> Patience {
        Patience { read_timeout: self.settings.read_timeout, allowance: patience::copying(bytes) }
    }

    /// The checksum of parts. The upload must be created with the same: Amazon refuses parts with another one, and the
    /// SDK adds one to the parts only.
    fn part_checksum(&self) -> Option<ChecksumAlgorithm> {
        (self.settings.request_checksums == ChecksumUse::WhenSupported).then_some(ChecksumAlgorithm::Crc32)
    }
}

/// The client for `settings`. Only here are files of the shared configuration and of the CA bundle read.
async fn connect(settings: &AwsStoreSettings) -> Result<Client> {
    let http_client = WatchedClient::new(http_client(settings)?, settings.read_timeout);
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client);
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(given) = &settings.credentials {
        loader = loader.credentials_provider(aws_sdk_s3::config::Credentials::new(
            given.access_key_id.clone(),
            given.secret_access_key.to_string(),
            given.session_token.as_ref().map(|token| token.to_string()),
            None,
            "storage.yml",
        ));
    }
    let shared = loader.load().await;
    let mut config = aws_sdk_s3::config::Builder::from(&shared)
        .force_path_style(settings.force_path_style)
        .retry_config(RetryConfig::standard().with_max_attempts(settings.max_attempts))
        .timeout_config(TimeoutConfig::builder().connect_timeout(settings.connect_timeout).build())
        // Both of the SDK's other limits are replaced, see `patience`.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(Patience { read_timeout: settings.read_timeout, allowance: Duration::ZERO })
        .request_checksum_calculation(match settings.request_checksums {
            ChecksumUse::WhenSupported => RequestChecksumCalculation::WhenSupported,
            ChecksumUse::WhenRequired => RequestChecksumCalculation::WhenRequired,
        })
        .response_checksum_validation(match settings.response_checksums {
            ChecksumUse::WhenSupported => ResponseChecksumValidation::WhenSupported,
            ChecksumUse::WhenRequired => ResponseChecksumValidation::WhenRequired,
        });
    match (&settings.endpoint, shared.region()) {
        (None, None) => {
            let what = "no region: set `region`, or AWS_REGION in the environment";
            return Err(Error::new(ErrorKind::Configuration, what));
        }
        (Some(endpoint), None) => config = config.endpoint_url(endpoint).region(Region::new("us-east-1")),
        (Some(endpoint), Some(_)) => config = config.endpoint_url(endpoint),
        (None, Some(_)) => {}
    }
    Ok(Client::from_conf(config.build()))
}

fn http_client(settings: &AwsStoreSettings) -> Result<SharedHttpClient> {
    #[cfg(feature = "aws-lc")]
    let provider = tls::rustls_provider::CryptoMode::AwsLc;
    #[cfg(not(feature = "aws-lc"))]
    let provider = tls::rustls_provider::CryptoMode::Ring;
    let trust = match &settings.ca_bundle {
        None => TrustStore::default(),
        Some(path) => TrustStore::empty().with_pem_certificate(ca_bundle(path)?),
    };
    let context = TlsContext::builder().with_trust_store(trust).build().map_err(|error| {
        Error::new(ErrorKind::Configuration, "ssl_ca_bundle: the certificates could not be used").with_source(error)
    })?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(provider))
        .tls_context(context)
        .build_https())
}

/// Reads the bundle and checks that it holds a certificate: the TLS library takes any bytes and panics on first use.
fn ca_bundle(path: &std::path::Path) -> Result<Vec<u8>> {
    let unusable =
        |why: &str| Error::new(ErrorKind::Configuration, format!("ssl_ca_bundle: {}: {why}", path.display()));
    let pem = std::fs::read(path).map_err(|error| unusable(&error.kind().to_string()))?;
    if String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        Ok(pem)
    } else {
        Err(unusable("holds no PEM certificate"))
    }
}

/// Puts what is known of a new object onto a request that creates one; the two requests share no type in the SDK.
macro_rules! describe {
    ($request:expr, $object:expr) => {{
        let object = $object;
        let settings = object.settings;
        $request
            .key(object.key)
            .content_type(object.content_type)
            .set_metadata(Some(object.metadata.into_iter().collect()))
            .set_acl(settings.acl.map(|value| value.as_str().into()))
            .set_bucket_key_enabled(settings.bucket_key_enabled.map(|value| value == "true"))
            .set_cache_control(settings.cache_control)
            .set_expected_bucket_owner(settings.expected_bucket_owner)
            .set_server_side_encryption(settings.server_side_encryption.map(|value| value.as_str().into()))
            .set_ssekms_encryption_context(settings.ssekms_encryption_context)
            .set_ssekms_key_id(settings.ssekms_key_id)
            .set_storage_class(settings.storage_class.map(|value| value.as_str().into()))
            .set_tagging(settings.tagging)
    }};
}

impl ObjectStore for AwsStore {
    fn put(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("PutObject", &object.key));
        Box::pin(async move {
            let request = inner.client().await?.put_object().bucket(&inner.settings.bucket);
            let mut request = describe!(request, object).body(ByteStream::from(body)).customize();
            if !inner.signs_bodies() {
                request = request.disable_payload_signing();
            }
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            Ok(Stored { etag: answer.e_tag.unwrap_or_default() })
        })
    }

    fn create_multipart(&self, object: NewObject) -> StoreFuture<String> {
        let (inner, subject) = (self.inner.clone(), self.subject("CreateMultipartUpload", &object.key));
        Box::pin(async move {
            let request = inner.client().await?.create_multipart_upload().bucket(&inner.settings.bucket);
            let request = describe!(request, object).set_checksum_algorithm(inner.part_checksum());
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            answer.upload_id.ok_or_else(|| {
                Error::new(ErrorKind::Transport, "CreateMultipartUpload: the store gave no upload id")
                    .for_object(&subject.key)
            })
        })
    }

    fn put_part(&self, key: &str, upload_id: &str, number: i32, body: Bytes) -> StoreFuture<StoredPart> {
        let (inner, subject) = (self.inner.clone(), self.subject("UploadPart", key));
        let (upload_id, size) = (upload_id.to_owned(), body.len() as u64);
        Box::pin(async move {
            let request = inner.client().await?.upload_part().bucket(&inner.settings.bucket).key(&subject.key);
            let request = request.upload_id(upload_id).part_number(number).body(ByteStream::from(body));
            let mut request = request.set_checksum_algorithm(inner.part_checksum()).customize();
            if !inner.signs_bodies() {
                request = request.disable_payload_signing();
            }
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            Ok(StoredPart { number, size, etag: answer.e_tag.unwrap_or_default(), crc32: answer.checksum_crc32 })
        })
    }

    fn complete_multipart(&self, key: &str, upload_id: &str, parts: Vec<StoredPart>) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("CompleteMultipartUpload", key));
        let upload_id = upload_id.to_owned();
        Box::pin(async move {
            let size = parts.iter().map(|part| part.size).sum();
            let parts = parts.into_iter().map(|part| {
                CompletedPart::builder()
                    .part_number(part.number)
                    .e_tag(part.etag)
                    .set_checksum_crc32(part.crc32)
                    .build()
            });
            let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
            let request = inner.client().await?.complete_multipart_upload().bucket(&inner.settings.bucket);
            let request = request.key(&subject.key).upload_id(upload_id).multipart_upload(parts);
            let request = request.customize().interceptor(inner.patience(size));
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            Ok(Stored { etag: answer.e_tag.unwrap_or_default() })
        })
    }

    fn abort_multipart(&self, key: &str, upload_id: &str) -> StoreFuture<()> {
        let (inner, subject) = (self.inner.clone(), self.subject("AbortMultipartUpload", key));
        let upload_id = upload_id.to_owned();
        Box::pin(async move {
            let request = inner.client().await?.abort_multipart_upload().bucket(&inner.settings.bucket);
            let answer = request.key(&subject.key).upload_id(upload_id).send().await;
            answer.map(drop).map_err(|error| aws_error::request(&error, &subject))
        })
    }

    fn get(&self, key: &str, reading: Reading) -> StoreFuture<Object> {
        let (inner, subject) = (self.inner.clone(), self.subject("GetObject", key));
        Box::pin(async move {
            let request = inner.client().await?.get_object().bucket(&inner.settings.bucket).key(&subject.key);
            let range = reading.range.map(|(first, last)| format!("bytes={first}-{last}"));
            let request = request.set_range(range).set_if_match(reading.if_match);
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            let (first, size) = extent(answer.content_range.as_deref(), answer.content_length, &subject)?;
            let head = head_of(Some(size), answer.e_tag, answer.metadata, &subject)?;
            Ok(Object { head, first, body: Body::from_aws(answer.body) })
        })
    }

    fn replace_metadata(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("CopyObject", key));
        let etag = etag.to_owned();
        Box::pin(async move {
            let client = inner.client().await?;
            let (checksums, read_timeout) = (inner.part_checksum(), inner.settings.read_timeout);
            aws_copy::Copying { client, subject: &subject, etag, checksums, read_timeout }.run(replacement).await
        })
    }

    fn head(&self, key: &str) -> StoreFuture<ObjectHead> {
        let (inner, subject) = (self.inner.clone(), self.subject("HeadObject", key));
        Box::pin(async move {
            let request = inner.client().await?.head_object().bucket(&inner.settings.bucket).key(&subject.key);
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            head_of(answer.content_length, answer.e_tag, answer.metadata, &subject)
        })
    }

    fn delete(&self, key: &str) -> StoreFuture<()> {
        let (inner, subject) = (self.inner.clone(), self.subject("DeleteObject", key));
        Box::pin(async move {
            let request = inner.client().await?.delete_object().bucket(&inner.settings.bucket).key(&subject.key);
            match request.send().await.map_err(|error| aws_error::request(&error, &subject)) {
                // Some stores answer 404 where Amazon answers 204.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                answer => answer.map(drop),
            }
        })
    }

    fn delete_many(&self, keys: Vec<String>) -> StoreFuture<()> {
        let first = keys.first().cloned().unwrap_or_default();
        let (inner, subject) = (self.inner.clone(), self.subject("DeleteObjects", &first));
        Box::pin(async move {
            let mut delete = Delete::builder().quiet(true);
            for key in keys {
                let object = ObjectIdentifier::builder().key(key).build();
                delete = delete.objects(object.map_err(|error| {
                    Error::new(ErrorKind::Internal, "DeleteObjects: a key could not be named").with_source(error)
                })?);
            }
            let delete = delete.build().map_err(|error| {
                Error::new(ErrorKind::Internal, "DeleteObjects: the request could not be built").with_source(error)
            })?;
            let request = inner.client().await?.delete_objects().bucket(&inner.settings.bucket).delete(delete);
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            match answer.errors().first() {
                None => Ok(()),
                Some(error) => Err(Error::new(
                    ErrorKind::Rejected,
                    format!(
                        "DeleteObjects: {} objects could not be deleted, the first of them {:?}: {}",
                        answer.errors().len(),
                        error.key().unwrap_or_default(),
                        error.code().unwrap_or_default()
                    ),
                )),
            }
        })
    }

    fn list(&self, prefix: &str, from: Option<String>) -> StoreFuture<Page> {
        let (inner, subject) = (self.inner.clone(), self.subject("ListObjectsV2", prefix));
        Box::pin(async move {
            let request = inner.client().await?.list_objects_v2().bucket(&inner.settings.bucket).prefix(&subject.key);
            let answer = request.set_continuation_token(from).send().await;
            let answer = answer.map_err(|error| aws_error::request(&error, &subject))?;
            let keys = answer.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect();
            let more = answer.is_truncated().unwrap_or(false);
            Ok(Page { keys, next: answer.next_continuation_token.filter(|_| more) })
        })
    }
}

/// Where the body begins, and how long the whole object is. `bytes 0-99/1234` is the form that RFC 9110 gives a range
/// (section 14.4); without it the answer is the whole object.
fn extent(content_range: Option<&str>, content_length: Option<i64>, subject: &Subject) -> Result<(u64, i64)> {
    let Some(range) = content_range else { return Ok((0, content_length.unwrap_or(-1))) };
    let parse = || {
        let (first, rest) = range.strip_prefix("bytes ")?.split_once('-')?;
        let (_last, size) = rest.split_once('/')?;
        Some((first.trim().parse().ok()?, size.trim().parse().ok()?))
    };
    parse().ok_or_else(|| {
        Error::new(ErrorKind::Transport, "the store sent a range that it did not describe").for_object(&subject.key)
    })
}

fn head_of(
    size: Option<i64>,
    etag: Option<String>,
    metadata: Option<std::collections::HashMap<String, String>>,
    subject: &Subject,
) -> Result<ObjectHead> {
    let size = size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| {
        Error::new(ErrorKind::Transport, "the store did not say how long the object is").for_object(&subject.key)
    })?;
    Ok(ObjectHead { size, etag: etag.unwrap_or_default(), metadata: metadata.unwrap_or_default() })
}

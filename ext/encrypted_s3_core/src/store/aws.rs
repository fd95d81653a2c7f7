//! Amazon S3 and compatible stores, through Amazon's own client.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart, EncodingType};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::aws_connection::{Connected, Connection};
use super::aws_error::{self, Subject};
use super::aws_settings::{AwsStoreSettings, ChecksumUse};
use super::patience::{self, Patience};
use super::web_page;
use super::{
    NewObject, Object, ObjectHead, ObjectStore, Page, Reading, Replacement, StoreFuture, Stored, StoredPart, aws_copy,
    aws_immovable,
};
use crate::{Error, ErrorKind, Result};

/// A bucket that is accessed through Amazon's client.
#[derive(Debug)]
pub struct AwsStore {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) bucket: String,
    owner: Option<String>,
    pub(super) connection: Arc<Connection>,
}

impl AwsStore {
    /// A store with its own connection; [`Connections`](super::Connections) shares them.
    pub fn new(settings: AwsStoreSettings) -> Self {
        let connection = Arc::new(Connection::new(settings.connection));
        Self::over(connection, settings.bucket, settings.expected_bucket_owner)
    }

    pub(super) fn over(connection: Arc<Connection>, bucket: String, owner: Option<String>) -> Self {
        Self { inner: Arc::new(Inner { bucket, owner, connection }) }
    }

    pub(super) fn subject(&self, operation: &'static str, key: &str) -> Subject {
        Subject { operation, bucket: self.inner.bucket.clone(), key: key.to_owned() }
    }
}

/// Sets the properties of a new object on a request that creates it. The two requests share no type in the SDK.
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
            .set_server_side_encryption(settings.server_side_encryption.map(|value| value.as_str().into()))
            .set_ssekms_encryption_context(settings.ssekms_encryption_context)
            .set_ssekms_key_id(settings.ssekms_key_id)
            .set_storage_class(settings.storage_class.map(|value| value.as_str().into()))
            .set_tagging(settings.tagging)
    }};
}

impl Inner {
    async fn connected(&self) -> Result<&Connected> {
        self.connection.connected().await
    }

    pub(super) async fn client(&self) -> Result<&Client> {
        self.connected().await.map(|connected| &connected.client)
    }

    /// The account that must own the bucket, for every request.
    pub(super) fn owner(&self) -> Option<String> {
        self.owner.clone()
    }

    /// Whether a body's SHA-256 goes into the signature. Over TLS, with a checksum among the signed headers, it adds
    /// nothing but time: SHA-256 takes several times as long as the encryption.
    fn signs_bodies(&self, connected: &Connected) -> bool {
        !connected.is_secure || self.connection.settings.request_checksums == ChecksumUse::WhenRequired
    }

    /// The time limits of a request for which the store joins or copies `bytes` before it answers.
    fn patience(&self, bytes: u64) -> Patience {
        let read_timeout = self.connection.settings.read_timeout;
        Patience { read_timeout, allowance: patience::copying(bytes) }
    }

    /// Sends `body`, with its MD5 if the store requires one.
    async fn with_md5<T, E, F>(&self, body: &Bytes, send: impl Fn(Option<String>) -> F) -> Sent<T, E>
    where
        E: ProvideErrorMetadata,
        F: Future<Output = Sent<T, E>>,
    {
        let wanted = &self.connection.quirks.wants_md5;
        if !wanted.load(Ordering::Relaxed) {
            match send(None).await {
                Err(error) if aws_error::wants_md5(&error) => wanted.store(true, Ordering::Relaxed),
                answer => return answer,
            }
        }
        send(Some(md5_of(body))).await
    }

    /// Stores an object in one request.
    async fn put(&self, object: NewObject, body: Bytes, condition: PutIf<'_>, subject: &Subject) -> Result<Stored> {
        let connected = self.connected().await?;
        let send = |md5: Option<String>| {
            let request = connected.client.put_object().bucket(&self.bucket);
            let request = request.set_expected_bucket_owner(self.owner()).set_content_md5(md5);
            let request = match condition {
                PutIf::Always => request,
                PutIf::Absent => request.if_none_match("*"),
                PutIf::Is(etag) => request.if_match(etag),
            };
            let mut request = describe!(request, object.clone()).body(ByteStream::from(body.clone())).customize();
            if !self.signs_bodies(connected) {
                request = request.disable_payload_signing();
            }
            request.send()
        };
        let answer = self.with_md5(&body, send).await.map_err(|error| aws_error::request(&error, subject))?;
        // Every store sends one. The answer of any other server does not mean that the object is stored.
        let etag = answer.e_tag.filter(|etag| !etag.is_empty()).ok_or_else(|| {
            let problem = "the store did not confirm that the object is stored: its answer has no entity tag. Check \
                           `endpoint`, and proxies between this machine and the store";
            subject.error(ErrorKind::Transport, problem)
        })?;
        Ok(Stored { etag })
    }

    /// An object that is copied onto itself.
    async fn copying<'a>(&'a self, subject: &'a Subject, etag: String) -> Result<aws_copy::Copying<'a>> {
        let (owner, checksums) = (self.owner(), self.part_checksum());
        let read_timeout = self.connection.settings.read_timeout;
        Ok(aws_copy::Copying { client: self.client().await?, subject, owner, etag, checksums, read_timeout })
    }

    /// The checksum algorithm of parts. The upload must be created with the same algorithm: Amazon refuses parts with
    /// another one, and the SDK adds checksums to the parts only.
    fn part_checksum(&self) -> Option<ChecksumAlgorithm> {
        (self.connection.settings.request_checksums == ChecksumUse::WhenSupported).then_some(ChecksumAlgorithm::Crc32)
    }
}

type Sent<T, E> = std::result::Result<T, SdkError<E, HttpResponse>>;

/// The object that may be replaced.
#[derive(Clone, Copy)]
enum PutIf<'a> {
    /// Any object or none.
    Always,
    /// None: the key must be free.
    Absent,
    /// The object with this entity tag.
    Is(&'a str),
}

/// The MD5 of a request's body, for the header `Content-MD5`.
fn md5_of(body: &[u8]) -> String {
    let mut md5 = crate::md5::Md5::new();
    md5.update(body);
    STANDARD.encode(md5.finish())
}

impl ObjectStore for AwsStore {
    fn patience(&self) -> Duration {
        patience::PATIENCE.max(self.inner.connection.settings.read_timeout)
    }

    fn name(&self) -> Option<(String, String)> {
        let settings = &self.inner.connection.settings;
        Some((
            format!("{:?} {:?} {:?}", settings.endpoint, settings.region, settings.profile),
            self.inner.bucket.clone(),
        ))
    }

    fn put(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("PutObject", &object.key));
        Box::pin(async move { inner.put(object, body, PutIf::Always, &subject).await })
    }

    fn replace(&self, object: NewObject, body: Bytes, etag: &str) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("PutObject", &object.key));
        let etag = etag.to_owned();
        Box::pin(async move { inner.put(object, body, PutIf::Is(&etag), &subject).await })
    }

    fn put_if_absent(&self, object: NewObject, body: Bytes) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("PutObject", &object.key));
        Box::pin(async move {
            let unconditionally = &inner.connection.quirks.stores_unconditionally;
            if !unconditionally.load(Ordering::Relaxed) {
                match inner.put(object, body, PutIf::Absent, &subject).await {
                    Err(error) if error.answer().is_some_and(|answer| answer.status == 501) => {
                        unconditionally.store(true, Ordering::Relaxed);
                    }
                    answer => return answer,
                }
            }
            Err(subject.error(ErrorKind::Unsupported, "the store does not support conditions for storing an object"))
        })
    }

    fn create_multipart(&self, object: NewObject) -> StoreFuture<String> {
        let (inner, subject) = (self.inner.clone(), self.subject("CreateMultipartUpload", &object.key));
        Box::pin(async move {
            let request = inner.client().await?.create_multipart_upload().bucket(&inner.bucket);
            let request = request.set_expected_bucket_owner(inner.owner());
            let request = describe!(request, object).set_checksum_algorithm(inner.part_checksum());
            let answer = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
            answer.upload_id.ok_or_else(|| {
                Error::new(ErrorKind::Transport, "CreateMultipartUpload: the store sent no upload id")
                    .for_object(&subject.key)
            })
        })
    }

    fn put_part(&self, key: &str, upload_id: &str, number: i32, body: Bytes) -> StoreFuture<StoredPart> {
        let (inner, subject) = (self.inner.clone(), self.subject("UploadPart", key));
        let (upload_id, size) = (upload_id.to_owned(), body.len() as u64);
        Box::pin(async move {
            let connected = inner.connected().await?;
            let send = |md5: Option<String>| {
                let request = connected.client.upload_part().bucket(&inner.bucket).key(&subject.key);
                let request = request.set_expected_bucket_owner(inner.owner()).set_content_md5(md5);
                let request = request.upload_id(&upload_id).part_number(number).body(ByteStream::from(body.clone()));
                let mut request = request.set_checksum_algorithm(inner.part_checksum()).customize();
                if !inner.signs_bodies(connected) {
                    request = request.disable_payload_signing();
                }
                request.send()
            };
            let answer = inner.with_md5(&body, send).await.map_err(|error| aws_error::request(&error, &subject))?;
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
            let request = inner.client().await?.complete_multipart_upload().bucket(&inner.bucket);
            let request = request.set_expected_bucket_owner(inner.owner());
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
            let request = inner.client().await?.abort_multipart_upload().bucket(&inner.bucket);
            let request = request.set_expected_bucket_owner(inner.owner());
            let answer = request.key(&subject.key).upload_id(upload_id).send().await;
            answer.map(drop).map_err(|error| aws_error::request(&error, &subject))
        })
    }

    fn get(&self, key: &str, reading: Reading) -> StoreFuture<Object> {
        let (inner, subject) = (self.inner.clone(), self.subject("GetObject", key));
        Box::pin(async move { inner.read(&reading, &subject).await })
    }

    fn replace_metadata(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<Stored> {
        let (inner, subject) = (self.inner.clone(), self.subject("CopyObject", key));
        let etag = etag.to_owned();
        Box::pin(async move { inner.copying(&subject, etag).await?.whole(replacement).await })
    }

    fn create_copy(&self, key: &str, etag: &str, replacement: Replacement) -> StoreFuture<String> {
        let (inner, subject) = (self.inner.clone(), self.subject("CreateMultipartUpload", key));
        let etag = etag.to_owned();
        Box::pin(async move { inner.copying(&subject, etag).await?.create(replacement).await })
    }

    fn copy_part(
        &self,
        key: &str,
        upload_id: &str,
        number: i32,
        etag: &str,
        range: (u64, u64),
    ) -> StoreFuture<StoredPart> {
        let (inner, subject) = (self.inner.clone(), self.subject("UploadPartCopy", key));
        let (upload_id, etag) = (upload_id.to_owned(), etag.to_owned());
        Box::pin(async move { inner.copying(&subject, etag).await?.part(&upload_id, number, range).await })
    }

    fn head(&self, key: &str) -> StoreFuture<ObjectHead> {
        let (inner, subject) = (self.inner.clone(), self.subject("HeadObject", key));
        Box::pin(async move {
            let request = inner.client().await?.head_object().bucket(&inner.bucket).key(&subject.key);
            let answer = request.set_expected_bucket_owner(inner.owner()).send().await;
            let answer = match answer {
                // The body of another answer tells whether the store sent it.
                Err(error) if error.raw_response().is_some_and(web_page::may_be_missing_page) => {
                    return inner.head_by_reading(subject).await;
                }
                answer => answer.map_err(|error| aws_error::request(&error, &subject))?,
            };
            let immovable = aws_immovable::reason(&answer, SystemTime::now());
            if answer.content_length.is_none() {
                return Ok(ObjectHead { immovable, ..inner.head_by_reading(subject).await? });
            }
            let head = head_of(answer.content_length, answer.e_tag, answer.metadata, &subject)?;
            Ok(ObjectHead { immovable, ..head })
        })
    }

    fn delete(&self, key: &str) -> StoreFuture<()> {
        let (inner, subject) = (self.inner.clone(), self.subject("DeleteObject", key));
        Box::pin(async move { inner.delete(&subject).await })
    }

    fn delete_many(&self, keys: Vec<String>) -> StoreFuture<()> {
        let first = keys.first().cloned().unwrap_or_default();
        let (inner, subject) = (self.inner.clone(), self.subject("DeleteObjects", &first));
        Box::pin(async move { inner.delete_many(keys, &subject).await })
    }

    fn list(&self, prefix: &str, from: Option<String>) -> StoreFuture<Page> {
        let (inner, subject) = (self.inner.clone(), self.subject("ListObjectsV2", prefix));
        Box::pin(async move {
            let request = inner.client().await?.list_objects_v2().bucket(&inner.bucket).prefix(&subject.key);
            let request = request.set_expected_bucket_owner(inner.owner());
            // Without this encoding a store replaces characters that XML does not allow, and the list names another
            // key.
            let request = request.encoding_type(EncodingType::Url);
            let answer = request.set_continuation_token(from).send().await;
            let answer = answer.map_err(|error| aws_error::request(&error, &subject))?;
            let is_encoded = answer.encoding_type() == Some(&EncodingType::Url);
            let keys = answer.contents().iter().filter_map(|object| object.key());
            let keys = keys.map(|key| if is_encoded { decoded(key) } else { Ok(key.to_owned()) });
            let keys = keys.collect::<Result<_>>()?;
            let more = answer.is_truncated().unwrap_or(false);
            Ok(Page { keys, next: answer.next_continuation_token.filter(|_| more), truncated: more })
        })
    }
}

/// A key of a list whose keys are encoded for URLs, with `+` for a space.
pub(super) fn decoded(key: &str) -> Result<String> {
    let key = key.replace('+', " ");
    percent_decode_str(&key).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|error| {
        let message = "the store listed a key that is not UTF-8";
        Error::new(ErrorKind::Transport, message).with_source(error)
    })
}

/// The properties of the object. Fails if the store sent no size.
pub(super) fn head_of(
    size: Option<i64>,
    etag: Option<String>,
    metadata: Option<std::collections::HashMap<String, String>>,
    subject: &Subject,
) -> Result<ObjectHead> {
    let size = size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| {
        Error::new(ErrorKind::Transport, "the store did not send the size of the object").for_object(&subject.key)
    })?;
    let (etag, metadata) = (etag.unwrap_or_default(), metadata.unwrap_or_default());
    Ok(ObjectHead { size, etag, metadata, immovable: None })
}

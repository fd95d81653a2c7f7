//! Requests that examine a bucket and its settings. Storing and reading files does not need them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_sdk_s3::config::{ConfigBag, Credentials, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata};
use aws_sdk_s3::operation::list_object_versions::ListObjectVersionsOutput;
use aws_sdk_s3::types::EncodingType;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

use super::aws::{decoded, head_of};
use super::aws_error;
use super::{AwsStore, ObjectHead, StoreFuture, unasked};
use crate::{Error, ErrorKind, Result as CoreResult};

/// One stored version of an object, or a delete marker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The object's key.
    pub key: String,
    /// The version's id; `null` if the bucket keeps no versions.
    pub id: String,
    /// Whether it is the latest one, which requests without a version get.
    pub is_latest: bool,
    /// Whether it is a delete marker, which has no content.
    pub is_marker: bool,
}

/// The settings of a bucket for deleted and replaced objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BucketState {
    /// `Enabled`, `Suspended`, or nothing.
    pub versioning: Option<String>,
    /// Whether objects can be locked.
    pub locks: bool,
    /// `GOVERNANCE` or `COMPLIANCE` if every new object is locked.
    pub default_lock: Option<String>,
}

/// The answer of a store to a request without a signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The header `Date`.
    pub date: Option<String>,
}

impl AwsStore {
    /// All versions and delete markers of keys that begin with `prefix`.
    ///
    /// # Errors
    /// The errors of any request, and those of an incomplete list; a store without versioning refuses the request.
    pub fn versions(&self, prefix: &str) -> StoreFuture<Vec<Version>> {
        let (inner, subject) = (self.inner.clone(), self.subject("ListObjectVersions", prefix));
        Box::pin(async move {
            let (mut found, mut key, mut id) = (Vec::new(), None, None);
            loop {
                let request = inner
                    .client()
                    .await?
                    .list_object_versions()
                    .bucket(&subject.bucket)
                    .set_expected_bucket_owner(inner.owner());
                let request = request.prefix(&subject.key).set_key_marker(key.clone());
                let request = request.set_version_id_marker(id.clone());
                // As in other lists, because XML does not allow every character of a key.
                let request = request.encoding_type(EncodingType::Url);
                let page = request.send().await.map_err(|error| aws_error::request(&error, &subject))?;
                found.extend(versions_in(&page, &subject.key)?);
                if page.is_truncated != Some(true) {
                    return Ok(found);
                }
                let next = (next_key(&page)?, page.next_version_id_marker);
                if next.0.is_none() || next == (key, id) {
                    let problem = "the list of versions is incomplete: the store did not send the beginning of its \
                                   next page";
                    return Err(subject.error(ErrorKind::Transport, problem));
                }
                (key, id) = next;
            }
        })
    }

    /// The properties of one version of an object.
    ///
    /// # Errors
    /// `NotFound` when the version was deleted, and the errors of any request.
    pub fn head_version(&self, key: &str, id: &str) -> StoreFuture<ObjectHead> {
        let (inner, subject, id) = (self.inner.clone(), self.subject("HeadObject", key), id.to_owned());
        Box::pin(async move {
            let request = inner.client().await?.head_object().bucket(&subject.bucket).key(&subject.key);
            let answer = request.version_id(id).set_expected_bucket_owner(inner.owner()).send().await;
            let answer = answer.map_err(|error| aws_error::request(&error, &subject))?;
            head_of(answer.content_length, answer.e_tag, answer.metadata, &subject)
        })
    }

    /// Deletes one version permanently.
    ///
    /// # Errors
    /// The errors of any request.
    pub fn delete_version(&self, key: &str, id: &str) -> StoreFuture<()> {
        let (inner, subject, id) = (self.inner.clone(), self.subject("DeleteObject", key), id.to_owned());
        Box::pin(async move {
            let request = inner.client().await?.delete_object().bucket(&subject.bucket).key(&subject.key);
            let answer = request.version_id(id).send().await;
            answer.map(drop).map_err(|error| aws_error::request(&error, &subject))
        })
    }

    /// The keys and ids of multipart uploads that were begun under `prefix` and neither completed nor aborted.
    ///
    /// # Errors
    /// The errors of any request.
    pub fn unfinished_uploads(&self, prefix: &str) -> StoreFuture<Vec<(String, String)>> {
        let (inner, subject) = (self.inner.clone(), self.subject("ListMultipartUploads", prefix));
        Box::pin(async move {
            let request = inner.client().await?.list_multipart_uploads().bucket(&subject.bucket);
            let answer = request.prefix(&subject.key).send().await;
            let uploads = answer.map_err(|error| aws_error::request(&error, &subject))?.uploads.unwrap_or_default();
            let uploads = uploads.into_iter().filter_map(|upload| Some((upload.key?, upload.upload_id?)));
            // A store that ignores the prefix names uploads of others.
            Ok(uploads.filter(|(key, _)| key.starts_with(&subject.key)).collect())
        })
    }

    /// Whether the bucket keeps versions and locks objects.
    ///
    /// # Errors
    /// The errors of any request. A bucket without object lock is not an error.
    pub fn bucket_state(&self) -> StoreFuture<BucketState> {
        let (inner, subject) = (self.inner.clone(), self.subject("GetBucketVersioning", ""));
        Box::pin(async move {
            let client = inner.client().await?;
            let versioning = client.get_bucket_versioning().bucket(&subject.bucket).send().await;
            let versioning = versioning.map_err(|error| aws_error::request(&error, &subject))?.status;
            let versioning = versioning.map(|status| status.as_str().to_owned());
            let lock = match client.get_object_lock_configuration().bucket(&subject.bucket).send().await {
                Ok(answer) => answer.object_lock_configuration,
                // Stores report a missing configuration in various ways.
                Err(error) if error.code().is_some() => None,
                Err(error) => return Err(aws_error::request(&error, &subject)),
            };
            let default_lock =
                lock.as_ref().and_then(|lock| lock.rule.as_ref()?.default_retention.as_ref()?.mode.clone());
            let locks = lock.and_then(|lock| lock.object_lock_enabled).is_some();
            Ok(BucketState { versioning, locks, default_lock: default_lock.map(|mode| mode.as_str().to_owned()) })
        })
    }

    /// Requests an object without a signature and without credentials, over the same connection as all requests.
    ///
    /// # Errors
    /// When the store does not answer. An answer of any status is not an error.
    pub fn ask_unsigned(&self, key: &str) -> StoreFuture<Answer> {
        let (inner, subject) = (self.inner.clone(), self.subject("GetObject", key));
        Box::pin(async move {
            let unsigned = Unsigned::default();
            let request = inner.client().await?.get_object().bucket(&subject.bucket).key(&subject.key);
            let placeholder = Credentials::new("nobody", "nothing", None, None, "unsigned");
            let unused = aws_sdk_s3::Config::builder().credentials_provider(placeholder);
            let sent = request.customize().config_override(unused).interceptor(unsigned.clone()).send().await;
            let error = sent.err().map(|error| aws_error::request(&error, &subject));
            let seen = unsigned.seen.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (seen, error) {
                (Some(answer), _) => Ok(answer),
                (None, Some(error)) => Err(error),
                (None, None) => Err(Error::new(ErrorKind::Internal, "the answer was not recorded")),
            }
        })
    }
}

/// The versions and delete markers that a page of a list names. All their keys must begin with `prefix`.
fn versions_in(page: &ListObjectVersionsOutput, prefix: &str) -> CoreResult<Vec<Version>> {
    let versions = page.versions().iter().map(|found| (found.key(), found.version_id(), found.is_latest(), false));
    let markers = page.delete_markers().iter().map(|found| (found.key(), found.version_id(), found.is_latest(), true));
    let named = versions.chain(markers).filter_map(|(key, id, is_latest, is_marker)| {
        let id = id.unwrap_or("null").to_owned();
        Some((key?, id, is_latest == Some(true), is_marker))
    });
    let read = named.map(|(key, id, is_latest, is_marker)| {
        let key = key_in(page, key)?;
        if key.starts_with(prefix) { Ok(Version { key, id, is_latest, is_marker }) } else { Err(unasked(&key, prefix)) }
    });
    read.collect()
}

fn next_key(page: &ListObjectVersionsOutput) -> CoreResult<Option<String>> {
    page.next_key_marker().map(|key| key_in(page, key)).transpose()
}

/// A key as it is, from a list that may encode keys.
fn key_in(page: &ListObjectVersionsOutput, key: &str) -> CoreResult<String> {
    if page.encoding_type() == Some(&EncodingType::Url) { decoded(key) } else { Ok(key.to_owned()) }
}

/// Removes the signature from a request and records the answer.
#[derive(Clone, Debug, Default)]
struct Unsigned {
    seen: Arc<Mutex<Option<Answer>>>,
}

#[dyn_dispatch_hint]
impl Intercept for Unsigned {
    fn name(&self) -> &'static str {
        "Unsigned"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        for name in ["authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-user-agent"] {
            headers.remove(name);
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let date = answer.headers().get("date").map(str::to_owned);
        let answer = Answer { status: answer.status().as_u16(), date };
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        Ok(())
    }
}

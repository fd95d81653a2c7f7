//! Deleting objects at Amazon S3, and at stores that cannot delete several at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_sdk_s3::types::{Delete, Error as S3Error, ObjectIdentifier};
use tokio::task::JoinSet;

use super::aws::Inner;
use super::aws_error::{self, Subject};
use crate::{Error, ErrorKind, Result};

/// Maximum number of concurrent requests if each deletes one object.
const CONCURRENCY: usize = 8;

impl Inner {
    /// Deletes the object that `subject` names.
    pub(super) async fn delete(&self, subject: &Subject) -> Result<()> {
        let request = self.client().await?.delete_object().bucket(&self.bucket).key(&subject.key);
        let answer = request.set_expected_bucket_owner(self.owner()).send().await;
        match answer.map_err(|error| aws_error::request(&error, subject)) {
            // Some stores answer 404 where Amazon answers 204.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Deletes objects by one request, or one by one at a store that lacks this request or requires another form of it:
    /// OVH, older MinIO (which requires Content-MD5), Google.
    pub(super) async fn delete_many(self: Arc<Self>, keys: Vec<String>, subject: &Subject) -> Result<()> {
        let (keys, unwritable): (Vec<_>, Vec<_>) = keys.into_iter().partition(|key| is_writable(key));
        if !unwritable.is_empty() {
            self.clone().delete_singly(unwritable).await?;
        }
        if keys.is_empty() {
            return Ok(());
        }
        let singly = self.connection.clone();
        let singly = &singly.quirks.deletes_singly;
        if singly.load(Ordering::Relaxed) {
            return self.delete_singly(keys).await;
        }
        match self.delete_at_once(&keys, subject).await {
            Err(error) if is_not_understood(&error) => {
                self.delete_singly(keys).await?;
                singly.store(true, Ordering::Relaxed);
                Ok(())
            }
            // Single requests are retried with pauses.
            left => self.delete_singly(left?).await,
        }
    }

    /// Deletes objects by one request. Returns the keys of those that the store could not delete for the moment.
    async fn delete_at_once(&self, keys: &[String], subject: &Subject) -> Result<Vec<String>> {
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
        let request = self.client().await?.delete_objects().bucket(&self.bucket).delete(delete);
        let answer = request.set_expected_bucket_owner(self.owner()).send().await;
        let answer = answer.map_err(|error| aws_error::request(&error, subject))?;
        let failed: Vec<_> = answer.errors().iter().filter(|error| error.code() != Some("NoSuchKey")).collect();
        let is_left = |error: &S3Error| {
            let is_named = error.key().is_some_and(|key| keys.iter().any(|named| named == key));
            is_named && error.code().map(aws_error::kind_of) == Some(ErrorKind::Transport)
        };
        let Some(first) = failed.iter().find(|error| !is_left(error)) else {
            return Ok(failed.iter().filter_map(|error| error.key().map(str::to_owned)).collect());
        };
        let (key, code) = (first.key().unwrap_or_default(), first.code().unwrap_or_default());
        let problem = format!("{} objects could not be deleted, the first of them {key:?}: {code}", failed.len());
        Err(Error::new(aws_error::kind_of(code), format!("DeleteObjects in bucket {:?}: {problem}", self.bucket))
            .with_answer(200, code))
    }

    async fn delete_singly(self: Arc<Self>, keys: Vec<String>) -> Result<()> {
        let mut under_way = JoinSet::new();
        let mut keys = keys.into_iter();
        loop {
            while under_way.len() < CONCURRENCY
                && let Some(key) = keys.next()
            {
                let inner = self.clone();
                under_way.spawn(async move {
                    let subject = Subject { operation: "DeleteObject", bucket: inner.bucket.clone(), key };
                    inner.delete(&subject).await
                });
            }
            match under_way.join_next().await {
                None => return Ok(()),
                Some(Ok(answer)) => answer?,
                Some(Err(error)) => {
                    return Err(Error::new(ErrorKind::Internal, "a request ended early").with_source(error));
                }
            }
        }
    }
}

/// Whether a key can be written in XML 1.0 (section 2.2), in which a request names several keys.
fn is_writable(key: &str) -> bool {
    key.chars().all(|char| matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..))
}

/// Whether the store does not support the request at all.
fn is_not_understood(error: &Error) -> bool {
    let status = error.answer().map(|answer| answer.status);
    error.kind() == ErrorKind::Rejected && matches!(status, Some(400 | 404 | 405 | 411 | 415 | 501))
}

//! Replacing an object's metadata at Amazon: a copy of the object onto itself, in one request or, above 5 GiB, in
//! parts.

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, MetadataDirective, TaggingDirective};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::aws_error::{self, Subject};
use super::patience::{self, Patience};
use super::{Replacement, Stored, StoredPart};
use crate::{Error, ErrorKind, Result};

/// Characters that are percent-encoded in tags: all but the unreserved ones of RFC 3986.
const TAG: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Characters that are percent-encoded in the header that names the source of a copy.
const KEY: &AsciiSet = &TAG.remove(b'/');

/// One object that is copied onto itself.
pub(super) struct Copying<'a> {
    pub(super) client: &'a Client,
    pub(super) subject: &'a Subject,
    /// The account that must own the bucket.
    pub(super) owner: Option<String>,
    /// The entity tag of the required version.
    pub(super) etag: String,
    /// The checksum of new parts.
    pub(super) checksums: Option<ChecksumAlgorithm>,
    /// The time limit without an answer, apart from the time that the store needs to copy.
    pub(super) read_timeout: Duration,
}

/// Copies the former object's properties to a request that creates an object; the two requests share no type in the
/// SDK.
macro_rules! as_before {
    ($request:expr, $head:expr, $replacement:expr) => {
        $request
            .set_metadata(Some($replacement.metadata.iter().cloned().collect()))
            .set_acl($replacement.acl.as_deref().map(Into::into))
            .set_content_type($head.content_type.clone())
            .set_expires(expires($head))
            .set_cache_control($head.cache_control.clone())
            .set_content_disposition($head.content_disposition.clone())
            .set_content_encoding($head.content_encoding.clone())
            .set_content_language($head.content_language.clone())
            .set_website_redirect_location($head.website_redirect_location.clone())
            .set_storage_class($head.storage_class.clone())
            .set_server_side_encryption($head.server_side_encryption.clone())
            .set_ssekms_key_id($head.ssekms_key_id.clone())
            .set_bucket_key_enabled($head.bucket_key_enabled)
            .set_object_lock_mode($head.object_lock_mode.as_ref().map(|mode| mode.as_str().into()))
            .set_object_lock_retain_until_date($head.object_lock_retain_until_date)
            .set_object_lock_legal_hold_status($head.object_lock_legal_hold_status.clone())
    };
}

impl Copying<'_> {
    /// Copies the object with other metadata, in one request.
    pub(super) async fn whole(&self, replacement: Replacement) -> Result<Stored> {
        let head = self.head().await?;
        let size = head.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        let request = self.client.copy_object().bucket(&self.subject.bucket).key(&self.subject.key);
        let request =
            request.set_expected_bucket_owner(self.owner.clone()).set_expected_source_bucket_owner(self.owner.clone());
        let request = request.copy_source(self.source()).copy_source_if_match(&self.etag);
        let request = as_before!(request, &head, replacement).metadata_directive(MetadataDirective::Replace);
        let tagging = self.known_tags(&head).await?;
        let directive = tagging.is_some().then_some(TaggingDirective::Replace);
        let request = request.set_tagging(tagging).set_tagging_directive(directive);
        let request = request.customize().interceptor(self.patience(size));
        let answer = request.send().await.map_err(|error| aws_error::request(&error, self.subject))?;
        Ok(Stored { etag: answer.copy_object_result.and_then(|result| result.e_tag).unwrap_or_default() })
    }

    /// Begins a copy in parts and returns its id. Tags are not copied with parts, so they are read first.
    pub(super) async fn create(&self, replacement: Replacement) -> Result<String> {
        let head = self.head().await?;
        let tagging = self.tags(&head).await?;
        let has_tags = tagging.is_some();
        let request = self.client.create_multipart_upload().bucket(&self.subject.bucket).key(&self.subject.key);
        let request = request.set_expected_bucket_owner(self.owner.clone());
        let request = as_before!(request, &head, replacement).set_tagging(tagging);
        let request = request.set_checksum_algorithm(self.checksums.clone());
        let created = request.send().await.map_err(|error| match aws_error::request(&error, self.subject) {
            error if has_tags && error.kind() == ErrorKind::Access => self.denies_tags(error),
            error => error,
        })?;
        created.upload_id.ok_or_else(|| {
            Error::new(ErrorKind::Transport, "the store sent no upload id").for_object(&self.subject.key)
        })
    }

    /// Copies the bytes from `first` to `last` as part `number`.
    pub(super) async fn part(&self, id: &str, number: i32, (first, last): (u64, u64)) -> Result<StoredPart> {
        let size = last.saturating_sub(first) + 1;
        let request = self.client.upload_part_copy().bucket(&self.subject.bucket).key(&self.subject.key);
        let request =
            request.set_expected_bucket_owner(self.owner.clone()).set_expected_source_bucket_owner(self.owner.clone());
        let request = request.upload_id(id).part_number(number).copy_source_range(format!("bytes={first}-{last}"));
        let request = request.copy_source(self.source()).copy_source_if_match(&self.etag);
        let request = request.customize().interceptor(self.patience(size));
        let answer = request.send().await.map_err(|error| match aws_error::request(&error, self.subject) {
            // Ceph checks the range before it checks the version.
            error if error.kind() == ErrorKind::InvalidRange => self.replaced().with_source(error),
            error => error,
        })?;
        let (etag, crc32) = answer.copy_part_result.map(|part| (part.e_tag, part.checksum_crc32)).unwrap_or_default();
        Ok(StoredPart { number, size, etag: etag.unwrap_or_default(), crc32 })
    }

    /// The properties of the object, if it is still the same version.
    async fn head(&self) -> Result<HeadObjectOutput> {
        let request = self.client.head_object().bucket(&self.subject.bucket).key(&self.subject.key);
        let answer = request.set_expected_bucket_owner(self.owner.clone()).send().await;
        let head = answer.map_err(|error| aws_error::request(&error, self.subject))?;
        // Compared here, because some stores handle `If-Match` incorrectly.
        if head.e_tag() != Some(&self.etag) {
            return Err(self.replaced());
        }
        Ok(head)
    }

    fn replaced(&self) -> Error {
        self.subject.error(ErrorKind::Changed, "the object was replaced meanwhile")
    }

    /// The time limits of a request for which the store copies `bytes`.
    fn patience(&self, bytes: u64) -> Patience {
        Patience { read_timeout: self.read_timeout, allowance: patience::copying(bytes) }
    }

    fn denies_tags(&self, error: Error) -> Error {
        let message = "objects of this size are copied in parts, to which the store copies no tags: allow \
                    s3:GetObjectTagging and s3:PutObjectTagging";
        self.subject.error(ErrorKind::Access, message).with_source(error)
    }

    /// The object's tags, if the store reports any. Ceph does not copy tags with an object whose metadata are replaced.
    /// If the permission to read them is missing, the store copies them.
    async fn known_tags(&self, head: &HeadObjectOutput) -> Result<Option<String>> {
        if head.tag_count.unwrap_or_default() == 0 {
            return Ok(None);
        }
        match self.tagging().await {
            Err(error) if error.kind() == ErrorKind::Access => Ok(None),
            answer => answer,
        }
    }

    /// The object's tags, if it has any. Amazon does not return their count without the permission to read them, so
    /// there may be tags if there is no count.
    async fn tags(&self, head: &HeadObjectOutput) -> Result<Option<String>> {
        if head.tag_count == Some(0) {
            return Ok(None);
        }
        self.tagging().await.map_err(|error| match error.kind() {
            ErrorKind::Access => self.denies_tags(error),
            _ => error,
        })
    }

    /// Reads the object's tags, in the form of a request.
    async fn tagging(&self) -> Result<Option<String>> {
        let request = self.client.get_object_tagging().bucket(&self.subject.bucket).key(&self.subject.key);
        let answer = request.set_expected_bucket_owner(self.owner.clone()).send().await;
        let answer = match answer.map_err(|error| aws_error::request(&error, self.subject)) {
            Ok(answer) => answer,
            // A store without tags, or one that reports so that there are none.
            Err(error)
                if error
                    .answer()
                    .is_some_and(|answer| matches!(answer.status, 405 | 501) || answer.code == "NoSuchTagSet") =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let encoded = |text: &str| utf8_percent_encode(text, TAG).to_string();
        let tags: Vec<_> =
            answer.tag_set.iter().map(|tag| format!("{}={}", encoded(&tag.key), encoded(&tag.value))).collect();
        Ok((!tags.is_empty()).then(|| tags.join("&")))
    }

    fn source(&self) -> String {
        source(&self.subject.bucket, &self.subject.key)
    }
}

/// The header that names a copy's source. After an access point's ARN follows `object`.
fn source(bucket: &str, key: &str) -> String {
    let infix = if bucket.starts_with("arn:") { "/object/" } else { "/" };
    format!("{bucket}{infix}{}", utf8_percent_encode(key, KEY))
}

/// When caches expire the object. A value that is not a date cannot be repeated in a request.
fn expires(head: &HeadObjectOutput) -> Option<DateTime> {
    DateTime::from_str(head.expires_string()?, DateTimeFormat::HttpDate).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_of_a_copy_is_named_as_s3_reads_it() {
        assert_eq!(source("files", "a/b c+ü%.txt"), "files/a/b%20c%2B%C3%BC%25.txt");
        let point = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine";
        assert_eq!(source(point, "a/b"), format!("{point}/object/a/b"));
    }
}

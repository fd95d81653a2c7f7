//! Reading objects from Amazon S3, and from stores that interpret requests differently.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use aws_sdk_s3::config::{Config, ResponseChecksumValidation};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use super::aws::{Inner, head_of};
use super::aws_connection::{Connection, WRONG_CHECKSUMS};
use super::aws_error::{self, Subject};
use super::aws_settings::ChecksumUse;
use super::{Body, Object, ObjectHead, Reading};
use crate::{Error, ErrorKind, Result};

/// The options of a request for an object.
#[derive(Clone, Copy)]
struct Ask {
    checksum: bool,
    if_match: bool,
}

impl Inner {
    /// Sends the request, and again without the options that the store does not support.
    pub(super) async fn read(&self, reading: &Reading, subject: &Subject) -> Result<Object> {
        let quirks = &self.connection.quirks;
        let first = Ask {
            checksum: self.checks_answers(reading),
            if_match: reading.if_match.is_some() && !quirks.denies_if_match.load(Ordering::Relaxed),
        };
        let mut ask = first;
        loop {
            let error = match self.ask(reading, ask, subject).await {
                Ok(object) => {
                    if first.checksum && !ask.checksum {
                        quirks.refuses_checksum_mode.store(true, Ordering::Relaxed);
                    }
                    if first.if_match && !ask.if_match {
                        quirks.denies_if_match.store(true, Ordering::Relaxed);
                    }
                    return Ok(object);
                }
                Err(error) => error,
            };
            match error.answer().map(|answer| answer.status) {
                Some(400 | 501) if ask.checksum && error.kind() == ErrorKind::Rejected => ask.checksum = false,
                // This 412 is final only if an answer without the condition shows another entity tag.
                Some(412) if ask.if_match => ask.if_match = false,
                _ => return Err(error),
            }
        }
    }

    /// Returns the head of an object by requesting its first byte. The answer to a HEAD request may lack the size (RFC
    /// 9110, section 9.3.2), as from some proxies.
    pub(super) async fn head_by_reading(&self, subject: Subject) -> Result<ObjectHead> {
        let subject = Subject { operation: "GetObject", ..subject };
        let first = Reading { range: Some((0, 0)), if_match: None };
        let object = match self.read(&first, &subject).await {
            // The object is empty.
            Err(error) if error.kind() == ErrorKind::InvalidRange => self.read(&Reading::default(), &subject).await,
            object => object,
        };
        object.map(|object| object.head)
    }

    fn checks_answers(&self, reading: &Reading) -> bool {
        let quirks = &self.connection.quirks;
        let wrong = reading.range.is_some() && quirks.wrong_checksums.load(Ordering::Relaxed) >= WRONG_CHECKSUMS;
        self.connection.settings.response_checksums == ChecksumUse::WhenSupported
            && !wrong
            && !quirks.refuses_checksum_mode.load(Ordering::Relaxed)
    }

    /// Makes sure that an answer without `Content-Range`, which has as many bytes as were requested, is the whole object
    /// and not its beginning: some proxies remove this header.
    async fn require_size(&self, size: i64, subject: &Subject) -> Result<()> {
        let request = self.client().await?.head_object().bucket(&self.bucket).key(&subject.key);
        let answer = request.set_expected_bucket_owner(self.owner()).send().await;
        let answer = answer.map_err(|error| aws_error::request(&error, subject))?;
        if answer.content_length.is_none_or(|length| length == size) {
            return Ok(());
        }
        let problem = "the answer is a part of the object without the header `Content-Range`. Reach the store directly, \
                       or through a proxy that passes this header on";
        Err(subject.error(ErrorKind::Rejected, problem))
    }

    async fn ask(&self, reading: &Reading, ask: Ask, subject: &Subject) -> Result<Object> {
        let request = self.client().await?.get_object().bucket(&self.bucket).key(&subject.key);
        let range = reading.range.map(|(first, last)| format!("bytes={first}-{last}"));
        let if_match = reading.if_match.clone().filter(|_| ask.if_match);
        let request = request.set_expected_bucket_owner(self.owner()).set_range(range).set_if_match(if_match);
        let mut request = request.customize();
        if !ask.checksum {
            let without = ResponseChecksumValidation::WhenRequired;
            request = request.config_override(Config::builder().response_checksum_validation(without));
        }
        let answer = request.send().await.map_err(|error| aws_error::request(&error, subject))?;
        if is_error(&answer) {
            return Err(subject.error(ErrorKind::Transport, "the store answered 200 with an error in the body"));
        }
        let (first, size) = extent(answer.content_range.as_deref(), answer.content_length, subject)?;
        if answer.content_range.is_none() && first_bytes(reading) == u64::try_from(size).ok() {
            self.require_size(size, subject).await?;
        }
        let checked = ask.checksum && has_checksum(&answer);
        let head = head_of(Some(size), answer.e_tag, answer.metadata, subject)?;
        // Some stores ignore conditions.
        if reading.if_match.as_ref().is_some_and(|wanted| !head.etag.is_empty() && *wanted != head.etag) {
            return Err(subject.error(ErrorKind::Changed, "the object was replaced meanwhile"));
        }
        let is_part = answer.content_range.is_some();
        let body = AwsBody {
            stream: answer.body,
            key: subject.key.clone(),
            part_of: (checked && is_part).then(|| self.connection.clone()),
        };
        Ok(Object { head, first, body: Body::from_aws(body) })
    }
}

/// The number of requested bytes, of a range that begins with the first byte.
fn first_bytes(reading: &Reading) -> Option<u64> {
    reading.range.filter(|(first, _)| *first == 0)?.1.checked_add(1)
}

/// A body as it arrives. At its end the SDK compares the checksum that came with it.
#[derive(Debug)]
pub(super) struct AwsBody {
    stream: ByteStream,
    key: String,
    /// For a part of an object that came with a checksum: the record of whether such checksums are right.
    part_of: Option<Arc<Connection>>,
}

impl AwsBody {
    /// The next bytes, or `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes>> {
        let next = self.stream.next().await.map(|chunk| chunk.map_err(|error| aws_error::body(error, &self.key)));
        if let Some(connection) = &self.part_of {
            let wrong = &connection.quirks.wrong_checksums;
            match &next {
                None => wrong.store(0, Ordering::Relaxed),
                Some(Err(error)) if error.kind() == ErrorKind::Damaged => drop(wrong.fetch_add(1, Ordering::Relaxed)),
                Some(_) => {}
            }
        }
        next
    }
}

/// Whether an answer with the status of a success is an error, as from some proxies: S3 returns an entity tag for every
/// object.
fn is_error(answer: &GetObjectOutput) -> bool {
    answer.e_tag.is_none() && answer.metadata.as_ref().is_none_or(|metadata| metadata.is_empty()) && is_xml(answer)
}

fn is_xml(answer: &GetObjectOutput) -> bool {
    let kind = answer.content_type.as_deref().unwrap_or_default().split(';').next().unwrap_or_default();
    matches!(kind.trim(), "application/xml" | "text/xml")
}

fn has_checksum(answer: &GetObjectOutput) -> bool {
    let checksums = [
        &answer.checksum_crc32,
        &answer.checksum_crc32_c,
        &answer.checksum_crc64_nvme,
        &answer.checksum_sha1,
        &answer.checksum_sha256,
    ];
    // A value with a hyphen is a checksum of the checksums of parts, which the SDK does not compare.
    checksums.into_iter().flatten().any(|checksum| !checksum.contains('-'))
}

/// The position of the body in the object, and the object's length. `bytes 0-99/1234` is the form of a range in RFC
/// 9110 (section 14.4); without it the answer is the whole object.
fn extent(content_range: Option<&str>, content_length: Option<i64>, subject: &Subject) -> Result<(u64, i64)> {
    let Some(range) = content_range else { return Ok((0, content_length.unwrap_or(-1))) };
    let parse = || {
        let (first, rest) = range.strip_prefix("bytes ")?.split_once('-')?;
        let (_last, size) = rest.split_once('/')?;
        Some((first.trim().parse().ok()?, size.trim().parse().ok()?))
    };
    parse().ok_or_else(|| {
        Error::new(ErrorKind::Transport, "the store sent an invalid Content-Range header").for_object(&subject.key)
    })
}

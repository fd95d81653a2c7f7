//! The operations of S3 that clients of the benchmarks use.

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::objects::{Buckets, Content, Description, Object, Upload, next_etag, next_number};
use crate::zeros::Zeros;

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

/// The server's operations.
#[derive(Debug)]
pub struct Memory {
    buckets: Mutex<Buckets>,
    discard: Option<String>,
    zeros: Option<Zeros>,
}

impl Memory {
    /// An empty server. `discard` is the prefix of keys whose bodies are discarded. With `zeros` they can be read.
    pub fn new(discard: Option<String>, zeros: Option<Zeros>) -> Self {
        Self { buckets: Mutex::default(), discard, zeros }
    }

    fn buckets(&self) -> S3Result<MutexGuard<'_, Buckets>> {
        self.buckets.lock().map_err(|_| s3_error!(InternalError))
    }

    fn keeps(&self, key: &str) -> bool {
        // The segment map of an object is small.
        key.ends_with(".segments") || !self.discard.as_ref().is_some_and(|prefix| key.starts_with(prefix))
    }

    /// The object that a request copies.
    fn source(&self, source: &CopySource, if_match: Option<&ETagCondition>) -> S3Result<Arc<Object>> {
        match source {
            CopySource::Bucket { bucket, key, .. } => self.object(bucket, key, if_match),
            _ => Err(s3_error!(NotImplemented)),
        }
    }

    fn object(&self, bucket: &str, key: &str, if_match: Option<&ETagCondition>) -> S3Result<Arc<Object>> {
        let object = self.buckets()?.bucket(bucket)?.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))?;
        match if_match {
            Some(ETagCondition::ETag(etag)) if *etag != object.etag => Err(s3_error!(PreconditionFailed)),
            _ => Ok(object),
        }
    }
}

fn size(bytes: u64) -> S3Result<i64> {
    i64::try_from(bytes).map_err(|_| s3_error!(InternalError))
}

#[async_trait::async_trait]
impl S3 for Memory {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        let named = |name: &String| Bucket { name: Some(name.clone()), ..Default::default() };
        let buckets = self.buckets()?.objects.keys().map(named).collect();
        answer(ListBucketsOutput { buckets: Some(buckets), ..Default::default() })
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        self.buckets()?.objects.entry(request.input.bucket).or_default();
        answer(CreateBucketOutput::default())
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        let mut buckets = self.buckets()?;
        if !buckets.bucket(&request.input.bucket)?.is_empty() {
            return Err(s3_error!(BucketNotEmpty));
        }
        buckets.objects.remove(&request.input.bucket);
        answer(DeleteBucketOutput::default())
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let input = request.input;
        let content = Content::receive(input.body, self.keeps(&input.key)).await?;
        let description = Description { metadata: input.metadata, content_type: input.content_type };
        let object = Object::new(content, description);
        let e_tag = Some(object.etag.clone());
        let mut buckets = self.buckets()?;
        let objects = buckets.bucket(&input.bucket)?;
        if input.if_none_match.is_some() && objects.contains_key(&input.key) {
            return Err(s3_error!(PreconditionFailed));
        }
        objects.insert(input.key, Arc::new(object));
        answer(PutObjectOutput { e_tag, ..Default::default() })
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key, input.if_match.as_ref())?;
        answer(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(size(object.content.length)?),
            content_type: object.description.content_type.clone(),
            e_tag: Some(object.etag.clone()),
            last_modified: Some(object.modified.into()),
            metadata: object.description.metadata.clone(),
            ..Default::default()
        })
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = request.input;
        let object = self.object(&input.bucket, &input.key, input.if_match.as_ref())?;
        let length = object.content.length;
        let range = match input.range {
            Some(range) => range.check(length).map_err(|_| s3_error!(InvalidRange))?,
            None => 0..length,
        };
        let body = match &self.zeros {
            _ if !object.content.is_discarded() => StreamingBlob::wrap(object.content.read(&range)),
            Some(zeros) => {
                let metadata = object.description.metadata.clone().unwrap_or_default();
                StreamingBlob::wrap(zeros.read(&metadata, object.content.tail.clone(), length, range.clone())?)
            }
            None => return Err(s3_error!(InvalidObjectState, "its body was discarded")),
        };
        let described = |_| format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
        answer(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(body),
            content_length: Some(size(range.end - range.start)?),
            content_range: input.range.map(described),
            content_type: object.description.content_type.clone(),
            e_tag: Some(object.etag.clone()),
            last_modified: Some(object.modified.into()),
            metadata: object.description.metadata.clone(),
            ..Default::default()
        })
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = request.input;
        let source = self.source(&input.copy_source, input.copy_source_if_match.as_ref())?;
        let replaces = input.metadata_directive.is_some_and(|way| way.as_str() == MetadataDirective::REPLACE);
        let description = if replaces {
            Description { metadata: input.metadata, content_type: input.content_type }
        } else {
            source.description.clone()
        };
        let object = Object::new(source.content.clone(), description);
        let result = CopyObjectResult {
            e_tag: Some(object.etag.clone()),
            last_modified: Some(object.modified.into()),
            ..Default::default()
        };
        self.buckets()?.bucket(&input.bucket)?.insert(input.key, Arc::new(object));
        answer(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.buckets()?.bucket(&request.input.bucket)?.remove(&request.input.key);
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
        let mut buckets = self.buckets()?;
        let objects = buckets.bucket(&request.input.bucket)?;
        let mut deleted = Vec::new();
        for object in request.input.delete.objects {
            objects.remove(&object.key);
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let quiet = request.input.delete.quiet.unwrap_or(false);
        answer(DeleteObjectsOutput { deleted: (!quiet).then_some(deleted), ..Default::default() })
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after);
        let limit = input.max_keys.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1000).min(1000);
        let mut buckets = self.buckets()?;
        let from = after.as_ref().filter(|after| **after >= prefix).map_or(Bound::Included(&prefix), Bound::Excluded);
        let found = buckets.bucket(&input.bucket)?.range::<String, _>((from, Bound::Unbounded));
        let mut found = found.take_while(|(key, _)| key.starts_with(&prefix));
        let mut contents = Vec::new();
        for (key, object) in found.by_ref().take(limit) {
            contents.push(s3s::dto::Object {
                key: Some(key.clone()),
                size: Some(size(object.content.length)?),
                e_tag: Some(object.etag.clone()),
                last_modified: Some(object.modified.into()),
                ..Default::default()
            });
        }
        let more = found.next().is_some();
        let last = contents.last().and_then(|object| object.key.clone());
        answer(ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: i32::try_from(contents.len()).ok(),
            prefix: Some(prefix),
            contents: Some(contents),
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            continuation_token: input.continuation_token,
            ..Default::default()
        })
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        let input = request.input;
        let id = format!("upload-{:016x}", next_number());
        let description = Description { metadata: input.metadata, content_type: input.content_type };
        let upload = Upload { key: input.key.clone(), description, parts: Default::default() };
        let mut buckets = self.buckets()?;
        buckets.bucket(&input.bucket)?;
        buckets.uploads.insert(id.clone(), upload);
        answer(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        let input = request.input;
        let content = Content::receive(input.body, self.keeps(&input.key)).await?;
        let etag = next_etag();
        self.buckets()?.upload(&input.upload_id)?.parts.insert(input.part_number, (etag.clone(), content));
        answer(UploadPartOutput { e_tag: Some(etag), ..Default::default() })
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
        let input = request.input;
        let source = self.source(&input.copy_source, input.copy_source_if_match.as_ref())?;
        let length = source.content.length;
        let range = match input.copy_source_range {
            Some(range) => Range::parse(&range).map_err(|_| s3_error!(InvalidArgument))?.check(length),
            None => Ok(0..length),
        };
        let content = source.content.copy(&range.map_err(|_| s3_error!(InvalidRange))?);
        let etag = next_etag();
        let result = CopyPartResult { e_tag: Some(etag.clone()), ..Default::default() };
        self.buckets()?.upload(&input.upload_id)?.parts.insert(input.part_number, (etag, content));
        answer(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        let input = request.input;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut buckets = self.buckets()?;
        let mut upload = buckets.uploads.remove(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let mut content = Content::default();
        for part in wanted {
            let (etag, bytes) = part
                .part_number
                .and_then(|number| upload.parts.remove(&number))
                .ok_or_else(|| s3_error!(InvalidPart))?;
            if part.e_tag.is_some_and(|named| named != etag) {
                return Err(s3_error!(InvalidPart));
            }
            content.append(bytes);
        }
        let object = Object::new(content, upload.description);
        let e_tag = Some(object.etag.clone());
        buckets.bucket(&input.bucket)?.insert(upload.key, Arc::new(object));
        answer(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag,
            ..Default::default()
        })
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.buckets()?.uploads.remove(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        answer(AbortMultipartUploadOutput::default())
    }
}

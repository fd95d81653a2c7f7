//! The server's data: buckets of objects, and incomplete uploads.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use s3s::dto::{ETag, Metadata, StreamingBlob};
use s3s::{S3Result, s3_error};

/// Bytes kept from the end of a discarded body: an encrypted object's tag.
const TAIL: usize = 16;

/// The bytes of an object or a part, in the chunks in which they arrived, or without chunks if they were discarded.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// Each with the position after its last byte.
    chunks: Vec<(u64, Bytes)>,
    /// The number of bytes.
    pub length: u64,
    /// The last 16 bytes of a discarded body.
    pub tail: Bytes,
}

impl Content {
    /// Reads a whole body and keeps it, or only its length and tail.
    pub async fn receive(body: Option<StreamingBlob>, keep: bool) -> S3Result<Self> {
        let mut content = Self::default();
        let Some(mut body) = body else { return Ok(content) };
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| s3_error!(IncompleteBody, "{error}"))?;
            if keep {
                content.push(chunk);
            } else {
                content.length += chunk.len() as u64;
                let last = [&content.tail[..], &chunk[chunk.len().saturating_sub(TAIL)..]].concat();
                content.tail = Bytes::copy_from_slice(&last[last.len().saturating_sub(TAIL)..]);
            }
        }
        Ok(content)
    }

    fn push(&mut self, chunk: Bytes) {
        self.length += chunk.len() as u64;
        if !chunk.is_empty() {
            self.chunks.push((self.length, chunk));
        }
    }

    /// Appends another content, without copying bytes.
    pub fn append(&mut self, other: Self) {
        let length = self.length + other.length;
        self.tail = other.tail;
        for (_, chunk) in other.chunks {
            self.push(chunk);
        }
        self.length = length;
    }

    /// Whether the bytes were discarded.
    pub fn is_discarded(&self) -> bool {
        self.chunks.is_empty() && self.length > 0
    }

    /// The bytes in `range`, without copying them. The range must lie inside.
    pub fn part(&self, range: &Range<u64>) -> Vec<Bytes> {
        let first = self.chunks.partition_point(|(end, _)| *end <= range.start);
        let wanted = self.chunks[first..].iter().map(|(end, chunk)| (end - chunk.len() as u64, *end, chunk));
        wanted
            .take_while(|(start, ..)| *start < range.end)
            .map(|(start, end, chunk)| {
                let (from, to) = (range.start.max(start), range.end.min(end));
                chunk.slice((from - start) as usize..(to - start) as usize)
            })
            .collect()
    }

    /// The bytes in `range` as a body.
    pub fn read(&self, range: &Range<u64>) -> impl Stream<Item = Result<Bytes, std::io::Error>> + use<> {
        stream::iter(self.part(range).into_iter().map(Ok))
    }

    /// The bytes in `range` as new content.
    pub fn copy(&self, range: &Range<u64>) -> Self {
        let mut copy = Self::default();
        for chunk in self.part(range) {
            copy.push(chunk);
        }
        copy
    }
}

/// A stored object.
#[derive(Debug)]
pub struct Object {
    /// Its bytes.
    pub content: Content,
    /// The client's headers, which are returned unchanged.
    pub description: Description,
    /// Different for each write.
    pub etag: ETag,
    /// When it was written.
    pub modified: SystemTime,
}

/// The headers of a client that describe an object.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// The headers `x-amz-meta-…`.
    pub metadata: Option<Metadata>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
}

impl Object {
    /// A new object.
    pub fn new(content: Content, description: Description) -> Self {
        Self { content, description, etag: next_etag(), modified: SystemTime::now() }
    }
}

/// An unfinished multipart upload.
#[derive(Debug)]
pub struct Upload {
    /// The key of the future object.
    pub key: String,
    /// The description of the future object.
    pub description: Description,
    /// The parts by their numbers.
    pub parts: BTreeMap<i32, (ETag, Content)>,
}

/// All data of the server.
#[derive(Debug, Default)]
pub struct Buckets {
    /// Objects by bucket and key.
    pub objects: BTreeMap<String, BTreeMap<String, std::sync::Arc<Object>>>,
    /// Uploads by id.
    pub uploads: HashMap<String, Upload>,
}

impl Buckets {
    /// The objects of a bucket.
    pub fn bucket(&mut self, name: &str) -> S3Result<&mut BTreeMap<String, std::sync::Arc<Object>>> {
        self.objects.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// An upload that has neither been completed nor aborted.
    pub fn upload(&mut self, id: &str) -> S3Result<&mut Upload> {
        self.uploads.get_mut(id).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

/// A unique ETag. It is not an MD5, because computing that would cost more than everything else here.
pub fn next_etag() -> ETag {
    ETag::Strong(format!("memory-{:016x}", next_number()))
}

/// A unique number.
pub fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

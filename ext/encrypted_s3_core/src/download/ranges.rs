//! The stored bytes of one object, in order, fetched by several ranged requests at the same time.
//!
//! The first request returns the head and the first range, which is the whole of a small object. The other requests ask
//! for the same version with `If-Match`: an object that is replaced meanwhile causes an error, and bytes of two
//! versions are never mixed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::{Buffer, Pool};
use crate::store::{Body, Object, ObjectHead, ObjectStore, Reading};
use crate::task::{self, Task};
use crate::{Error, ErrorKind, Result};

/// How many times in a row one range is resumed after its connection broke. The first pause is [`PAUSE`]. Only broken
/// bodies are resumed here; the store itself retries requests.
const RESUMES: u32 = 4;
/// A connection that delivered at least this many bytes made progress, and the count of resumes starts again at 0. If a
/// store ends every connection after a few bytes, the count reaches its limit and the range fails.
const PROGRESS: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(100);

/// The size and the number of the requests for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangePlan {
    /// The size of one request in bytes.
    pub size: u64,
    /// The number of requests at the same time. The download uses the memory of this many ranges and one more.
    pub concurrency: usize,
}

impl RangePlan {
    /// The default size of one request in bytes. It is large enough to fetch most objects with one request, and small
    /// enough that several requests at the same time use a small part of a process's memory.
    pub const SIZE: u64 = 4 * 1024 * 1024;

    /// The most requests at the same time that are worth their memory. One connection of a real store brings several
    /// times more than it takes, so a download needs fewer of them than an upload.
    pub const MOST_REQUESTS: usize = 4;
}

/// The values that all requests for one object share.
#[derive(Clone, Debug)]
struct Source {
    store: Arc<dyn ObjectStore>,
    key: String,
    etag: Option<String>,
    pool: Pool,
}

/// The bytes of an object in order.
#[derive(Debug)]
pub(super) struct Ranges {
    source: Source,
    plan: RangePlan,
    /// The size of the stored object in bytes.
    size: u64,
    /// The position of the first byte of the next request.
    next: u64,
    under_way: VecDeque<Task<Buffer>>,
}

impl Ranges {
    /// Sends the first request and waits for its head. Returns the head and the ranges.
    pub(super) async fn open(store: Arc<dyn ObjectStore>, key: &str, plan: RangePlan) -> Result<(ObjectHead, Self)> {
        let first = Reading { range: Some((0, plan.size.saturating_sub(1))), if_match: None };
        let object = match task::run(store.get(key, first)).await {
            // A store refuses every range of an empty object.
            Err(error) if error.kind() == ErrorKind::InvalidRange => {
                task::run(store.get(key, Reading::default())).await?
            }
            object => object?,
        };
        let Object { head, first, body } = object;
        if first != 0 {
            return Err(misplaced());
        }
        let etag = Some(head.etag.clone()).filter(|etag| !etag.is_empty());
        // One buffer for each running request, and one for the range that the caller works on.
        let pool = Pool::new(plan.concurrency + 1);
        let source = Source { store, key: key.to_owned(), etag, pool };
        let end = plan.size.min(head.size);
        let ranges = Self {
            under_way: VecDeque::from([task::spawn(source.clone().read(Some(body), 0, end))]),
            source,
            plan,
            size: head.size,
            next: end,
        };
        Ok((head, ranges))
    }

    /// The size of the stored object in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the next bytes, or `None` after the last.
    ///
    /// # Errors
    /// `Changed` when the object was replaced or deleted meanwhile, `Transport` when it cannot be read to its end.
    pub(super) async fn next(&mut self) -> Result<Option<Buffer>> {
        while self.next < self.size && self.under_way.len() < self.plan.concurrency.max(1) {
            let end = self.next.saturating_add(self.plan.size).min(self.size);
            self.under_way.push_back(task::spawn(self.source.clone().read(None, self.next, end)));
            self.next = end;
        }
        match self.under_way.front_mut() {
            None => Ok(None),
            Some(range) => {
                let bytes = task::join(range).await?;
                self.under_way.pop_front();
                Ok(Some(bytes))
            }
        }
    }
}

impl Source {
    /// Reads the bytes from `first` up to, but not including, `end`, and resumes after broken connections. If `body` is
    /// given, it begins at `first`.
    async fn read(self, mut body: Option<Body>, first: u64, end: u64) -> Result<Buffer> {
        let wanted =
            usize::try_from(end - first).map_err(|_| Error::new(ErrorKind::TooLarge, "a range of that size"))?;
        let mut bytes = self.pool.buffer(wanted)?;
        let mut resumes = 0;
        let mut moved = Instant::now();
        loop {
            let before = bytes.len();
            // The store itself has already retried a failed request.
            let current = match body.take() {
                Some(body) => body,
                None => self.request(first + before as u64, end).await?,
            };
            let broken = match fill(&mut bytes, current).await {
                Ok(()) => return Ok(bytes),
                // A bit flipped on the way. The checksum covers the whole response, so none of its bytes can be used.
                Err(error) if error.kind() == ErrorKind::Damaged => {
                    bytes.truncate(before);
                    error
                }
                Err(error) => error,
            };
            if bytes.len() > before {
                moved = Instant::now();
            }
            if bytes.len().saturating_sub(before) >= PROGRESS {
                resumes = 0;
            }
            let pause = PAUSE * 2u32.pow(resumes);
            if resumes == RESUMES || moved.elapsed() + pause >= self.store.patience() {
                return Err(broken);
            }
            tokio::time::sleep(pause).await;
            resumes += 1;
        }
    }

    async fn request(&self, first: u64, end: u64) -> Result<Body> {
        let reading = Reading { range: Some((first, end.saturating_sub(1))), if_match: self.etag.clone() };
        let object = self.store.get(&self.key, reading).await.map_err(|error| match error.kind() {
            // The object existed a moment ago.
            ErrorKind::NotFound | ErrorKind::InvalidRange => {
                Error::new(ErrorKind::Changed, "the object was deleted or replaced while it was read")
                    .with_source(error)
            }
            _ => error,
        })?;
        if object.first == first { Ok(object.body) } else { Err(misplaced()) }
    }
}

/// Fills the free space in `bytes` from `body`. All errors of this function can be resumed.
async fn fill(bytes: &mut Buffer, mut body: Body) -> Result<()> {
    while bytes.room() > 0 {
        match body.next().await {
            // A store that ignores ranges sends more than was requested. The buffer has no space for the surplus, which
            // is dropped.
            Some(piece) => drop(bytes.fill(&piece?)),
            None => return Err(Error::new(ErrorKind::Transport, "the connection ended before the body")),
        }
    }
    // The checksum of a response is compared at its end. Any other error after the last wanted byte does not matter.
    match body.next().await {
        Some(Err(error)) if error.kind() == ErrorKind::Damaged => Err(error),
        _ => Ok(()),
    }
}

fn misplaced() -> Error {
    Error::new(ErrorKind::Rejected, "the store answered with another range than it was asked for")
}

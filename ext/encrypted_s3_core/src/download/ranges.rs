//! The stored bytes of one object, in order, fetched by several ranged requests at once.
//!
//! The first request brings the head and the first range, which is all of a small object. The others ask for the same
//! version by `If-Match`, so that an object which is replaced meanwhile is an error and never a mixture.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::buffer::{Buffer, Pool};
use crate::store::{Body, Object, ObjectHead, ObjectStore, Reading};
use crate::task::{self, Task};
use crate::{Error, ErrorKind, Result};

/// How often in a row one range is resumed after its connection broke, and the first pause before that. Only bodies are:
/// requests are tried again by the store.
const RESUMES: u32 = 4;
/// A connection that brought at least this many bytes was not in vain: the count begins anew. A store that cuts each
/// after a few bytes is given up on.
const PROGRESS: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(100);

/// How an object is cut into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangePlan {
    /// Bytes of one request.
    pub size: u64,
    /// Requests under way at once. Memory is this many ranges, and one.
    pub concurrency: usize,
}

impl RangePlan {
    /// What one request brings unless there is a reason for another size: enough for most objects to be one request, and
    /// little enough for several at once to be a small part of a process.
    pub const SIZE: u64 = 4 * 1024 * 1024;
}

/// What the requests for one object have in common.
#[derive(Clone, Debug)]
struct Source {
    store: Arc<dyn ObjectStore>,
    key: String,
    etag: Option<String>,
    pool: Pool,
}

/// An object's bytes in order.
#[derive(Debug)]
pub(super) struct Ranges {
    source: Source,
    plan: RangePlan,
    /// Size of the stored object.
    size: u64,
    /// Where the next request begins.
    next: u64,
    under_way: VecDeque<Task<Buffer>>,
}

impl Ranges {
    /// Sends the first request and waits for its head.
    pub(super) async fn open(store: Arc<dyn ObjectStore>, key: &str, plan: RangePlan) -> Result<(ObjectHead, Self)> {
        let first = Reading { range: Some((0, plan.size.saturating_sub(1))), if_match: None };
        let object = match task::run(store.get(key, first)).await {
            // No range can be taken of an object without bytes.
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
        // Those under way, and the one that is worked on.
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

    /// Size of the stored object in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The next bytes, or `None` after the last.
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
    /// Reads the bytes from `first` up to `end`, which is not read, resuming after broken connections. `body` is one
    /// that begins at `first`.
    async fn read(self, mut body: Option<Body>, first: u64, end: u64) -> Result<Buffer> {
        let wanted =
            usize::try_from(end - first).map_err(|_| Error::new(ErrorKind::TooLarge, "a range of that size"))?;
        let mut bytes = self.pool.buffer(wanted)?;
        let mut resumes = 0;
        let mut moved = Instant::now();
        loop {
            let before = bytes.len();
            // A request that failed was tried again by the store itself.
            let current = match body.take() {
                Some(body) => body,
                None => self.request(first + before as u64, end).await?,
            };
            let broken = match fill(&mut bytes, current).await {
                Ok(()) => return Ok(bytes),
                // A bit flipped on the way. The checksum is of the whole answer, so that nothing of it counts.
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
            // It was there a moment ago.
            ErrorKind::NotFound | ErrorKind::InvalidRange => {
                Error::new(ErrorKind::Changed, "the object was deleted or replaced while it was read")
                    .with_source(error)
            }
            _ => error,
        })?;
        if object.first == first { Ok(object.body) } else { Err(misplaced()) }
    }
}

/// Fills the room in `bytes` from `body`. Fails only with what can be resumed.
async fn fill(bytes: &mut Buffer, mut body: Body) -> Result<()> {
    while bytes.room() > 0 {
        match body.next().await {
            // A store that ignores ranges sends more than was asked for, and there is no room for that.
            Some(piece) => drop(bytes.fill(&piece?)),
            None => return Err(Error::new(ErrorKind::Transport, "the connection ended before the body")),
        }
    }
    // At the end of an answer its checksum is compared. What else may happen there comes too late to matter.
    match body.next().await {
        Some(Err(error)) if error.kind() == ErrorKind::Damaged => Err(error),
        _ => Ok(()),
    }
}

fn misplaced() -> Error {
    Error::new(ErrorKind::Rejected, "the store answered with another range than it was asked for")
}

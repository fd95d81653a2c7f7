//! The stored bytes of one object, in order, fetched by several ranged requests at the same time.
//!
//! The first request returns the head and the first range, which is the whole of a small object. The other requests ask
//! for the same version with `If-Match`: an object that is replaced meanwhile causes an error, and bytes of two
//! versions are never mixed.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::buffer::{Buffer, Pool};
use crate::segments::SEGMENT_LEN;
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
    /// The number of concurrent requests. The download holds this many ranges, and one more, in memory.
    pub concurrency: usize,
}

impl RangePlan {
    /// The default size of one request in bytes. It is the size of a chunk, so that a chunk from one request is
    /// returned without a copy.
    pub const SIZE: u64 = super::CHUNK as u64;

    /// The largest useful number of concurrent requests. One connection of a real store downloads several times faster
    /// than it uploads, so a download needs fewer requests than an upload.
    pub const MOST_REQUESTS: usize = 3;

    /// Makes ranges end where a segment ends, so that each can be checked and decrypted when it arrives.
    pub(super) fn ending_with_segments(self) -> Self {
        let size = self.size.max(1).checked_next_multiple_of(SEGMENT_LEN as u64).unwrap_or(self.size);
        Self { size, ..self }
    }
}

/// The values that all requests for one object share.
#[derive(Clone, Debug)]
struct Source {
    store: Arc<dyn ObjectStore>,
    key: String,
    etag: Option<String>,
    pool: Pool,
}

/// Processes the bytes of each range when they have arrived, on a thread that may block. The number is the position of
/// the first byte. Several ranges are processed at the same time.
pub(super) type Work = dyn Fn(u64, &mut Buffer) -> Result<()> + Send + Sync;

/// The bytes of an object, or of a part of it, in order.
pub(crate) struct Ranges {
    source: Source,
    plan: RangePlan,
    /// The size of the stored object in bytes.
    size: u64,
    /// The position of the first byte of the next request.
    next: u64,
    /// The position after the last wanted byte.
    end: u64,
    /// The position of the first byte of each range, and the range.
    under_way: VecDeque<(u64, Task<Buffer>)>,
    /// Sets the end of the first range. It was requested before anything was known about the object, so most of it may
    /// be unwanted; no byte of its body is read before this is decided.
    undecided: Option<oneshot::Sender<u64>>,
    work: Option<Arc<Work>>,
    /// How many ranges are requested in advance. `None` means as many as the plan allows.
    pace: Option<Pace>,
}

/// Adapts the number of ranges requested in advance to the speed of the caller. Otherwise each slow client of a web
/// server would hold all its ranges in memory.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    ahead: usize,
    /// Whether a range was returned already. Every caller has to wait for the first range.
    began: bool,
}

impl Pace {
    /// Called before a range is returned; `is_ready` is whether it has already arrived.
    fn step(&mut self, is_ready: bool, most: usize) {
        if std::mem::replace(&mut self.began, true) {
            self.ahead = if is_ready { self.ahead.saturating_sub(1) } else { (self.ahead * 2).clamp(1, most) };
        }
    }

    /// Returns the size of the next range in bytes. It is less than `size` for a caller that is slow or has just begun,
    /// unless the caller waits for `needed` bytes.
    fn size(&self, size: u64, needed: u64) -> u64 {
        let small = (size / 4).max(needed).max(1).checked_next_multiple_of(SEGMENT_LEN as u64).unwrap_or(size);
        if self.ahead < 2 { small.min(size) } else { size }
    }
}

impl Ranges {
    /// Sends the first request and waits for its head. Returns the head and the ranges of `part`, a range of positions
    /// in the stored object; it can exceed the end.
    ///
    /// # Errors
    /// `InvalidRange` when the part begins after the end of the object.
    pub(crate) async fn open(
        store: Arc<dyn ObjectStore>,
        key: &str,
        plan: RangePlan,
        part: Range<u64>,
    ) -> Result<(ObjectHead, Self)> {
        let start = part.start;
        let end = part.end.min(start.saturating_add(plan.size));
        let reading = Reading { range: Some((start, end.saturating_sub(1))), if_match: None };
        let object = match task::run(store.get(key, reading)).await {
            // A store refuses every range of an empty object.
            Err(error) if error.kind() == ErrorKind::InvalidRange && start == 0 => {
                task::run(store.get(key, Reading::default())).await?
            }
            object => object?,
        };
        let Object { head, first, body } = object;
        if first != start {
            return Err(misplaced().for_object(key));
        }
        // One buffer for each running request, and one for the range that the caller uses.
        let pool = Pool::new(plan.concurrency + 1);
        let source = Source { store, key: key.to_owned(), etag: required(&head.etag), pool };
        let next = end.min(head.size).max(start);
        let (undecided, decided) = oneshot::channel();
        let reading = source.clone();
        let first = task::spawn(async move {
            let end = decided.await.map_err(|_| Error::new(ErrorKind::Closed, "the range is not wanted"))?;
            reading.read(Some(body), start, end).await
        });
        let ranges = Self {
            under_way: VecDeque::from([(start, first)]),
            undecided: Some(undecided),
            source,
            plan,
            size: head.size,
            next,
            end: part.end.min(head.size),
            work: None,
            pace: None,
        };
        Ok((head, ranges))
    }

    /// The size of the stored object in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the position of the byte that [`next`](Self::next) returns first.
    pub(super) fn position(&self) -> u64 {
        self.under_way.front().map_or(self.next, |(first, _)| *first)
    }

    /// Returns the position after the last byte that was requested.
    pub(super) fn requested(&self) -> u64 {
        self.next
    }

    /// Returns the part that was not returned yet.
    pub(super) fn rest(&self) -> Range<u64> {
        self.position()..self.end
    }

    /// Ends before the byte `end`, if it does not end earlier. Running requests are not shortened.
    pub(super) fn end_at(self, end: u64) -> Self {
        Self { end: self.end.min(end), ..self }
    }

    /// Continues with `part`. Running requests are kept if they begin there; if no byte of the first range was read
    /// yet, it ends with the part.
    pub(super) fn read_part(&mut self, part: Range<u64>) {
        if self.position() != part.start || part.is_empty() {
            self.under_way.clear();
            self.undecided = None;
            self.next = part.start;
            self.pace = self.pace.map(|_| Pace::default());
        }
        self.read_first(part.end);
        self.end = part.end.min(self.size);
    }

    /// Reads the first range up to `end`, or as far as it was requested.
    fn read_first(&mut self, end: u64) {
        if let Some(undecided) = self.undecided.take() {
            self.next = self.next.min(end);
            // Fails only if the task has ended; its result then gives the reason.
            let _ = undecided.send(self.next);
        }
    }

    /// Reads `part` of the version with the entity tag `etag`. Nothing is requested before [`next`](Self::next).
    pub(super) fn of_version(&self, etag: &str, part: Range<u64>) -> Self {
        Self {
            source: Source { etag: required(etag), ..self.source.clone() },
            plan: self.plan,
            size: self.size,
            next: part.start,
            end: part.end.min(self.size),
            under_way: VecDeque::new(),
            undecided: None,
            work: None,
            pace: self.pace,
        }
    }

    /// Reads `part` of the same version. Nothing is requested before [`next`](Self::next).
    pub(super) fn again(&self, part: Range<u64>) -> Self {
        self.of_version(self.source.etag.as_deref().unwrap_or_default(), part)
    }

    /// Adapts the requests in advance to the speed of the caller.
    pub(super) fn paced(self) -> Self {
        Self { pace: Some(Pace::default()), ..self }
    }

    /// Processes every range with `work`. Must be called within a tokio runtime.
    pub(super) fn with_work(mut self, work: Arc<Work>) -> Self {
        let arriving = std::mem::take(&mut self.under_way).into_iter();
        let worked_on = arriving.map(|(first, mut range)| {
            let work = work.clone();
            let range = task::spawn(async move { worked(task::join(&mut range).await?, first, work).await });
            (first, range)
        });
        self.under_way = worked_on.collect();
        self.work = Some(work);
        self
    }

    /// Returns the next bytes, or `None` after the last. After an error the same bytes are requested again.
    ///
    /// # Errors
    /// `Changed` when the object was replaced or deleted meanwhile, `Transport` when it cannot be read to its end, and
    /// the errors of the [`Work`].
    pub(crate) async fn next(&mut self) -> Result<Option<Buffer>> {
        self.next_for(self.plan.size).await
    }

    /// Like [`next`](Self::next), for a caller that cannot continue without `needed` bytes.
    ///
    /// # Errors
    /// The errors of [`next`](Self::next).
    pub(super) async fn next_for(&mut self, needed: u64) -> Result<Option<Buffer>> {
        self.read_first(u64::MAX);
        let is_ready = self.under_way.front().is_some_and(|(_, range)| range.is_finished());
        let most = self.plan.concurrency.max(1);
        if let Some(pace) = &mut self.pace {
            pace.step(is_ready, most);
        }
        let wanted = self.pace.map_or(most, |pace| (1 + pace.ahead).min(most));
        let size = self.pace.map_or(self.plan.size, |pace| pace.size(self.plan.size, needed));
        while self.next < self.end && self.under_way.len() < wanted {
            let end = self.end_of_request(size);
            let range = self.request(self.next, end);
            self.under_way.push_back((self.next, range));
            self.next = end;
        }
        let Some((first, range)) = self.under_way.front_mut() else { return Ok(None) };
        match task::join(range).await {
            Ok(bytes) => {
                self.under_way.pop_front();
                Ok(Some(bytes))
            }
            Err(error) => {
                // No later range may be returned instead.
                self.next = *first;
                self.under_way.clear();
                Err(error)
            }
        }
    }

    /// Returns the end of the next request of at most `size` bytes: the end of the wanted part, or a point before a
    /// multiple of the plan's size, because chunks end there.
    fn end_of_request(&self, size: u64) -> u64 {
        let whole = self.plan.size.max(1);
        let boundary = (self.next / whole + 1).saturating_mul(whole);
        self.next.saturating_add(size).min(boundary).min(self.end)
    }

    fn request(&self, first: u64, end: u64) -> Task<Buffer> {
        let reading = self.source.clone().read(None, first, end);
        match self.work.clone() {
            Some(work) => task::spawn(async move { worked(reading.await?, first, work).await }),
            None => task::spawn(reading),
        }
    }
}

impl fmt::Debug for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ranges({} to {} of {})", self.position(), self.end, self.size)
    }
}

/// The entity tag for `If-Match` in later requests; `None` when the store sends none.
fn required(etag: &str) -> Option<String> {
    Some(etag.to_owned()).filter(|etag| !etag.is_empty())
}

async fn worked(mut bytes: Buffer, first: u64, work: Arc<Work>) -> Result<Buffer> {
    let done = tokio::task::spawn_blocking(move || work(first, &mut bytes).map(|()| bytes));
    done.await.unwrap_or_else(|error| Err(task::ended_early(error)))
}

impl Source {
    /// Reads the bytes from `first` up to, but not including, `end`, and resumes after broken connections. If `body` is
    /// given, it begins at `first`.
    async fn read(self, mut body: Option<Body>, first: u64, end: u64) -> Result<Buffer> {
        let wanted = usize::try_from(end - first)
            .map_err(|_| Error::new(ErrorKind::TooLarge, "the range does not fit into memory"))?;
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
                // A bit was flipped in transit. The checksum covers the whole response, so none of its bytes can be
                // used.
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
        if object.first == first { Ok(object.body) } else { Err(misplaced().for_object(&self.key)) }
    }
}

/// Fills the free space in `bytes` from `body`. After any of its errors the range can be resumed.
async fn fill(bytes: &mut Buffer, mut body: Body) -> Result<()> {
    while bytes.room() > 0 {
        match body.next().await {
            // A store that ignores ranges sends more than was requested. The buffer has no space for the surplus, which
            // is dropped.
            Some(piece) => drop(bytes.fill(&piece?)),
            None => return Err(Error::new(ErrorKind::Transport, "the connection ended before the end of the body")),
        }
    }
    // The checksum of a response is compared at its end. Any other error after the last wanted byte does not matter.
    match body.next().await {
        Some(Err(error)) if error.kind() == ErrorKind::Damaged => Err(error),
        _ => Ok(()),
    }
}

fn misplaced() -> Error {
    let message = "the store answered with another range than the requested one. Objects are read in ranges: reach the \
                   store directly, or through a proxy that passes the `Range` header on";
    Error::new(ErrorKind::Rejected, message)
}

//! A simulation of a network, for a client on the same machine: every answer is delayed, and the rate of every
//! connection is limited.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// The maximum number of bytes that are written at once on a connection with a limited rate.
const STEP: usize = 64 * 1024;

/// The time that a connection may catch up after it has fallen behind its rate. Timers are late by a millisecond or
/// two, which would otherwise slow down the connection.
const CATCHING_UP: Duration = Duration::from_millis(10);

/// The properties of all connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Line {
    /// The delay of each answer.
    pub latency: Duration,
    /// Bytes per second from the client; `None` means no limit.
    pub up: Option<u64>,
    /// Bytes per second to the client; `None` means no limit.
    pub down: Option<u64>,
}

/// The traffic of all connections since the server started.
#[derive(Debug, Default)]
pub struct Moved {
    /// Requests, except those for these numbers.
    pub requests: AtomicU64,
    /// Bytes from clients, heads of requests included.
    pub received: AtomicU64,
    /// Bytes to clients, heads of answers included.
    pub sent: AtomicU64,
}

impl Moved {
    /// The numbers as JSON.
    pub fn to_json(&self) -> String {
        let [requests, received, sent] =
            [&self.requests, &self.received, &self.sent].map(|number| number.load(Ordering::Relaxed));
        format!(r#"{{"requests":{requests},"received":{received},"sent":{sent}}}"#)
    }
}

/// A connection with limited rates, which counts its bytes.
#[derive(Debug)]
pub struct Connection {
    socket: TcpStream,
    reading: Pace,
    writing: Pace,
    moved: Arc<Moved>,
}

impl Connection {
    /// A connection with the rates of `line`, whose bytes are added to `moved`.
    pub fn new(socket: TcpStream, line: Line, moved: Arc<Moved>) -> Self {
        Self { socket, reading: Pace::new(line.up), writing: Pace::new(line.down), moved }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        ready!(this.reading.poll_turn(cx));
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.socket).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        this.reading.spend(count);
        this.moved.received.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.poll_write_vectored(cx, &[std::io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.writing.poll_turn(cx));
        let socket = Pin::new(&mut this.socket);
        let count = if this.writing.is_limited() {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            ready!(socket.poll_write(cx, &first[..first.len().min(STEP)]))?
        } else {
            ready!(socket.poll_write_vectored(cx, slices))?
        };
        this.writing.spend(count);
        this.moved.sent.fetch_add(count as u64, Ordering::Relaxed);
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

/// The rate of one direction of a connection.
#[derive(Debug)]
struct Pace {
    limit: Option<Limit>,
}

#[derive(Debug)]
struct Limit {
    /// Bytes per second.
    rate: f64,
    /// When all bytes so far have been sent at this rate.
    free: Instant,
    waiting: Pin<Box<Sleep>>,
}

impl Pace {
    fn new(rate: Option<u64>) -> Self {
        let now = Instant::now();
        Self { limit: rate.map(|rate| Limit { rate: rate as f64, free: now, waiting: Box::pin(sleep_until(now)) }) }
    }

    fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// Waits until all bytes so far have been sent at this rate.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(limit) = &mut self.limit else { return Poll::Ready(()) };
        if limit.free <= Instant::now() {
            return Poll::Ready(());
        }
        limit.waiting.as_mut().reset(limit.free);
        limit.waiting.as_mut().poll(cx)
    }

    /// Records that `count` bytes were moved.
    fn spend(&mut self, count: usize) {
        let Some(limit) = &mut self.limit else { return };
        let earliest = Instant::now().checked_sub(CATCHING_UP).unwrap_or(limit.free);
        limit.free = limit.free.max(earliest) + Duration::from_secs_f64(count as f64 / limit.rate);
    }
}

//! Waiting under a fiber scheduler, so that other fibers of the same thread can run.

use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use magnus::value::ReprValue;
use magnus::{Error, Module, RClass, Ruby, Value, kwargs};

use crate::{error, gvl, runtime};

/// Whether the running fiber may be suspended so that others run: the thread has a fiber scheduler, and the fiber is
/// non-blocking.
///
/// # Errors
/// Any exception that Ruby raises.
pub fn is_here(ruby: &Ruby) -> Result<bool, Error> {
    let fiber: RClass = ruby.class_object().const_get("Fiber")?;
    let scheduler: Value = fiber.funcall("current_scheduler", ())?;
    Ok(!scheduler.is_nil())
}

/// Waits for `future` and lets other fibers run meanwhile. An exception raised in this fiber drops the future and is
/// returned as the error.
///
/// The future is on the heap. If nothing resumes the fiber any more, Ruby frees its stack without running destructors. A
/// future on that stack would be freed while timers and semaphores still point into it; on the heap it is leaked.
///
/// # Errors
/// The exception that interrupts the fiber, and `InternalError` when the system cannot create a pipe.
pub fn wait<T: Send>(ruby: &Ruby, mut future: Pin<Box<impl Future<Output = T> + Send>>) -> Result<T, Error> {
    let runtime = runtime::get(ruby)?;
    let mut signal = None;
    loop {
        let (reader, waker) = match &mut signal {
            Some(signal) => signal,
            none => none.insert(self::signal(ruby)?),
        };
        // A step takes milliseconds. Other threads run meanwhile; the fibers of this thread wait.
        let mut step = || {
            let _runtime = runtime.enter();
            future.as_mut().poll(&mut Context::from_waker(waker))
        };
        match gvl::without(&mut step)? {
            Some(Poll::Ready(value)) => return Ok(value),
            Some(Poll::Pending) => reader.wait(ruby)?,
            None => ruby.thread_check_ints()?,
        }
    }
}

fn signal(ruby: &Ruby) -> Result<(Reader, Waker), Error> {
    let (reader, writer) = pipe()
        .map_err(|cause| error::named(ruby, "InternalError", &format!("cannot create a pipe: {}", cause.kind())))?;
    let waker = Arc::new(Signal { writer, given: AtomicBool::new(false) });
    let io_class: RClass = ruby.class_object().const_get("IO")?;
    let io = io_class.funcall("for_fd", (reader.as_raw_fd(), kwargs!("autoclose" => false)))?;
    Ok((Reader { reader, io, signal: waker.clone() }, Waker::from(waker)))
}

/// Wakes the fiber from any thread, by a byte in a pipe.
struct Signal {
    writer: PipeWriter,
    /// Whether the pipe holds an unread byte. One is enough; more would fill the pipe.
    given: AtomicBool,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        if !self.given.swap(true, Ordering::AcqRel) {
            // Fails only when the waiting fiber has ended.
            let _gone = (&self.writer).write_all(&[0]);
        }
    }
}

/// The end of the pipe that the scheduler watches.
struct Reader {
    reader: PipeReader,
    io: Value,
    signal: Arc<Signal>,
}

impl Reader {
    /// Suspends the fiber until the signal is given.
    fn wait(&mut self, ruby: &Ruby) -> Result<(), Error> {
        let _readable: Value = self.io.funcall("wait_readable", ())?;
        // Interrupted without a signal, reading would block.
        if self.signal.given.load(Ordering::Acquire) {
            let mut byte = [0];
            let read = self.reader.read(&mut byte);
            self.signal.given.store(false, Ordering::Release);
            read.map_err(|cause| {
                error::named(ruby, "InternalError", &format!("cannot read from a pipe: {}", cause.kind()))
            })?;
        }
        Ok(())
    }
}

//! Waiting without Ruby's global VM lock (GVL), so that other threads run and interrupts are noticed.
//!
//! `rb_thread_call_without_gvl` checks for interrupts itself and jumps over Rust's frames when there is one, so that no
//! destructor runs. `rb_nogvl` with `RB_NOGVL_INTR_FAIL` returns instead, and the check is made here, where an
//! exception is an ordinary `Err`.

#![allow(unsafe_code, reason = "magnus has no API for the GVL")]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;

use magnus::rb_sys::protect;
use magnus::{Error, Ruby};
use tokio::sync::Notify;

use crate::{runtime, scheduler};

struct Call<F, R> {
    work: Option<F>,
    out: Option<std::thread::Result<R>>,
}

/// Runs `work` without the GVL. Returns `None`, without running it, when an interrupt was pending.
///
/// `Send` keeps Ruby values out of `work`: they must not be touched without the GVL.
///
/// # Errors
/// Ruby 3.2 still raises from `rb_nogvl` when the process has no other thread: it stops a helper thread there, and that
/// wait checks for interrupts.
fn nogvl<F, R>(work: F, wake: &Notify) -> Result<Option<R>, Error>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let mut call = Call { work: Some(work), out: None };
    let at = std::ptr::from_mut(&mut call).cast::<c_void>();
    let notify = std::ptr::from_ref(wake).cast_mut().cast::<c_void>();
    protect(|| {
        // SAFETY: `trampoline::<F, R>` gets the one pointer to `call`, which lives until `protect` has returned, and
        // catches panics. `unblock` gets a pointer to `wake`, which outlives the call too, and may be used from any
        // thread. A jump ends at `protect`; it skips this closure alone, which owns nothing.
        unsafe {
            let flags = rb_sys::RB_NOGVL_INTR_FAIL as i32;
            rb_sys::rb_nogvl(Some(trampoline::<F, R>), at, Some(unblock), notify, flags);
        }
        rb_sys::Qnil.into()
    })?;
    Ok(call.out.map(|out| out.unwrap_or_else(|panic| resume_unwind(panic))))
}

unsafe extern "C" fn trampoline<F, R>(call: *mut c_void) -> *mut c_void
where
    F: FnOnce() -> R,
{
    // SAFETY: `nogvl` passes a pointer to a live `Call<F, R>` that no other code uses while this runs.
    let call = unsafe { &mut *call.cast::<Call<F, R>>() };
    if let Some(work) = call.work.take() {
        call.out = Some(catch_unwind(AssertUnwindSafe(work)));
    }
    std::ptr::null_mut()
}

/// Ruby calls this when the waiting thread should check for interrupts. It wakes the thread and cancels nothing: after
/// a signal handler or `Thread#wakeup` the wait continues.
unsafe extern "C" fn unblock(wake: *mut c_void) {
    // SAFETY: `nogvl` passes a pointer to a `Notify` that lives as long as the call which this interrupts.
    unsafe { &*wake.cast::<Notify>() }.notify_one();
}

/// Runs short work without the GVL. Returns `None`, without running it, when an interrupt was pending.
///
/// # Errors
/// The errors of [`wait`].
pub fn without<R: Send>(work: impl FnOnce() -> R + Send) -> Result<Option<R>, Error> {
    nogvl(work, &Notify::new())
}

/// Waits for `future` without the GVL, or, under a fiber scheduler, while other fibers run. Interrupts are noticed only
/// when the future is pending, so a future that computes must call `yield_now` every few MiB. Signal handlers run
/// during the wait. When an exception is raised in the waiting thread, or the thread is killed, the future is dropped
/// and the exception is returned as the error.
///
/// # Errors
/// The exception that interrupts the thread: `Timeout::Error`, `Interrupt`, the jump of `Thread#kill`. Return it
/// unchanged.
pub fn wait<T: Send>(ruby: &Ruby, future: impl Future<Output = T> + Send) -> Result<T, Error> {
    if scheduler::is_here(ruby)? {
        return scheduler::wait(ruby, Box::pin(future));
    }
    let mut future = pin!(future);
    let runtime = runtime::get(ruby)?;
    let wake = Notify::new();
    loop {
        let turn = || {
            runtime.block_on(async {
                tokio::select! {
                    biased;
                    value = &mut future => Some(value),
                    () = wake.notified() => None,
                }
            })
        };
        if let Some(Some(value)) = nogvl(turn, &wake)? {
            return Ok(value);
        }
        ruby.thread_check_ints()?;
    }
}

//! Conversion between bytes and Ruby strings.

#![allow(unsafe_code, reason = "magnus cannot fill a string without the GVL")]

use std::ffi::c_long;
use std::hint::black_box;

use magnus::rb_sys::{AsRawValue, protect};
use magnus::value::ReprValue;
use magnus::{Error, RString, Ruby};

use crate::gvl;

/// Strings of at least this many bytes are copied without the GVL. The copying is fast, but the system may need ten
/// milliseconds to allocate 5 MiB, and no other thread could run during that time.
const UNLOCKED: usize = 256 * 1024;

/// A new binary string of `bytes`.
///
/// # Errors
/// The exception that interrupts the thread.
pub fn string(ruby: &Ruby, bytes: &[u8]) -> Result<RString, Error> {
    let Ok(length) = c_long::try_from(bytes.len()) else { return Ok(ruby.str_from_slice(bytes)) };
    if bytes.len() < UNLOCKED {
        return Ok(ruby.str_from_slice(bytes));
    }
    filled(ruby.str_buf_new(bytes.len()), bytes, length)
}

/// Memory of a string, for code that runs without the GVL and must not hold Ruby values.
struct Target(*mut u8);

// SAFETY: the memory belongs to a string that is locked, so no other code accesses it while this is used.
unsafe impl Send for Target {}

impl Target {
    /// # Safety
    /// There must be room for `bytes`.
    unsafe fn fill(&mut self, bytes: &[u8]) {
        // SAFETY: the caller guarantees that there is room; new memory of a string and a Rust slice do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0, bytes.len()) }
    }
}

/// Fills an empty string that has the capacity for `bytes`, of which there are `length`.
fn filled(string: RString, bytes: &[u8], length: c_long) -> Result<RString, Error> {
    let raw = string.as_raw();
    // SAFETY: `raw` is a string that was just made with room for `length` bytes, too long to lie in the object itself,
    // so its memory does not move; it stays alive and is not moved because `string` is on this stack until the end.
    // Locked, no other thread can change it meanwhile; a new string is neither locked nor frozen, so locking, setting
    // the length and unlocking do not raise.
    unsafe {
        rb_sys::rb_str_locktmp(raw);
        let mut target = Target(rb_sys::macros::RSTRING_PTR(raw).cast_mut().cast::<u8>());
        let filled = gvl::without(|| target.fill(bytes));
        if matches!(filled, Ok(None)) {
            // An interrupt is pending. The caller's next wait handles it.
            target.fill(bytes);
        }
        rb_sys::rb_str_unlocktmp(raw);
        filled?;
        rb_sys::rb_str_set_len(raw, length);
    }
    Ok(string)
}

/// Runs `work` with the bytes of a string, which cannot be changed meanwhile. `work` may release the GVL.
///
/// # Errors
/// The error of `work`, and `RuntimeError` when the string is already locked.
pub fn with_bytes<T>(string: RString, work: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<T, Error> {
    if string.len() < UNLOCKED {
        // Short strings lie in the object itself, which the garbage collector may move.
        return work(&string.to_bytes());
    }
    let unchanging = Unchanging::new(string)?;
    work(unchanging.bytes())
}

/// A string that cannot be changed until this is dropped: it is frozen, or it is locked as long. A frozen string is not
/// locked, because several threads may use it at once.
struct Unchanging {
    string: RString,
    is_locked: bool,
}

impl Unchanging {
    fn new(string: RString) -> Result<Self, Error> {
        let is_locked = !string.is_frozen();
        if is_locked {
            let raw = string.as_raw();
            // SAFETY: `raw` is a live string. If it is locked already, Ruby raises, and `protect` catches that.
            protect(|| unsafe { rb_sys::rb_str_locktmp(raw) })?;
        }
        Ok(Self { string, is_locked })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the string is frozen, or locked until `self` is dropped, so its bytes neither change nor move: it is
        // too long to lie in the object itself. It stays alive because `self` is on the stack until the end.
        unsafe { self.string.as_slice() }
    }
}

impl Drop for Unchanging {
    fn drop(&mut self) {
        // Otherwise the compiler may forget a frozen string before the last use of its bytes.
        let string = black_box(self.string);
        if self.is_locked {
            // SAFETY: `new` locked it and no other code did, so unlocking does not raise.
            unsafe { rb_sys::rb_str_unlocktmp(string.as_raw()) };
        }
    }
}

//! AES-256-GCM over one long message that arrives in pieces (NIST SP 800-38D): one key, one 12-byte nonce, one 16-byte
//! tag at the end.
//!
//! No crate offers this as a public interface: the common ones process a whole message at once, and an object may have
//! 64 GiB. [`Sealer`] and [`Opener`] apply the same rules to two implementations: [`AwsLc`] is several times faster,
//! [`RustCrypto`] compiles everywhere and is the reference in the tests. No cipher is implemented here.

#[cfg(feature = "aws-lc")]
#[allow(unsafe_code, reason = "calls aws-lc's C functions; every other module is safe Rust")]
mod aws_lc;
pub mod gmac;
pub mod keystream;
mod rust_crypto;

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;

#[cfg(feature = "aws-lc")]
pub use aws_lc::AwsLc;
pub use rust_crypto::RustCrypto;

/// Length of the authentication tag in bytes.
pub const TAG_LEN: usize = 16;

/// Length of the nonce in bytes: GCM's standard length, which needs no hashing of the nonce.
pub const NONCE_LEN: usize = 12;

/// Maximum plaintext of one message in bytes: 2^39 - 256 bits (NIST SP 800-38D, 5.2.1.1), 64 GiB less 32 bytes.
pub const MAX_PLAINTEXT: u64 = (1 << 36) - 32;

/// A number used once; not secret, but fresh for every message under one key.
pub type Nonce = [u8; NONCE_LEN];

/// The authentication tag: it proves that no byte of the message was changed after it was encrypted.
pub type Tag = [u8; TAG_LEN];

/// The default implementation.
#[cfg(feature = "aws-lc")]
pub type DefaultBackend = AwsLc;
/// The default implementation.
#[cfg(not(feature = "aws-lc"))]
pub type DefaultBackend = RustCrypto;

/// How many bytes of plaintext an object body of `body_len` bytes holds: all but the tag.
///
/// # Errors
/// [`ErrorKind::Truncated`] when the body is shorter than a tag. Some clients compare only the bytes that exist, and so
/// accept a one-byte body as a valid empty object once in 256 tries. [`ErrorKind::TooLarge`] when no message can be
/// that long.
pub fn plaintext_len(body_len: u64) -> Result<u64> {
    match body_len.checked_sub(TAG_LEN as u64) {
        None => Err(Error::new(
            ErrorKind::Truncated,
            format!("the body has {body_len} bytes and cannot hold an authentication tag"),
        )),
        Some(length) if length > MAX_PLAINTEXT => Err(too_large()),
        Some(length) => Ok(length),
    }
}

/// Encrypts one message and makes its tag.
///
/// Use a data key and nonce for one `Sealer` only: two messages under the same pair reveal the difference of their
/// plaintexts and the authentication key.
#[must_use]
pub struct Sealer<B: Backend = DefaultBackend> {
    message: Message<B>,
}

impl Sealer {
    /// Starts a message with the default implementation; see [`Sealer::with_backend`].
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the cipher cannot be set up.
    pub fn new(key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        Self::with_backend(key, nonce, aad)
    }
}

impl<B: Backend> Sealer<B> {
    /// Starts a message under `key` and `nonce`. `aad` is authenticated with it and not part of the output.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the cipher cannot be set up.
    pub fn with_backend(key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        Ok(Self { message: Message::start(Direction::Seal, key, nonce, aad)? })
    }

    /// Encrypts the next piece of the message in place. Pieces may have any length; it does not affect the ciphertext.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the message would exceed [`MAX_PLAINTEXT`]; the piece is left as it was.
    /// After an error the message cannot be continued or finished.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        self.message.update(data)
    }

    /// Ends the message and returns its tag, which is stored after the ciphertext.
    ///
    /// # Errors
    /// The error of an earlier [`Sealer::update`] again, or [`ErrorKind::Internal`].
    pub fn finish(self) -> Result<Tag> {
        self.message.into_complete()?.seal()
    }
}

/// Decrypts one message and checks its tag.
///
/// The output of [`Opener::update`] is **unauthenticated** until [`Opener::finish`] has returned `Ok`: anybody who can
/// write to the bucket may have chosen it. Do not pass it on until then, and drop it when `finish` fails.
#[must_use]
pub struct Opener<B: Backend = DefaultBackend> {
    message: Message<B>,
}

impl Opener {
    /// Starts reading a message with the default implementation; see [`Opener::with_backend`].
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the cipher cannot be set up.
    pub fn new(key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        Self::with_backend(key, nonce, aad)
    }
}

impl<B: Backend> Opener<B> {
    /// Starts reading a message that was sealed under `key`, `nonce` and `aad`.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the cipher cannot be set up.
    pub fn with_backend(key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        Ok(Self { message: Message::start(Direction::Open, key, nonce, aad)? })
    }

    /// Decrypts the next piece of the ciphertext, without the tag, in place. Pieces may have any length.
    ///
    /// The result is unauthenticated; see the type.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] when the message would exceed [`MAX_PLAINTEXT`]; the piece is left as it was.
    /// After an error the message cannot be continued or finished.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        self.message.update(data)
    }

    /// Compares `tag`, the last 16 bytes of the object, with the tag of the decrypted message, in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] when they differ: the body, the tag, the nonce or the key is not that of the encryption.
    /// The error of an earlier [`Opener::update`] again.
    pub fn finish(self, tag: &Tag) -> Result<()> {
        self.message.into_complete()?.verify(tag)
    }
}

impl<B: Backend> fmt::Debug for Sealer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer([redacted])")
    }
}

impl<B: Backend> fmt::Debug for Opener<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Opener([redacted])")
    }
}

/// Whether a message is encrypted or decrypted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Seal,
    /// Ciphertext to plaintext.
    Open,
}

/// An implementation of streaming AES-256-GCM, for the two in this module only.
///
/// It need not count bytes: [`Sealer`] and [`Opener`] keep the message within [`MAX_PLAINTEXT`], call `seal` only after
/// [`Direction::Seal`] and `verify` only after [`Direction::Open`], and nothing after an error.
pub trait Backend: Sized + Send + sealed::Sealed {
    /// The library's authentication without encryption.
    type Mac: gmac::Backend;

    /// The library's keystream.
    type Keystream: keystream::Backend;

    /// Sets up key, nonce and additional authenticated data.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library refuses.
    fn start(direction: Direction, key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self>;

    /// Encrypts or decrypts the next piece in place.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library refuses.
    fn update(&mut self, data: &mut [u8]) -> Result<()>;

    /// The tag of the encrypted message.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when the library refuses.
    fn seal(self) -> Result<Tag>;

    /// Compares the tag of the decrypted message with `tag` in constant time.
    ///
    /// # Errors
    /// [`ErrorKind::Auth`] when they differ.
    fn verify(self, tag: &Tag) -> Result<()>;
}

mod sealed {
    pub trait Sealed {}
}

/// A message in progress, and the number of its processed bytes.
struct Message<B> {
    backend: B,
    progress: Progress,
}

impl<B: Backend> Message<B> {
    fn start(direction: Direction, key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        Ok(Self { backend: B::start(direction, key, nonce, aad)?, progress: Progress::Bytes(0) })
    }

    fn update(&mut self, data: &mut [u8]) -> Result<()> {
        self.progress.advance(data.len())?;
        self.backend.update(data).inspect_err(|_| self.progress = Progress::Failed)
    }

    fn into_complete(self) -> Result<B> {
        match self.progress {
            Progress::Bytes(_) => Ok(self.backend),
            Progress::Exceeded => Err(too_large()),
            Progress::Failed => Err(failed()),
        }
    }
}

/// The processed bytes of a message. GCM's 32-bit block counter would wrap beyond the limit and repeat the keystream.
///
/// A failure is remembered: otherwise a caller that ignores an error would get a valid tag over a message with a gap.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    Bytes(u64),
    Exceeded,
    Failed,
}

impl Progress {
    fn advance(&mut self, len: usize) -> Result<()> {
        let before = match self {
            Self::Bytes(count) => *count,
            Self::Exceeded => return Err(too_large()),
            Self::Failed => return Err(failed()),
        };
        let after = u64::try_from(len).ok().and_then(|len| before.checked_add(len));
        match after.filter(|count| *count <= MAX_PLAINTEXT) {
            Some(count) => {
                *self = Self::Bytes(count);
                Ok(())
            }
            None => {
                *self = Self::Exceeded;
                Err(too_large())
            }
        }
    }
}

fn too_large() -> Error {
    Error::new(ErrorKind::TooLarge, format!("an encrypted object can hold at most {MAX_PLAINTEXT} bytes"))
}

fn failed() -> Error {
    Error::new(ErrorKind::Internal, "the cipher failed earlier in this message")
}

fn wrong_tag() -> Error {
    Error::new(ErrorKind::Auth, "the authentication tag does not match: the object was changed after it was encrypted")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
        result.err().map(|error| error.kind())
    }

    #[test]
    fn progress_beyond_the_limit_fails_and_stays_failed() {
        let mut progress = Progress::Bytes(MAX_PLAINTEXT - 5);
        assert!(progress.advance(5).is_ok());
        assert!(progress.advance(0).is_ok());
        assert_eq!(kind(progress.advance(1)), Some(ErrorKind::TooLarge));
        assert_eq!(kind(progress.advance(0)), Some(ErrorKind::TooLarge));
    }

    #[test]
    fn progress_does_not_wrap() {
        let mut progress = Progress::Bytes(MAX_PLAINTEXT);
        assert_eq!(kind(progress.advance(usize::MAX)), Some(ErrorKind::TooLarge));
    }

    fn nearly_full<B: Backend>(direction: Direction) -> Message<B> {
        let key = DataKey::from_bytes(&[1; 32]).ok();
        let message = key.and_then(|key| Message::start(direction, &key, &[2; NONCE_LEN], b"").ok());
        let Some(mut message): Option<Message<B>> = message else { unreachable!("a key of 32 bytes") };
        message.progress = Progress::Bytes(MAX_PLAINTEXT - 3);
        message
    }

    fn refuses_beyond_the_limit<B: Backend>() {
        let mut data = [9; 4];
        let mut sealer = Sealer { message: nearly_full::<B>(Direction::Seal) };
        assert_eq!(kind(sealer.update(&mut data)), Some(ErrorKind::TooLarge));
        assert_eq!(kind(sealer.finish()), Some(ErrorKind::TooLarge));
        let mut opener = Opener { message: nearly_full::<B>(Direction::Open) };
        assert_eq!(kind(opener.update(&mut data)), Some(ErrorKind::TooLarge));
        assert_eq!(kind(opener.finish(&[0; TAG_LEN])), Some(ErrorKind::TooLarge));
        assert_eq!(data, [9; 4], "refused before anything was encrypted");
    }

    #[test]
    fn both_backends_refuse_before_processing() {
        refuses_beyond_the_limit::<RustCrypto>();
        #[cfg(feature = "aws-lc")]
        refuses_beyond_the_limit::<AwsLc>();
    }
}

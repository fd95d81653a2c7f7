//! AES-256-GCM, its authentication alone and its keystream, by aws-lc's incremental `EVP_CIPHER` interface.
//!
//! `EVP_AEAD`, which aws-lc-rs wraps safely, accepts whole messages only; this interface can stream.

use std::ffi::c_int;
use std::ptr::{self, NonNull};

use aws_lc_ffi::{
    EVP_CIPHER_CTX, EVP_CIPHER_CTX_ctrl, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new, EVP_CTRL_AEAD_GET_TAG,
    EVP_CTRL_AEAD_SET_TAG, EVP_CipherFinal_ex, EVP_CipherInit_ex, EVP_CipherUpdate, EVP_aes_256_ctr, EVP_aes_256_gcm,
};

use super::gmac::{self, MacKey};
use super::keystream::{self, CounterBlock};
use super::{Backend, Direction, Nonce, TAG_LEN, Tag, sealed, wrong_tag};
use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;

/// The lengths of this interface are C ints; a piece of 1 GiB fits on every platform and is a whole number of blocks,
/// which keeps aws-lc on its fast path.
const MAX_PIECE: usize = 1 << 30;

/// Streaming AES-256-GCM by aws-lc.
pub struct AwsLc {
    context: Context,
}

impl sealed::Sealed for AwsLc {}

impl Backend for AwsLc {
    type Mac = Mac;
    type Keystream = Keystream;

    fn start(direction: Direction, key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        let mut context = Context::new(direction, key, nonce)?;
        aad.chunks(MAX_PIECE).try_for_each(|piece| context.authenticate(piece))?;
        Ok(Self { context })
    }

    fn update(&mut self, data: &mut [u8]) -> Result<()> {
        data.chunks_mut(MAX_PIECE).try_for_each(|piece| self.context.transform(piece))
    }

    fn seal(mut self) -> Result<Tag> {
        succeeded(self.context.finalize())?;
        self.context.tag()
    }

    fn verify(mut self, tag: &Tag) -> Result<()> {
        self.context.expect_tag(tag)?;
        // At this point Final fails only for a wrong tag; any other error would have occurred before.
        succeeded(self.context.finalize()).map_err(|_| wrong_tag())
    }
}

/// GMAC: a GCM context that gets additional data only, and a new nonce for each message.
pub struct Mac {
    context: Context,
}

impl gmac::Backend for Mac {
    fn keyed(key: &MacKey) -> Result<Self> {
        // The nonce of this call is replaced by the first `start`; no tag is ever computed under it.
        Ok(Self { context: Context::new(Direction::Seal, key.key(), &[0; super::NONCE_LEN])? })
    }

    fn start(&mut self, nonce: &Nonce) -> Result<()> {
        self.context.restart(nonce)
    }

    fn update(&mut self, data: &[u8]) -> Result<()> {
        data.chunks(MAX_PIECE).try_for_each(|piece| self.context.authenticate(piece))
    }

    fn tag(&mut self) -> Result<Tag> {
        succeeded(self.context.finalize())?;
        self.context.tag()
    }
}

/// AES-256 in counter mode.
pub struct Keystream {
    context: CtrContext,
}

impl keystream::Backend for Keystream {
    fn keyed(key: &DataKey) -> Result<Self> {
        Ok(Self { context: CtrContext::new(key)? })
    }

    fn apply(&mut self, first: &CounterBlock, data: &mut [u8]) -> Result<()> {
        self.context.restart(first)?;
        data.chunks_mut(MAX_PIECE).try_for_each(|piece| self.context.transform(piece))
    }
}

/// A context that may not be initialised yet, owned by this value alone.
///
/// Freeing it wipes key schedule, hash key and state: `EVP_CIPHER_CTX_free` uses `OPENSSL_free`, which zeroes the
/// memory.
struct Owned(NonNull<EVP_CIPHER_CTX>);

// SAFETY: a context is plain memory without ties to the thread that made it, and `Owned` is its only owner; every later
// use needs `&mut self`, so two threads never use it at once.
unsafe impl Send for Owned {}

impl Owned {
    fn new() -> Result<Self> {
        // SAFETY: takes no arguments; returns null or a context that is ours to free, which `Owned` does on drop.
        let context = unsafe { EVP_CIPHER_CTX_new() };
        NonNull::new(context).map(Self).ok_or_else(internal)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the context came from EVP_CIPHER_CTX_new and this is its only owner; it is not used afterwards.
        unsafe { EVP_CIPHER_CTX_free(self.0.as_ptr()) }
    }
}

/// A context for AES-256-CTR.
struct CtrContext(Owned);

impl CtrContext {
    fn new(key: &DataKey) -> Result<Self> {
        let context = Owned::new()?;
        let first: CounterBlock = [0; 16];
        // SAFETY: the context is live. EVP_aes_256_ctr returns a static that reads 32 bytes of key and 16 bytes of
        // counter block: exactly the sizes of the two arrays. Both are copied. The engine may be null.
        let status = unsafe {
            EVP_CipherInit_ex(
                context.0.as_ptr(),
                EVP_aes_256_ctr(),
                ptr::null_mut(),
                key.expose().as_ptr(),
                first.as_ptr(),
                1,
            )
        };
        succeeded(status)?;
        Ok(Self(context))
    }

    /// Starts again at another counter block.
    fn restart(&mut self, first: &CounterBlock) -> Result<()> {
        // SAFETY: the context is live and initialised for CTR. A null cipher and a null key keep those; 16 bytes of
        // counter block are read, the size of the array. This also discards the rest of an earlier block.
        succeeded(unsafe {
            EVP_CipherInit_ex(self.0.0.as_ptr(), ptr::null(), ptr::null_mut(), ptr::null(), first.as_ptr(), 1)
        })
    }

    /// Applies the next bytes of the keystream in place.
    fn transform(&mut self, data: &mut [u8]) -> Result<()> {
        let len = length(data)?;
        let mut written = 0;
        let data = data.as_mut_ptr();
        // SAFETY: the context is live and initialised; `data` is readable and writable for `len` bytes and not null.
        // Input and output may be the same buffer. CTR is a stream cipher here: exactly `len` bytes are written.
        succeeded(unsafe { EVP_CipherUpdate(self.0.0.as_ptr(), data, &mut written, data, len) })?;
        if written == len { Ok(()) } else { Err(internal()) }
    }
}

/// A context for AES-256-GCM.
struct Context(Owned);

impl Context {
    fn new(direction: Direction, key: &DataKey, nonce: &Nonce) -> Result<Self> {
        let context = Owned::new()?;
        let encrypt = c_int::from(direction == Direction::Seal);
        // SAFETY: the context is live. EVP_aes_256_gcm returns a static that reads 32 bytes of key and, as no other
        // nonce length is set, 12 bytes of nonce: exactly the sizes of the two arrays. Both are copied. The engine may
        // be null.
        let status = unsafe {
            EVP_CipherInit_ex(
                context.0.as_ptr(),
                EVP_aes_256_gcm(),
                ptr::null_mut(),
                key.expose().as_ptr(),
                nonce.as_ptr(),
                encrypt,
            )
        };
        succeeded(status)?;
        Ok(Self(context))
    }

    /// Begins another message under the same key. It is only authenticated.
    fn restart(&mut self, nonce: &Nonce) -> Result<()> {
        // SAFETY: the context is live and initialised for GCM. A null cipher and a null key keep those; 12 bytes of
        // nonce are read, the size of the array. This also resets the hash and the lengths.
        succeeded(unsafe {
            EVP_CipherInit_ex(self.0.0.as_ptr(), ptr::null(), ptr::null_mut(), ptr::null(), nonce.as_ptr(), 1)
        })
    }

    /// Adds additional authenticated data; only before the first `transform`.
    fn authenticate(&mut self, aad: &[u8]) -> Result<()> {
        let len = length(aad)?;
        let mut written = 0;
        // SAFETY: the context is live and initialised; `aad` is readable for `len` bytes, not empty (chunks never are)
        // and so not null; a null output means additional data, and nothing is written but `written`.
        succeeded(unsafe { EVP_CipherUpdate(self.0.0.as_ptr(), ptr::null_mut(), &mut written, aad.as_ptr(), len) })
    }

    /// Encrypts or decrypts in place.
    fn transform(&mut self, data: &mut [u8]) -> Result<()> {
        let len = length(data)?;
        let mut written = 0;
        let data = data.as_mut_ptr();
        // SAFETY: the context is live and initialised; `data` is readable and writable for `len` bytes and not null.
        // Input and output may be the same buffer. GCM is a stream cipher here: exactly `len` bytes are written.
        succeeded(unsafe { EVP_CipherUpdate(self.0.0.as_ptr(), data, &mut written, data, len) })?;
        if written == len { Ok(()) } else { Err(internal()) }
    }

    /// Ends the message; when decrypting, compares the expected tag in constant time (`CRYPTO_memcmp`).
    fn finalize(&mut self) -> c_int {
        let mut unused = [0; TAG_LEN];
        let mut written = 0;
        // SAFETY: the context is live and initialised. GCM writes no output here; a whole block is provided, which is
        // the most any cipher would write.
        unsafe { EVP_CipherFinal_ex(self.0.0.as_ptr(), unused.as_mut_ptr(), &mut written) }
    }

    /// The tag, after `finalize` of an encryption.
    fn tag(&mut self) -> Result<Tag> {
        let mut tag = [0; TAG_LEN];
        // SAFETY: the context is live; the control writes `TAG_LEN` bytes, the length of the array.
        let status = unsafe {
            EVP_CIPHER_CTX_ctrl(self.0.0.as_ptr(), EVP_CTRL_AEAD_GET_TAG, TAG_LEN as c_int, tag.as_mut_ptr().cast())
        };
        succeeded(status)?;
        Ok(tag)
    }

    /// Sets the tag that `finalize` of a decryption compares with.
    fn expect_tag(&mut self, tag: &Tag) -> Result<()> {
        let tag = tag.as_ptr().cast_mut().cast();
        // SAFETY: the context is live; the control only reads `TAG_LEN` bytes, the length of the array, and copies
        // them. The parameter is not const because other controls write.
        succeeded(unsafe { EVP_CIPHER_CTX_ctrl(self.0.0.as_ptr(), EVP_CTRL_AEAD_SET_TAG, TAG_LEN as c_int, tag) })
    }
}

fn length(data: &[u8]) -> Result<c_int> {
    c_int::try_from(data.len()).map_err(|_| internal())
}

fn succeeded(status: c_int) -> Result<()> {
    if status == 1 { Ok(()) } else { Err(internal()) }
}

/// An error without details: aws-lc's own errors concern its arguments, and its queue is shared with TLS.
fn internal() -> Error {
    Error::new(ErrorKind::Internal, "aws-lc refused an AES-GCM operation")
}

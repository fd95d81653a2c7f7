//! MD5 by aws-lc, which aws-lc-rs does not wrap.

use std::mem::MaybeUninit;

use aws_lc_ffi::{MD5_CTX, MD5_Final, MD5_Init, MD5_Update};

use super::DIGEST_LEN;

/// Computes an MD5. The three functions of aws-lc cannot fail; they always return 1.
pub(crate) struct Md5(MD5_CTX);

impl Md5 {
    /// Starts with no bytes.
    pub(crate) fn new() -> Self {
        let mut context = MaybeUninit::<MD5_CTX>::zeroed();
        // SAFETY: the pointer is to memory of a context's size that this function alone owns. MD5_Init sets the four
        // words of the state and the counters; all other bytes were zeroed above, which is valid for their integer
        // types.
        Self(unsafe {
            MD5_Init(context.as_mut_ptr());
            context.assume_init()
        })
    }

    /// Adds the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        // SAFETY: the context is initialised and borrowed mutably; `bytes` is readable for its length. The pointer to
        // an empty slice is not dereferenced.
        unsafe { MD5_Update(&mut self.0, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// The digest of all bytes.
    pub(crate) fn finish(mut self) -> [u8; DIGEST_LEN] {
        let mut digest = [0; DIGEST_LEN];
        // SAFETY: the context is initialised and not used afterwards; MD5_Final writes `DIGEST_LEN` bytes.
        unsafe { MD5_Final(digest.as_mut_ptr(), &mut self.0) };
        digest
    }
}

//! OAEP with two hashes, by aws-lc's `EVP_PKEY` interface: SHA-256 for the label and SHA-1 for MGF1. The safe wrapper
//! in aws-lc-rs uses one hash for both.

use std::ptr::{self, NonNull};

use aws_lc_ffi::{
    CBS, CBS_init, EVP_PKEY, EVP_PKEY_CTX, EVP_PKEY_CTX_free, EVP_PKEY_CTX_new, EVP_PKEY_CTX_set_rsa_mgf1_md,
    EVP_PKEY_CTX_set_rsa_oaep_md, EVP_PKEY_CTX_set_rsa_padding, EVP_PKEY_decrypt, EVP_PKEY_decrypt_init, EVP_PKEY_free,
    EVP_PKEY_size, EVP_parse_private_key, EVP_sha1, EVP_sha256, RSA_PKCS1_OAEP_PADDING,
};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};

/// Decrypts `ciphertext` with the private key whose PKCS#8 DER is `pkcs8`; `None` when it is not the right key.
pub(super) fn decrypt(pkcs8: &[u8], ciphertext: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let key = Key::parse(pkcs8)?;
    let context = Context::new(&key)?;
    let mut plaintext = Zeroizing::new(vec![0; key.size()]);
    let mut length = plaintext.len();
    // SAFETY: the context is live and set up for decryption; `plaintext` is writable for `length` bytes, the modulus'
    // length, which is the most that is written; `ciphertext` is readable for its length.
    let status = unsafe {
        EVP_PKEY_decrypt(context.0.as_ptr(), plaintext.as_mut_ptr(), &mut length, ciphertext.as_ptr(), ciphertext.len())
    };
    if status != 1 {
        return Ok(None);
    }
    plaintext.truncate(length);
    Ok(Some(plaintext))
}

/// An RSA key that this value alone owns. Freeing it wipes it.
struct Key(NonNull<EVP_PKEY>);

impl Key {
    fn parse(pkcs8: &[u8]) -> Result<Self> {
        let mut input = CBS { data: ptr::null(), len: 0 };
        // SAFETY: `input` is a plain structure that is written; `pkcs8` is readable for its length and outlives the
        // parsing, which copies the key. The result is null or ours to free, which `Key` does on drop.
        let key = unsafe {
            CBS_init(&mut input, pkcs8.as_ptr(), pkcs8.len());
            EVP_parse_private_key(&mut input)
        };
        NonNull::new(key).map(Self).ok_or_else(internal)
    }

    /// The length of the modulus in bytes.
    fn size(&self) -> usize {
        // SAFETY: the key is live.
        usize::try_from(unsafe { EVP_PKEY_size(self.0.as_ptr()) }).unwrap_or_default()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the key came from EVP_parse_private_key and this is its only owner; a context has its own reference.
        unsafe { EVP_PKEY_free(self.0.as_ptr()) }
    }
}

/// A prepared decryption.
struct Context(NonNull<EVP_PKEY_CTX>);

impl Context {
    fn new(key: &Key) -> Result<Self> {
        // SAFETY: the key is live and the context takes a reference of its own; the engine may be null. The result is
        // null or ours to free, which `Context` does on drop.
        let context = unsafe { EVP_PKEY_CTX_new(key.0.as_ptr(), ptr::null_mut()) };
        let context = Self(NonNull::new(context).ok_or_else(internal)?);
        let pointer = context.0.as_ptr();
        // SAFETY: the context is live; the hashes are static. Each call takes effect only if the ones before did.
        let ready = unsafe {
            EVP_PKEY_decrypt_init(pointer) == 1
                && EVP_PKEY_CTX_set_rsa_padding(pointer, RSA_PKCS1_OAEP_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_oaep_md(pointer, EVP_sha256()) == 1
                && EVP_PKEY_CTX_set_rsa_mgf1_md(pointer, EVP_sha1()) == 1
        };
        if ready { Ok(context) } else { Err(internal()) }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context came from EVP_PKEY_CTX_new and this is its only owner; it is not used afterwards.
        unsafe { EVP_PKEY_CTX_free(self.0.as_ptr()) }
    }
}

fn internal() -> Error {
    Error::new(ErrorKind::Internal, "aws-lc refused an RSA operation")
}

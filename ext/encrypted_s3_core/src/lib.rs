//! Client-side encryption for S3 in Amazon's own envelope formats.
//!
//! This crate knows S3 and cryptography and nothing of Ruby. Its promises: no byte of plaintext leaves it before the
//! authentication tag over the whole object has been checked; a data key, a nonce and the ciphertext made with them are
//! used for one object only; secrets are wiped from memory when they are dropped and print as `[redacted]`.

#![deny(unsafe_code)]

mod buffer;
pub mod download;
pub mod envelope;
pub mod error;
pub mod gcm;
pub mod keyring;
pub mod listing;
mod md5;
pub mod secret;
pub mod store;
pub mod task;
pub mod upload;

pub use error::{Error, ErrorKind, Result};

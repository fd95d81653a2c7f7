//! Client-side encryption for S3 in Amazon's own envelope formats.
//!
//! This crate knows S3 and cryptography, but not Ruby. Its guarantees:
//!
//! - No plaintext is returned before it has been authenticated. Legacy objects have no authentication tag: they are
//!   read only if this is enabled, and not before their padding has been checked.
//! - A data key, a nonce and the ciphertext made with them are used for one object only.
//! - Secrets are wiped from memory when they are dropped, and print as `[redacted]`.

#![deny(unsafe_code)]

// The C functions of aws-lc, under one name for both of its builds.
#[cfg(feature = "fips")]
extern crate aws_lc_fips_sys as aws_lc_ffi;
#[cfg(all(feature = "aws-lc", not(feature = "fips")))]
extern crate aws_lc_sys as aws_lc_ffi;

mod buffer;
pub mod cbc;
pub mod checksum;
pub mod content;
pub mod deletion;
pub mod download;
pub mod envelope;
pub mod error;
pub mod fips;
pub mod gcm;
mod kdf;
pub mod keyring;
pub mod kms;
pub mod local;
mod md5;
pub mod place;
pub mod policy;
pub mod recovery;
pub mod rotate;
pub mod secret;
pub mod segments;
pub mod sidecar;
pub mod store;
pub mod task;
mod transfer;
pub mod upload;

pub use error::{Error, ErrorKind, Result};

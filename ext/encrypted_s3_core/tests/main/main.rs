//! The crate's integration tests, as one binary, because linking the SDK takes long.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

mod bucket_attacks;
mod by_segments;
mod commitment;
mod deletion;
mod download;
mod envelope;
mod gcm;
mod gmac;
mod keyring;
mod kms;
mod legacy;
mod local;
mod place;
mod policy;
#[cfg(feature = "aws-lc")]
mod recovery;
mod rotate;
#[cfg(feature = "aws-lc")]
mod rsa;
mod segment_attacks;
mod segment_cache;
mod segment_vectors;
mod segments;
mod sidecar;
mod support;
mod time;
mod upload;
mod vectors;

//! The crate's tests from outside, as one binary: linking the SDK once is slow enough.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "main/bucket_attacks.rs"]
mod bucket_attacks;
#[path = "main/by_segments.rs"]
mod by_segments;
#[path = "main/commitment.rs"]
mod commitment;
#[path = "main/deletion.rs"]
mod deletion;
#[path = "main/download.rs"]
mod download;
#[path = "main/envelope.rs"]
mod envelope;
#[path = "main/gcm.rs"]
mod gcm;
#[path = "main/gmac.rs"]
mod gmac;
#[path = "main/keyring.rs"]
mod keyring;
#[path = "main/kms.rs"]
mod kms;
#[path = "main/legacy.rs"]
mod legacy;
#[path = "main/local.rs"]
mod local;
#[path = "main/place.rs"]
mod place;
#[path = "main/policy.rs"]
mod policy;
#[cfg(feature = "aws-lc")]
#[path = "main/recovery.rs"]
mod recovery;
#[path = "main/rotate.rs"]
mod rotate;
#[cfg(feature = "aws-lc")]
#[path = "main/rsa.rs"]
mod rsa;
#[path = "main/segment_attacks.rs"]
mod segment_attacks;
#[path = "main/segment_cache.rs"]
mod segment_cache;
#[path = "main/segment_vectors.rs"]
mod segment_vectors;
#[path = "main/segments.rs"]
mod segments;
#[path = "main/sidecar.rs"]
mod sidecar;
#[path = "main/support.rs"]
mod support;
#[path = "main/time.rs"]
mod time;
#[path = "main/upload.rs"]
mod upload;
#[path = "main/vectors.rs"]
mod vectors;

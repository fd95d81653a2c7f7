//! SHA-256 and SHA-512 in steps, by aws-lc or, without it, by RustCrypto.

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(not(feature = "aws-lc"))]
mod rust_crypto;

#[cfg(feature = "aws-lc")]
pub(super) use self::aws_lc::Sha;
#[cfg(not(feature = "aws-lc"))]
pub(super) use self::rust_crypto::Sha;

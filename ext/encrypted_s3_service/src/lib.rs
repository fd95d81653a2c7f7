//! The Ruby side of `encrypted_s3_core`: translation and nothing else.
//!
//! `EncryptedS3Service::Native` is private to the gem: its methods take and give primitive values, wait without the GVL
//! and stay interruptible. Options, defaults and policy are Ruby's business, S3 and cryptography the core's.

#![deny(unsafe_code)]
#![allow(missing_docs, reason = "the entry point that magnus generates; nothing else of a cdylib is public")]

mod answer;
mod binary;
mod client;
mod connections;
mod download;
mod error;
mod file;
mod gvl;
mod handle;
mod local;
mod options;
mod process;
mod runtime;
mod scheduler;
mod survey;
mod upload;

use magnus::{Module, Ruby};

/// Defines `EncryptedS3Service::Native`. The error classes and the version are already there: Ruby declares them.
#[magnus::init(name = "encrypted_s3_service")]
fn init(ruby: &Ruby) -> Result<(), magnus::Error> {
    process::watch();
    let native = ruby.define_module("EncryptedS3Service")?.define_module("Native")?;
    native.const_set("VERSION", env!("CARGO_PKG_VERSION"))?;
    client::init(ruby, native)?;
    local::init(native)?;
    upload::init(ruby, native)?;
    download::init(ruby, native)
}

//! The Ruby binding of `encrypted_s3_core`. It only translates.
//!
//! `EncryptedS3Service::Native` is private to the gem: its methods accept and return primitive values, wait without the
//! GVL and stay interruptible. Ruby code decides options, defaults and policy; the core does S3 and cryptography.

#![deny(unsafe_code)]
#![allow(missing_docs, reason = "the entry point that magnus generates; nothing else of a cdylib is public")]

mod answer;
mod binary;
mod class;
mod client;
mod connections;
mod download;
mod error;
mod file;
mod gvl;
mod handle;
mod kms;
mod local;
mod maps;
mod options;
mod process;
mod runtime;
mod scheduler;
mod store;
mod survey;
mod upload;

use encrypted_s3_core::fips;
use magnus::{Module, Object, Ruby, function};

/// Defines `EncryptedS3Service::Native`. The error classes and the version were already defined in Ruby.
///
/// Raises a `LoadError` when a FIPS build does not run in FIPS mode.
#[magnus::init(name = "encrypted_s3_service")]
fn init(ruby: &Ruby) -> Result<(), magnus::Error> {
    fips::check().map_err(|error| magnus::Error::new(ruby.exception_load_error(), error.to_string()))?;
    process::watch();
    let native = ruby.define_module("EncryptedS3Service")?.define_module("Native")?;
    native.const_set("VERSION", env!("CARGO_PKG_VERSION"))?;
    native.define_singleton_method("fips?", function!(|| fips::BUILT, 0))?;
    native.define_singleton_method("gc_disabled?", function!(is_gc_disabled, 0))?;
    client::init(ruby, native)?;
    local::init(native)?;
    upload::init(ruby, native)?;
    download::init(ruby, native)
}

/// Whether the application has switched the garbage collector off. Ruby returns this only when the state is changed,
/// and no other Ruby thread runs between the two changes here.
fn is_gc_disabled(ruby: &Ruby) -> bool {
    let is_disabled = ruby.gc_disable();
    if !is_disabled {
        ruby.gc_enable();
    }
    is_disabled
}

//! Envelopes in metadata and in instruction files.
//!
//! The input consists of lines of metadata, `name: value`, an empty line, for the second target an instruction file and
//! another empty line, and the body. So the corpus is readable and the fuzzer can move lines.

use std::sync::OnceLock;

use encrypted_s3_core::envelope::{self, Envelopes, Format, Opened};
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};
use encrypted_s3_core::{ErrorKind, Result};
use sha2::{Digest, Sha256};

use super::vectors;
use crate::support::{Now as _, decrypt, with_policy};

/// The longest message about an envelope, in bytes. Anybody who can write to the bucket could otherwise fill the logs.
const LONGEST_MESSAGE: usize = 1000;

/// An envelope in the object's metadata.
pub fn in_metadata(input: &[u8]) {
    let (metadata, body) = cut(input);
    check(&entries(metadata), None, body);
}

/// An envelope in an instruction file, or in both.
pub fn in_file(input: &[u8]) {
    let (metadata, rest) = cut(input);
    let (file, body) = cut(rest);
    check(&entries(metadata), Some(file), body);
}

fn check(entries: &[(String, String)], file: Option<&[u8]>, body: &[u8]) {
    let metadata = || entries.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let _ = envelope::describe(metadata());
    let opened: Vec<_> =
        policies().iter().map(|envelopes| envelopes.open("an object", metadata(), file).now()).collect();
    for opened in &opened {
        describes_itself(opened);
    }
    for stricter in opened.windows(2) {
        if let [Ok(one), other] = stricter {
            let other = other.as_ref().expect("a laxer policy opens every object that a stricter one opens");
            assert_eq!(one.format, other.format, "an object has one format under every policy");
        }
    }
    if let Some(Ok(strict)) = opened.first() {
        assert_eq!(strict.format, Format::V3, "only V3 commits to its key");
    }
    for opened in opened.into_iter().flatten() {
        gives_known_plaintext_only(opened, body);
    }
}

/// From the strictest to the most permissive.
fn policies() -> &'static [Envelopes; 3] {
    static POLICIES: OnceLock<[Envelopes; 3]> = OnceLock::new();
    POLICIES.get_or_init(|| {
        use CommitmentPolicy::{RequireEncryptAllowDecrypt, RequireEncryptRequireDecrypt};
        let policy =
            |commitment, profile| with_policy(Policy::new(Some(commitment), profile).unwrap(), vectors::keys());
        [
            policy(RequireEncryptRequireDecrypt, Some(SecurityProfile::V3)),
            policy(RequireEncryptAllowDecrypt, Some(SecurityProfile::V3)),
            policy(RequireEncryptAllowDecrypt, Some(SecurityProfile::V3AndLegacy)),
        ]
    })
}

fn describes_itself(opened: &Result<Opened>) {
    if let Err(error) = opened {
        assert!(error.kind() != ErrorKind::Internal, "{error}");
        assert!(error.to_string().len() < LONGEST_MESSAGE, "a message of {} bytes", error.to_string().len());
    }
}

/// No object that opens can be made without a key, so the result must be the plaintext of one of the vectors.
fn gives_known_plaintext_only(opened: Opened, body: &[u8]) {
    let is_authenticated = !opened.content_key.is_legacy();
    if let (Ok(plaintext), true) = (decrypt(opened.content_key, body, &[]), is_authenticated) {
        let digest: String = Sha256::digest(&plaintext).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(vectors::plaintexts().contains(&digest), "not the plaintext of a vector: {plaintext:?}");
    }
}

/// The lines before the first empty line, and the rest.
fn cut(input: &[u8]) -> (&[u8], &[u8]) {
    match input.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&input[..at], &input[at + 2..]),
        None => (input, &[]),
    }
}

fn entries(lines: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(lines);
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub fn metadata_seeds() -> Vec<Vec<u8>> {
    let vectors = vectors::all().values().filter(|vector| vector.file().is_none());
    vectors.map(|vector| [lines(vector).as_bytes(), b"\n", &vector.body()].concat()).collect()
}

pub fn file_seeds() -> Vec<Vec<u8>> {
    let vectors = vectors::all().values().filter_map(|vector| Some((vector, vector.file()?)));
    vectors
        .map(|(vector, file)| [lines(vector).as_bytes(), b"\n", file.as_bytes(), b"\n\n", &vector.body()].concat())
        .collect()
}

/// At least one line, so that the empty one is found.
fn lines(vector: &vectors::Vector) -> String {
    let entries = vector.metadata().into_iter().map(|(name, value)| format!("{name}: {}\n", value.as_str().unwrap()));
    format!("name: value\n{}", entries.collect::<String>())
}

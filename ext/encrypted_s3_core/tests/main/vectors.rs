//! Objects written by the real Ruby, Python and Java clients, and damaged ones; see `spec/vectors/README.md`.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::Result;
use encrypted_s3_core::gcm::{Backend, Nonce, Opener};
use encrypted_s3_core::secret::DataKey;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::support::{Entries, keyring, open, open_all};

/// How many there are in this repository. A folder that lost some would pass without a sound.
const TOTAL: usize = 94;
const OPENED: usize = 17;

/// Kinds that are known before any policy or key matters.
const OF_THE_ENVELOPE: [&str; 4] = ["missing-envelope", "malformed", "format-confusion", "unsupported"];

struct Vector {
    name: String,
    json: Value,
    folder: PathBuf,
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| STANDARD.decode(text).unwrap())
}

fn hex_sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Vector {
    fn all() -> Vec<Self> {
        let folder = std::env::var_os("S3EC_VECTORS")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors"), PathBuf::from);
        let paths = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = paths.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let vectors: Vec<_> = paths
            .into_iter()
            .map(|path| {
                let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
                Self { name: json["name"].as_str().unwrap().to_owned(), json, folder: folder.clone() }
            })
            .collect();
        let expected = if std::env::var_os("S3EC_VECTORS").is_none() { TOTAL } else { 1 };
        assert!(vectors.len() >= expected, "{} vectors in {}", vectors.len(), folder.display());
        vectors
    }

    fn metadata(&self) -> Entries {
        let entries = self.json["metadata"].as_object().unwrap().iter();
        entries.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    fn instruction_file(&self) -> Option<&[u8]> {
        self.json["instruction_file"]["body"].as_str().map(str::as_bytes)
    }

    fn body(&self) -> Vec<u8> {
        bytes(&self.json["body_base64"]).unwrap_or_else(|| {
            let body = fs::read(self.folder.join(self.json["body_file"].as_str().unwrap())).unwrap();
            assert_eq!(hex_sha256(&body), self.json["body_sha256"], "{}", self.name);
            body
        })
    }

    /// The wrapping key; for vectors of other kinds of keys any AES key, which must do no good.
    fn wrapping_key(&self) -> Vec<u8> {
        bytes(&self.json["key"]["base64"]).unwrap_or_else(|| vec![0x5a; 32])
    }

    fn is_valid(&self) -> bool {
        self.json["expected"] == "ok"
    }

    /// All entries by lower-case name, wherever they are stored.
    fn entries(&self) -> Map<String, Value> {
        let metadata = self.metadata().into_iter().map(|(name, value)| (name, Value::String(value)));
        let file: Map<String, Value> =
            self.instruction_file().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        metadata.chain(file).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }

    /// The kind of error that this version has to answer with; `None` when it has to decrypt. The vector says what a
    /// reader of all formats does; ours reads V2 with a static AES key.
    fn expected_error(&self) -> Option<&str> {
        let stated = self.json["error_kind"].as_str();
        if let Some(kind) = stated.filter(|kind| OF_THE_ENVELOPE.contains(kind)) {
            return Some(kind);
        }
        let entries = self.entries();
        let text = |name: &str| entries.get(name).and_then(Value::as_str).unwrap_or_default();
        match (text("x-amz-wrap-alg"), text("x-amz-cek-alg")) {
            _ if entries.contains_key("x-amz-3") => Some("unsupported"),
            _ if entries.contains_key("x-amz-key") => Some("legacy-disabled"),
            ("AESWrap" | "kms" | "RSA/ECB/OAEPWithSHA-256AndMGF1Padding", _) => Some("legacy-disabled"),
            (_, "AES/CBC/PKCS5Padding" | "AES/CBC/PKCS7Padding") => Some("legacy-disabled"),
            ("RSA-OAEP-SHA1" | "kms+context", _) => Some("key-mismatch"),
            ("AES/GCM", "AES/GCM/NoPadding") => stated,
            other => panic!("{}: no expectation for {other:?}", self.name),
        }
    }

    fn read(&self, lengths: &[usize]) -> Result<Vec<u8>> {
        let opener = open(&keyring(&self.wrapping_key()), &self.metadata(), self.instruction_file())?;
        open_all(opener, &self.body(), lengths)
    }

    fn check_plaintext(&self, plaintext: &[u8]) {
        let expected = bytes(&self.json["plaintext_base64"]).unwrap_or_else(|| {
            let length = self.json["plaintext_len"].as_u64().unwrap();
            (0..length).map(|j| (7 * j + (j >> 8)).to_le_bytes()[0]).collect()
        });
        assert!(plaintext == expected, "{}: another plaintext", self.name);
        assert_eq!(hex_sha256(plaintext), self.json["plaintext_sha256"], "{}", self.name);
    }

    /// Key, nonce and additional data of the content as the vector's maker recorded them, for the GCM formats.
    fn content(&self) -> Option<(DataKey, Nonce, &'static [u8])> {
        let intermediate = &self.json["intermediate"];
        let entries = self.entries();
        if let Some(key) = bytes(&intermediate["content_key_base64"]) {
            return Some((DataKey::from_bytes(&key).unwrap(), [1; 12], &[0x00, 0x73]));
        }
        if entries.get("x-amz-cek-alg")? != "AES/GCM/NoPadding" {
            return None;
        }
        let key = DataKey::from_bytes(&bytes(&intermediate["data_key_base64"])?).unwrap();
        Some((key, bytes(entries.get("x-amz-iv")?)?.try_into().unwrap(), b""))
    }
}

#[test]
fn every_vector_is_read_or_refused_as_this_version_promises() {
    let mut opened = 0;
    for vector in Vector::all() {
        for lengths in [&[usize::MAX][..], &[1, 15, 0, 17, 1000]] {
            match (vector.read(lengths), vector.expected_error()) {
                (Ok(plaintext), None) => {
                    assert!(vector.is_valid(), "{}", vector.name);
                    vector.check_plaintext(&plaintext);
                }
                (Err(error), Some(kind)) => assert_eq!(error.kind().name(), kind, "{}: {error}", vector.name),
                (Ok(_), Some(kind)) => panic!("{}: decrypted, should be {kind}", vector.name),
                (Err(error), None) => panic!("{}: {} {error}", vector.name, error.kind().name()),
            }
        }
        opened += usize::from(vector.expected_error().is_none());
    }
    if std::env::var_os("S3EC_VECTORS").is_none() {
        assert!(opened >= OPENED, "only {opened} vectors were decrypted");
    }
}

#[test]
fn wrong_keys_open_nothing() {
    for vector in Vector::all().iter().filter(|vector| vector.is_valid() && vector.expected_error().is_none()) {
        let mut key = vector.wrapping_key();
        key[0] ^= 1;
        let error = open(&keyring(&key), &vector.metadata(), vector.instruction_file()).unwrap_err();
        assert_eq!(error.kind().name(), "unwrap", "{}", vector.name);
    }
}

/// The bodies of other formats and keys are GCM as well, V3 with additional data.
fn decrypts_every_gcm_body<B: Backend>() {
    let mut decrypted = 0;
    for vector in Vector::all().iter().filter(|vector| vector.is_valid()) {
        if let Some((key, nonce, aad)) = vector.content() {
            let opener = Opener::<B>::with_backend(&key, &nonce, aad).unwrap();
            vector.check_plaintext(&open_all(opener, &vector.body(), &[31, 1, 64]).unwrap());
            decrypted += 1;
        }
    }
    assert!(decrypted >= 41 || std::env::var_os("S3EC_VECTORS").is_some(), "only {decrypted}");
}

#[test]
fn both_backends_decrypt_every_gcm_body() {
    decrypts_every_gcm_body::<encrypted_s3_core::gcm::RustCrypto>();
    #[cfg(feature = "aws-lc")]
    decrypts_every_gcm_body::<encrypted_s3_core::gcm::AwsLc>();
}

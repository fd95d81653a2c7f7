//! The objects of `spec/vectors`, and the keys that open them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::keyring::Key;
use encrypted_s3_core::secret::WrappingKey;
use serde_json::{Map, Value};

pub struct Vector {
    pub json: Value,
}

/// All vectors that contain their body, by name. Those with separate files are large and would not test anything else.
pub fn all() -> &'static HashMap<String, Vector> {
    static ALL: OnceLock<HashMap<String, Vector>> = OnceLock::new();
    ALL.get_or_init(|| {
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("spec/vectors"));
        let folder = folders.into_iter().find(|folder| folder.is_dir()).expect("spec/vectors");
        let paths = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
        let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
        let vectors = paths.map(|path| Vector { json: serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() });
        let vectors = vectors.filter(|vector| vector.json["body_base64"].is_string());
        vectors.map(|vector| (vector.json["name"].as_str().unwrap().to_owned(), vector)).collect()
    })
}

/// The permitted results of GCM: the plaintexts of all vectors, by their SHA-256 in hexadecimal digits.
pub fn plaintexts() -> &'static HashSet<String> {
    static PLAINTEXTS: OnceLock<HashSet<String>> = OnceLock::new();
    PLAINTEXTS.get_or_init(|| {
        all().values().filter_map(|vector| vector.json["plaintext_sha256"].as_str().map(str::to_owned)).collect()
    })
}

/// The keys of the vectors, except RSA keys of a single vector and keys in KMS.
pub fn keys() -> Vec<Key> {
    let aes = ["rb-v2-aes256-33", "rb-v2-aes128-64"].map(|name| {
        let bytes = bytes(&all()[name].json["key"]["base64"]);
        Key { id: None, key: WrappingKey::from_bytes(&bytes).unwrap().into() }
    });
    let mut keys = Vec::from(aes);
    if cfg!(feature = "aws-lc") {
        keys.push(Key { id: None, key: rsa_key().into() });
    }
    keys
}

/// The private RSA key of most of the vectors that have one.
pub fn rsa_key() -> encrypted_s3_core::keyring::RsaKey {
    crate::support::rsa_private(all()["java-v2-rsa2048-33"].json["key"]["private_key_pem"].as_str().unwrap())
}

pub fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

impl Vector {
    pub fn body(&self) -> Vec<u8> {
        bytes(&self.json["body_base64"])
    }

    /// The metadata, with unchanged names.
    pub fn metadata(&self) -> Map<String, Value> {
        self.json["metadata"].as_object().unwrap().clone()
    }

    /// The instruction file.
    pub fn file(&self) -> Option<&str> {
        self.json["instruction_file"]["body"].as_str()
    }
}

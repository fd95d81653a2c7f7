//! Wrapped data keys of every kind.
//!
//! The input consists of the number of an object, the length of a material description and that description, and the
//! changes of the wrapped key.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::Result;
use encrypted_s3_core::envelope::{Envelopes, Opened};
use encrypted_s3_core::keyring::Key;
use encrypted_s3_core::kms::{Context, KmsKey, MemoryKms};
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::alteration::{alter, samples};
use super::vectors::{self, Vector};
use crate::support::{decrypt, with_policy};

/// An object for each wrapping algorithm.
const OBJECTS: [&str; 10] = [
    "rb-v2-aes256-33",
    "rb-v3-aes256-33",
    "rb-v2-kms-context",
    "rb-v3-kms-context",
    "jce-legacy-aeswrap-gcm",
    "rb-v1-aes256-16",
    "java-v2-rsa2048-33",
    "rb-v3-rsa2048-instr",
    "jce-legacy-rsa-oaep-sha256-mgf1-sha1-cbc",
    "jce-legacy-rsa-v1",
];
const WITHOUT_RSA: usize = 6;
const KMS_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000";
const WRAPPED: [&str; 3] = ["x-amz-key", "x-amz-key-v2", "x-amz-3"];
const DESCRIPTIONS: [&str; 3] = ["x-amz-matdesc", "x-amz-m", "x-amz-t"];

/// A wrapped key opens only if it is unchanged. The description does not change the result.
pub fn run(input: &[u8]) {
    let [which, length, rest @ ..] = input else { return };
    let count = if cfg!(feature = "aws-lc") { OBJECTS.len() } else { WITHOUT_RSA };
    let vector = &vectors::all()[OBJECTS[usize::from(*which) % count]];
    let (description, alteration) = rest.split_at(usize::from(*length).min(rest.len()));
    let is_of_kms = vector.json["key"]["kind"] == "kms";

    let good = good(vector);
    let altered = alter(&good, alteration);
    // With KMS the description is the encryption context, which must be right.
    let description = (!is_of_kms).then(|| String::from_utf8_lossy(description).into_owned());
    let replace = |entries: Map<String, Value>| replaced(entries, &altered, description.as_deref());
    let metadata = replace(vector.metadata());
    let file = vector.file().map(|file| serde_json::to_vec(&replace(serde_json::from_str(file).unwrap())).unwrap());
    let opened = open(&envelopes(vector, is_of_kms), &metadata, file.as_deref());

    if altered == good {
        let plaintext = opened.and_then(|opened| decrypt(opened.content_key, &vector.body(), &[]));
        assert_eq!(plaintext.unwrap(), vectors::bytes(&vector.json["plaintext_base64"]), "the plaintext is unchanged");
    } else if let Ok(Opened { content_key, .. }) = opened {
        assert!(content_key.is_legacy(), "a changed wrapped key was unwrapped");
    }
}

fn good(vector: &Vector) -> Vec<u8> {
    let file: Map<String, Value> = vector.file().and_then(|file| serde_json::from_str(file).ok()).unwrap_or_default();
    let entries = vector.metadata().into_iter().chain(file);
    let wrapped = entries.into_iter().find(|(name, _)| WRAPPED.contains(&name.as_str()));
    vectors::bytes(&wrapped.unwrap().1)
}

fn replaced(mut entries: Map<String, Value>, wrapped: &[u8], description: Option<&str>) -> Map<String, Value> {
    for (name, value) in &mut entries {
        if WRAPPED.contains(&name.as_str()) {
            *value = STANDARD.encode(wrapped).into();
        } else if let (true, Some(description)) = (DESCRIPTIONS.contains(&name.as_str()), description) {
            *value = description.into();
        }
    }
    entries
}

fn envelopes(vector: &Vector, is_of_kms: bool) -> Envelopes {
    static OWN: OnceLock<Envelopes> = OnceLock::new();
    let profile = Some(SecurityProfile::V3AndLegacy);
    let policy = Policy::new(Some(CommitmentPolicy::RequireEncryptAllowDecrypt), profile).unwrap();
    if !is_of_kms {
        return OWN.get_or_init(|| with_policy(policy, vectors::keys())).clone();
    }
    let key = &vector.json["key"];
    let given = key["encryption_context"].as_object().cloned().unwrap_or_default();
    let given = given.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned()));
    let context = Context::new(given).unwrap();
    let metadata = vector.metadata();
    let stored = metadata.get("x-amz-matdesc").or(metadata.get("x-amz-t")).unwrap();
    let (kms, data_key) = (MemoryKms::new(), vectors::bytes(&key["data_key_base64"]).try_into().unwrap());
    let blob = vectors::bytes(&key["encrypted_data_key_base64"]);
    kms.insert(&blob, KMS_KEY, stored.as_str().unwrap(), data_key).unwrap();
    let envelopes = with_policy(policy, vec![Key { id: None, key: KmsKey::new(KMS_KEY, context).unwrap().into() }]);
    Envelopes { keyring: envelopes.keyring.clone().with_kms(Arc::new(kms)), ..envelopes }
}

/// Runs in a runtime, because requests to KMS run in tasks.
fn open(envelopes: &Envelopes, metadata: &Map<String, Value>, file: Option<&[u8]>) -> Result<Opened> {
    thread_local! {
        static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().build().unwrap());
    }
    let metadata = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap()));
    RUNTIME.with_borrow(|runtime| runtime.block_on(envelopes.open("an object", metadata, file)))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for which in 0..OBJECTS.len() {
        for alteration in samples() {
            for description in ["", "{}", r#"{"key_id":"k1"}"#] {
                let head = [u8::try_from(which).unwrap(), u8::try_from(description.len()).unwrap()];
                seeds.push([&head, description.as_bytes(), &alteration].concat());
            }
        }
    }
    seeds
}

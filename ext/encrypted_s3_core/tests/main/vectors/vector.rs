//! One test vector: the content of its files, and reads of its object.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::Result;
use encrypted_s3_core::download::{Download, DownloadPlan};
use encrypted_s3_core::envelope::{ContentKey, Envelopes};
use encrypted_s3_core::gcm::Nonce;
use encrypted_s3_core::keyring::Key;
use encrypted_s3_core::kms::{Context, KmsKey, MemoryKms};
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::store::{MemoryStore, NewObject};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::support::{Entries, decrypt, key, rsa_private, with_policy};

/// The number of vectors. Without it, the tests would pass with a folder where vectors are missing.
pub const TOTAL: usize = 94;

/// The KMS key of the vectors that have one.
pub const KMS_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000";

pub struct Vector {
    pub name: String,
    pub json: Value,
    pub folder: PathBuf,
}

pub fn bytes(value: &Value) -> Option<Vec<u8>> {
    value.as_str().map(|text| STANDARD.decode(text).unwrap())
}

pub fn hex_sha256(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Vector {
    pub fn all() -> Vec<Self> {
        let folder = std::env::var_os("S3EC_VECTORS")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors"), PathBuf::from);
        let paths = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut paths: Vec<_> = paths.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let mut vectors: Vec<_> = paths
            .into_iter()
            .map(|path| {
                let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
                Self { name: json["name"].as_str().unwrap().to_owned(), json, folder: folder.clone() }
            })
            .collect();
        let expected = if std::env::var_os("S3EC_VECTORS").is_none() { TOTAL } else { 1 };
        assert!(vectors.len() >= expected, "{} vectors in {}", vectors.len(), folder.display());
        vectors.retain(|vector| cfg!(feature = "aws-lc") || vector.json["key"]["kind"] != "rsa");
        vectors
    }

    pub fn metadata(&self) -> Entries {
        let entries = self.json["metadata"].as_object().unwrap().iter();
        entries.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    pub fn instruction_file(&self) -> Option<&[u8]> {
        self.json["instruction_file"]["body"].as_str().map(str::as_bytes)
    }

    pub fn body(&self) -> Vec<u8> {
        bytes(&self.json["body_base64"]).unwrap_or_else(|| {
            let body = fs::read(self.folder.join(self.json["body_file"].as_str().unwrap())).unwrap();
            assert_eq!(hex_sha256(&body), self.json["body_sha256"], "{}", self.name);
            body
        })
    }

    /// The wrapping key.
    pub fn key(&self) -> Key {
        let value = &self.json["key"];
        if self.is_of_kms() {
            return Key { id: None, key: KmsKey::new(KMS_KEY, self.context()).unwrap().into() };
        }
        match value["private_key_pem"].as_str() {
            Some(pem) => Key { id: None, key: rsa_private(pem).into() },
            None => key(None, &bytes(&value["base64"]).unwrap()),
        }
    }

    pub fn is_of_kms(&self) -> bool {
        self.json["key"]["kind"] == "kms"
    }

    /// The writer's encryption context.
    pub fn context(&self) -> Context {
        let given = self.json["key"]["encryption_context"].as_object().cloned().unwrap_or_default();
        Context::new(given.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned()))).unwrap()
    }

    /// A KMS that unwraps the vector's data key, only in the vector's context.
    pub fn kms(&self) -> MemoryKms {
        let (kms, key) = (MemoryKms::new(), &self.json["key"]);
        let metadata = self.entries();
        if let (true, Some(context)) = (self.is_of_kms(), metadata.get("x-amz-matdesc").or(metadata.get("x-amz-t"))) {
            let blob = bytes(&key["encrypted_data_key_base64"]).unwrap();
            let data_key = bytes(&key["data_key_base64"]).unwrap().try_into().unwrap();
            kms.insert(&blob, KMS_KEY, context.as_str().unwrap(), data_key).unwrap();
        }
        kms
    }

    /// A key of the same kind that does not belong to the vector.
    pub fn wrong_key(&self) -> Key {
        let value = &self.json["key"];
        if self.is_of_kms() {
            let other = KmsKey::new(&KMS_KEY.replace("key/0", "key/1"), self.context());
            return Key { id: None, key: other.unwrap().into() };
        }
        let Some(pem) = value["private_key_pem"].as_str() else {
            let mut wrong = bytes(&value["base64"]).unwrap();
            wrong[0] ^= 1;
            return key(None, &wrong);
        };
        let others = Self::all()
            .into_iter()
            .filter_map(|vector| vector.json["key"]["private_key_pem"].as_str().map(str::to_owned));
        Key { id: None, key: rsa_private(&others.into_iter().find(|other| other != pem).unwrap()).into() }
    }

    /// The policy of the vector.
    pub fn policy(&self) -> Policy {
        let option = |name: &str| self.json["options"][name].as_bool().unwrap();
        assert_eq!(option("legacy_wrapping"), option("legacy_unauthenticated"), "{}: one switch for both", self.name);
        let profile = if option("legacy_wrapping") { SecurityProfile::V3AndLegacy } else { SecurityProfile::V3 };
        Policy::new(Some(commitment(option("require_commitment"))), Some(profile)).unwrap()
    }

    pub fn envelopes(&self, policy: Policy) -> Envelopes {
        let suffix = self.json["instruction_file"]["suffix"].as_str().unwrap_or(".instruction").to_owned();
        Envelopes { instruction_file_suffix: Some(suffix), ..self.with_key(policy, self.key()) }
    }

    pub fn with_key(&self, policy: Policy, key: Key) -> Envelopes {
        let envelopes = with_policy(policy, vec![key]);
        Envelopes { keyring: envelopes.keyring.clone().with_kms(Arc::new(self.kms())), ..envelopes }
    }

    pub fn is_valid(&self) -> bool {
        self.json["expected"] == "ok"
    }

    /// All entries by lower-case name, from both places.
    pub fn entries(&self) -> Map<String, Value> {
        let metadata = self.metadata().into_iter().map(|(name, value)| (name, Value::String(value)));
        let file: Map<String, Value> =
            self.instruction_file().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        metadata.chain(file).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }

    /// The required kind of error; `None` for an object that must decrypt.
    pub fn expected_error(&self) -> Option<&str> {
        self.json["error_kind"].as_str()
    }

    pub fn read(&self, policy: Policy, lengths: &[usize]) -> Result<Vec<u8>> {
        decrypt(self.open(&self.envelopes(policy))?, &self.body(), lengths)
    }

    /// Requests to KMS run in tasks.
    pub fn open(&self, envelopes: &Envelopes) -> Result<ContentKey> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let metadata = self.metadata();
        let entries = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let opened = envelopes.open("an object", entries, self.instruction_file());
        runtime.block_on(opened).map(|opened| opened.content_key)
    }

    /// Whether the object is in a legacy format.
    pub fn is_legacy(&self) -> bool {
        self.json["options"]["legacy_wrapping"] == true
    }

    /// The object in a bucket, read like any other.
    pub async fn download(&self, envelopes: &Envelopes, plan: &DownloadPlan) -> Result<Vec<u8>> {
        let memory = MemoryStore::new();
        let object = NewObject { key: "a key".into(), metadata: self.metadata(), ..NewObject::default() };
        memory.replace(object, self.body());
        if let Some(file) = self.instruction_file() {
            let suffix = self.json["instruction_file"]["suffix"].as_str().unwrap();
            memory.replace(NewObject { key: format!("a key{suffix}"), ..NewObject::default() }, file.to_vec());
        }
        let mut download = Download::open(Arc::new(memory), envelopes, plan, "a key").await?;
        let size = download.size();
        let mut plaintext = Vec::new();
        // Steps that end within a block.
        while let Some(chunk) = download.read(997).await? {
            plaintext.extend_from_slice(chunk);
        }
        assert_eq!(size, plaintext.len() as u64, "{}", self.name);
        Ok(plaintext)
    }

    pub fn check_plaintext(&self, plaintext: &[u8]) {
        let expected = bytes(&self.json["plaintext_base64"]).unwrap_or_else(|| {
            let length = self.json["plaintext_len"].as_u64().unwrap();
            (0..length).map(|j| (7 * j + (j >> 8)).to_le_bytes()[0]).collect()
        });
        assert!(plaintext == expected, "{}: another plaintext", self.name);
        assert_eq!(hex_sha256(plaintext), self.json["plaintext_sha256"], "{}", self.name);
    }

    /// Key, nonce and additional data of the content as recorded by the vector's maker, for the GCM formats.
    pub fn content(&self) -> Option<(DataKey, Nonce, &'static [u8])> {
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

    /// The contents of an opened envelope, for the GCM formats.
    pub fn content_key(&self) -> Option<ContentKey> {
        let (_, nonce, _) = self.content()?;
        let data_key = DataKey::from_bytes(&bytes(&self.json["intermediate"]["data_key_base64"])?).unwrap();
        Some(match bytes(self.entries().get("x-amz-i").unwrap_or(&Value::Null)) {
            Some(message_id) => ContentKey::v3(data_key, message_id.try_into().unwrap()).unwrap(),
            None => ContentKey::v2(data_key, nonce),
        })
    }
}

pub fn commitment(required: bool) -> CommitmentPolicy {
    if required { CommitmentPolicy::RequireEncryptRequireDecrypt } else { CommitmentPolicy::RequireEncryptAllowDecrypt }
}

//! Objects written by the real Ruby, Python and Java clients, and damaged ones; see `spec/vectors/README.md`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::Result;
use encrypted_s3_core::download::{Download, DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::{ContentKey, Envelopes, RewrapFile};
use encrypted_s3_core::gcm::{Backend, Nonce, Opener, TAG_LEN};
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::kms::{Context, KmsKey, MemoryKms};
use encrypted_s3_core::place::PlaceBinding;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};
use encrypted_s3_core::secret::DataKey;
use encrypted_s3_core::segments::{Checking, Purpose, SEGMENT_LEN, SegmentReader};
use encrypted_s3_core::store::{MemoryStore, NewObject};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::support::{Entries, Now as _, decrypt, key, open, open_all, rsa_private, with_policy};

/// The number in this repository. A folder with missing vectors would pass silently.
const TOTAL: usize = 94;
/// All valid ones; without RSA all except its nine.
const OPENED: usize = if cfg!(feature = "aws-lc") { 52 } else { 43 };

/// The KMS key of the vectors that have one.
const KMS_KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-0000-0000-000000000000";

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

    /// The wrapping key.
    fn key(&self) -> Key {
        let value = &self.json["key"];
        if self.is_of_kms() {
            return Key { id: None, key: KmsKey::new(KMS_KEY, self.context()).unwrap().into() };
        }
        match value["private_key_pem"].as_str() {
            Some(pem) => Key { id: None, key: rsa_private(pem).into() },
            None => key(None, &bytes(&value["base64"]).unwrap()),
        }
    }

    fn is_of_kms(&self) -> bool {
        self.json["key"]["kind"] == "kms"
    }

    /// The writer's encryption context.
    fn context(&self) -> Context {
        let given = self.json["key"]["encryption_context"].as_object().cloned().unwrap_or_default();
        Context::new(given.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned()))).unwrap()
    }

    /// A KMS that opens the vector's wrapped key, in its own context only.
    fn kms(&self) -> MemoryKms {
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
    fn wrong_key(&self) -> Key {
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
    fn policy(&self) -> Policy {
        let option = |name: &str| self.json["options"][name].as_bool().unwrap();
        assert_eq!(option("legacy_wrapping"), option("legacy_unauthenticated"), "{}: one switch for both", self.name);
        let profile = if option("legacy_wrapping") { SecurityProfile::V3AndLegacy } else { SecurityProfile::V3 };
        Policy::new(Some(commitment(option("require_commitment"))), Some(profile)).unwrap()
    }

    fn envelopes(&self, policy: Policy) -> Envelopes {
        let suffix = self.json["instruction_file"]["suffix"].as_str().unwrap_or(".instruction").to_owned();
        Envelopes { instruction_file_suffix: Some(suffix), ..self.with_key(policy, self.key()) }
    }

    fn with_key(&self, policy: Policy, key: Key) -> Envelopes {
        let envelopes = with_policy(policy, vec![key]);
        Envelopes { keyring: envelopes.keyring.clone().with_kms(Arc::new(self.kms())), ..envelopes }
    }

    fn is_valid(&self) -> bool {
        self.json["expected"] == "ok"
    }

    /// All entries by lower-case name, from both places.
    fn entries(&self) -> Map<String, Value> {
        let metadata = self.metadata().into_iter().map(|(name, value)| (name, Value::String(value)));
        let file: Map<String, Value> =
            self.instruction_file().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
        metadata.chain(file).map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()
    }

    /// The required kind of error; `None` for an object that must decrypt.
    fn expected_error(&self) -> Option<&str> {
        self.json["error_kind"].as_str()
    }

    fn read(&self, policy: Policy, lengths: &[usize]) -> Result<Vec<u8>> {
        decrypt(self.open(&self.envelopes(policy))?, &self.body(), lengths)
    }

    /// Requests to KMS run in tasks.
    fn open(&self, envelopes: &Envelopes) -> Result<ContentKey> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let metadata = self.metadata();
        let entries = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let opened = envelopes.open("an object", entries, self.instruction_file());
        runtime.block_on(opened).map(|opened| opened.content_key)
    }

    /// Whether the object has neither of the present forms of V2 and V3.
    fn is_legacy(&self) -> bool {
        self.json["options"]["legacy_wrapping"] == true
    }

    /// The object in a bucket, read like any other.
    async fn download(&self, envelopes: &Envelopes, plan: &DownloadPlan) -> Result<Vec<u8>> {
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

    fn check_plaintext(&self, plaintext: &[u8]) {
        let expected = bytes(&self.json["plaintext_base64"]).unwrap_or_else(|| {
            let length = self.json["plaintext_len"].as_u64().unwrap();
            (0..length).map(|j| (7 * j + (j >> 8)).to_le_bytes()[0]).collect()
        });
        assert!(plaintext == expected, "{}: another plaintext", self.name);
        assert_eq!(hex_sha256(plaintext), self.json["plaintext_sha256"], "{}", self.name);
    }

    /// Key, nonce and additional data of the content as recorded by the vector's maker, for the GCM formats.
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

    /// The contents of an opened envelope, for the GCM formats.
    fn content_key(&self) -> Option<ContentKey> {
        let (_, nonce, _) = self.content()?;
        let data_key = DataKey::from_bytes(&bytes(&self.json["intermediate"]["data_key_base64"])?).unwrap();
        Some(match bytes(self.entries().get("x-amz-i").unwrap_or(&Value::Null)) {
            Some(message_id) => ContentKey::v3(data_key, message_id.try_into().unwrap()).unwrap(),
            None => ContentKey::v2(data_key, nonce),
        })
    }
}

fn commitment(required: bool) -> CommitmentPolicy {
    if required { CommitmentPolicy::RequireEncryptRequireDecrypt } else { CommitmentPolicy::RequireEncryptAllowDecrypt }
}

/// Checks that a test saw `expected` vectors, without the `of_rsa` ones in a build without RSA.
fn at_least(expected: usize, of_rsa: usize, seen: usize) {
    let expected = if cfg!(feature = "aws-lc") { expected } else { expected - of_rsa };
    assert!(seen >= expected || std::env::var_os("S3EC_VECTORS").is_some(), "only {seen} of {expected}");
}

fn strict() -> Policy {
    Policy::new(Some(commitment(true)), None).unwrap()
}

/// Checks one reading of a vector against its required result.
fn check(vector: &Vector, read: Result<Vec<u8>>, expected: Option<&str>) {
    match (read, expected) {
        (Ok(plaintext), None) => {
            assert!(vector.is_valid(), "{}", vector.name);
            vector.check_plaintext(&plaintext);
        }
        (Err(error), Some(kind)) => assert_eq!(error.kind().name(), kind, "{}: {error}", vector.name),
        (Ok(_), Some(kind)) => panic!("{}: decrypted, should be {kind}", vector.name),
        (Err(error), None) => panic!("{}: {} {error}", vector.name, error.kind().name()),
    }
}

#[test]
fn every_vector_is_read_or_refused_with_its_kind_under_its_options() {
    let mut opened = 0;
    for vector in Vector::all() {
        for lengths in [&[usize::MAX][..], &[1, 15, 0, 17, 1000]] {
            check(&vector, vector.read(vector.policy(), lengths), vector.expected_error());
        }
        opened += usize::from(vector.expected_error().is_none());
    }
    if std::env::var_os("S3EC_VECTORS").is_none() {
        assert_eq!(opened, OPENED, "vectors were decrypted");
    }
}

#[tokio::test]
async fn every_vector_is_read_or_refused_with_its_kind_as_an_object_in_a_bucket() {
    let ranges = [1 << 20, 16, 50].map(|size| RangePlan { size, concurrency: 3 });
    for vector in Vector::all() {
        let envelopes = vector.envelopes(vector.policy());
        for (ranges, memory_limit) in [(ranges[0], 1 << 30), (ranges[0], 0), (ranges[1], 1 << 30), (ranges[2], 0)] {
            // A megabyte in ranges of 16 bytes shows no more than 70,000 bytes.
            if ranges.size > 1000 || vector.body().len() < 100_000 {
                let plan = DownloadPlan { ranges, memory_limit, segment_index: true, maps: None };
                check(&vector, vector.download(&envelopes, &plan).await, vector.expected_error());
            }
        }
    }
}

#[test]
fn the_strict_policy_refuses_what_has_no_commitment_before_anything_else() {
    let mut refused = 0;
    for vector in Vector::all() {
        let read = vector.read(strict(), &[]);
        match (vector.json["default_policy_error"].as_str(), vector.expected_error()) {
            (Some(kind), _) => {
                check(&vector, read, Some(kind));
                refused += 1;
            }
            (None, None) => check(&vector, read, None),
            (None, Some(_)) => assert!(read.is_err(), "{}", vector.name),
        }
    }
    at_least(35, 7, refused);
}

#[test]
fn a_bare_configuration_reads_v2_and_v3_and_no_legacy() {
    for vector in Vector::all().iter().filter(|vector| vector.is_valid()) {
        let expected = if vector.is_legacy() { Some("legacy-disabled") } else { vector.expected_error() };
        check(vector, vector.read(Policy::default(), &[]), expected);
    }
}

#[test]
fn the_legacy_policies_of_both_clients_read_the_same() {
    let policies = [
        Policy::new(None, Some(SecurityProfile::V2AndLegacy)).unwrap(),
        Policy::new(None, Some(SecurityProfile::V3AndLegacy)).unwrap(),
    ];
    for vector in Vector::all().iter().filter(|vector| vector.is_legacy()) {
        for policy in policies {
            check(vector, vector.read(policy, &[]), vector.expected_error());
        }
    }
}

#[test]
fn objects_of_kms_are_refused_by_a_keyring_without_a_key_in_kms() {
    let mut refused = 0;
    for vector in Vector::all().iter().filter(|vector| vector.is_of_kms() && vector.is_valid()) {
        let error = vector.open(&with_policy(vector.policy(), vec![key(None, &[0x5a; 32])])).unwrap_err();
        assert_eq!(error.kind().name(), "key-mismatch");
        assert!(error.to_string().contains("wrapped by AWS KMS, but this service has no KMS key"), "{error}");
        refused += 1;
    }
    at_least(3, 0, refused);
}

#[tokio::test]
async fn instruction_files_are_not_looked_at_unless_the_configuration_says_so() {
    let plan = DownloadPlan {
        ranges: RangePlan { size: 1 << 20, concurrency: 1 },
        memory_limit: 1 << 20,
        segment_index: true,
        maps: None,
    };
    let mut refused = 0;
    for vector in Vector::all().iter().filter(|vector| vector.instruction_file().is_some()) {
        let envelopes = Envelopes { instruction_file_suffix: None, ..vector.envelopes(vector.policy()) };
        check(vector, vector.download(&envelopes, &plan).await, Some("missing-envelope"));
        refused += 1;
    }
    at_least(9, 3, refused);
}

/// Like Java's `reEncryptInstructionFile`: in V3 the object's own entries stay, and with them the commitment.
#[test]
fn an_instruction_file_gets_the_data_key_wrapped_by_another_key() {
    let mut rewrapped = 0;
    for vector in Vector::all().iter().filter(|vector| vector.is_valid() && !vector.is_legacy()) {
        let Some(file) = vector.instruction_file() else { continue };
        let new = || key(Some("new"), &[0x7e; 32]);
        let both = Envelopes {
            place: PlaceBinding::Verify,
            keyring: Keyring::new(vec![new(), vector.key()]).unwrap(),
            ..vector.envelopes(vector.policy())
        };
        let rewrap = both.rewrap_file("an object", &vector.metadata(), file).now().unwrap();
        let RewrapFile::File(_, file) = rewrap else { panic!("{}: {rewrap:?}", vector.name) };
        let after = Envelopes { keyring: Keyring::new(vec![new()]).unwrap(), ..vector.envelopes(vector.policy()) };
        let content = open(&after, &vector.metadata(), Some(&file)).unwrap();
        vector.check_plaintext(&decrypt(content, &vector.body(), &[]).unwrap());
        let again = both.rewrap_file("an object", &vector.metadata(), &file).now().unwrap();
        assert!(matches!(again, RewrapFile::Current(_)), "{}", vector.name);
        rewrapped += 1;
    }
    at_least(5, 3, rewrapped);
}

/// V1 has no check of its own for a wrong key, and must not have one: it fails like a damaged body.
#[test]
fn wrong_keys_open_nothing() {
    for vector in Vector::all().iter().filter(|vector| vector.is_valid() && vector.expected_error().is_none()) {
        let envelopes = vector.with_key(vector.policy(), vector.wrong_key());
        let error = vector.open(&envelopes).and_then(|content| decrypt(content, &vector.body(), &[])).unwrap_err();
        let expected = if vector.entries().contains_key("x-amz-key") { "cbc" } else { "unwrap" };
        assert_eq!(error.kind().name(), expected, "{}", vector.name);
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
    at_least(41, 7, decrypted);
}

#[test]
fn both_backends_decrypt_every_gcm_body() {
    decrypts_every_gcm_body::<encrypted_s3_core::gcm::RustCrypto>();
    #[cfg(feature = "aws-lc")]
    decrypts_every_gcm_body::<encrypted_s3_core::gcm::AwsLc>();
}

/// None of this is particular to our objects: a reader that has checked an object once reads any part of it.
#[test]
fn objects_of_other_clients_are_read_by_segments_after_one_check() {
    let mut seen = 0;
    for vector in Vector::all().iter().filter(|vector| vector.is_valid()) {
        let Some(key) = vector.content_key() else { continue };
        let body = vector.body();
        let (text, tag) = body.split_at(body.len() - TAG_LEN);
        let mut checking = Checking::start(&key, Purpose::Memory).unwrap();
        checking.update(&mut text.to_vec()).unwrap();
        let map = Arc::new(checking.finish(tag).unwrap().0);
        let mut reader: SegmentReader = map.reader(&key, text.len() as u64).unwrap();
        let mut plaintext = text.to_vec();
        for (number, segment) in plaintext.chunks_mut(SEGMENT_LEN).enumerate().rev() {
            reader.open(number as u64, segment).unwrap();
        }
        vector.check_plaintext(&plaintext);
        seen += 1;
    }
    at_least(41, 7, seen);
}

//! Objects written by Amazon's Ruby, Python and Java clients, and damaged ones; see `spec/vectors/README.md`.

use std::sync::Arc;

use encrypted_s3_core::Result;
use encrypted_s3_core::download::{DownloadPlan, RangePlan};
use encrypted_s3_core::envelope::{Envelopes, RewrapFile};
use encrypted_s3_core::gcm::{Backend, Opener, TAG_LEN};
use encrypted_s3_core::keyring::Keyring;
use encrypted_s3_core::place::PlaceBinding;
use encrypted_s3_core::policy::{Policy, SecurityProfile};
use encrypted_s3_core::segments::{Checking, Purpose, SEGMENT_LEN, SegmentReader};

use crate::support::{Now as _, decrypt, key, open, open_all, with_policy};

use vector::{Vector, commitment};

mod vector;

/// The number of valid vectors. Nine of them need RSA.
const OPENED: usize = if cfg!(feature = "aws-lc") { 52 } else { 43 };

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
fn every_vector_has_its_required_result_under_its_options() {
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
async fn every_vector_has_its_required_result_as_an_object_in_a_bucket() {
    let ranges = [1 << 20, 16, 50].map(|size| RangePlan { size, concurrency: 3 });
    for vector in Vector::all() {
        let envelopes = vector.envelopes(vector.policy());
        for (ranges, memory_limit) in [(ranges[0], 1 << 30), (ranges[0], 0), (ranges[1], 1 << 30), (ranges[2], 0)] {
            // Reading a megabyte in ranges of 16 bytes tests no more than 70,000 bytes do.
            if ranges.size > 1000 || vector.body().len() < 100_000 {
                let plan = DownloadPlan { ranges, memory_limit, segment_index: true, maps: None, map_settings: None };
                check(&vector, vector.download(&envelopes, &plan).await, vector.expected_error());
            }
        }
    }
}

#[test]
fn the_strict_policy_refuses_objects_without_commitment_first() {
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
fn the_default_policy_reads_v2_and_v3_but_no_legacy() {
    for vector in Vector::all().iter().filter(|vector| vector.is_valid()) {
        let expected = if vector.is_legacy() { Some("legacy-disabled") } else { vector.expected_error() };
        check(vector, vector.read(Policy::default(), &[]), expected);
    }
}

#[test]
fn the_legacy_policies_of_both_clients_read_the_same_vectors() {
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
fn a_keyring_without_a_kms_key_refuses_objects_of_kms() {
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
async fn instruction_files_are_read_only_if_configured() {
    let plan = DownloadPlan {
        ranges: RangePlan { size: 1 << 20, concurrency: 1 },
        memory_limit: 1 << 20,
        segment_index: true,
        maps: None,
        map_settings: None,
    };
    let mut refused = 0;
    for vector in Vector::all().iter().filter(|vector| vector.instruction_file().is_some()) {
        let envelopes = Envelopes { instruction_file_suffix: None, ..vector.envelopes(vector.policy()) };
        check(vector, vector.download(&envelopes, &plan).await, Some("missing-envelope"));
        refused += 1;
    }
    at_least(9, 3, refused);
}

/// Like Java's `reEncryptInstructionFile`: in V3 the object keeps its own entries, including the commitment.
#[test]
fn a_rewrapped_instruction_file_opens_the_object_with_the_new_key() {
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

/// In V1 a wrong key must cause the same error as a damaged body.
#[test]
fn wrong_keys_open_nothing() {
    for vector in Vector::all().iter().filter(|vector| vector.is_valid() && vector.expected_error().is_none()) {
        let envelopes = vector.with_key(vector.policy(), vector.wrong_key());
        let error = vector.open(&envelopes).and_then(|content| decrypt(content, &vector.body(), &[])).unwrap_err();
        let expected = if vector.entries().contains_key("x-amz-key") { "cbc" } else { "unwrap" };
        assert_eq!(error.kind().name(), expected, "{}", vector.name);
    }
}

/// The bodies of other formats and keys are also GCM, in V3 with additional data.
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

/// Objects of other clients can be read in parts too, after they were checked once.
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

//! The accepted RSA keys, and their capabilities.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::{Key, RsaKey};
use encrypted_s3_core::policy::{CommitmentPolicy, Policy};

use crate::support::{
    Entries, Now as _, decrypt, der, envelopes, key, kind, open, rsa_private, seal_all, value, with_policy,
};

static PEM: LazyLock<String> = LazyLock::new(|| rsa_pem(2048));

/// The private key of a vector with an RSA key of this size, in PEM.
fn rsa_pem(bits: usize) -> String {
    let path = format!("{}/../../spec/vectors/rb-v2-rsa{bits}-100.json", env!("CARGO_MANIFEST_DIR"));
    let vector: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    vector["key"]["private_key_pem"].as_str().unwrap().to_owned()
}

/// The `SubjectPublicKeyInfo` of a private key in PEM.
fn rsa_public_der(pem: &str) -> Vec<u8> {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let pkcs1 = STANDARD.decode(lines.collect::<String>()).unwrap();
    // A sequence of version, modulus (a length in two bytes) and exponent (a length in one).
    let modulus = &pkcs1[7..];
    let length = usize::from(u16::from_be_bytes([modulus[2], modulus[3]]));
    let (modulus, exponent) = modulus.split_at(4 + length);
    let exponent = &exponent[..2 + usize::from(exponent[1])];
    spki(&[modulus, exponent].concat())
}

/// The `SubjectPublicKeyInfo` around a modulus and an exponent in DER.
fn spki(numbers: &[u8]) -> Vec<u8> {
    let algorithm = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let bits = [&[0], &der(0x30, numbers)[..]].concat();
    der(0x30, &[&algorithm[..], &der(0x03, &bits)].concat())
}

fn private(id: Option<&str>) -> Key {
    Key { id: id.map(str::to_owned), key: rsa_private(&PEM).into() }
}

fn public(id: Option<&str>) -> Key {
    Key { id: id.map(str::to_owned), key: RsaKey::from_public_der(&rsa_public_der(&PEM)).unwrap().into() }
}

fn larger() -> Key {
    Key { id: None, key: rsa_private(&rsa_pem(4096)).into() }
}

fn committing() -> Policy {
    Policy::new(Some(CommitmentPolicy::RequireEncryptRequireDecrypt), None).unwrap()
}

fn sealed(envelopes: &Envelopes) -> (Entries, Vec<u8>) {
    let (sealer, entries) = envelopes.seal("an object").now().unwrap();
    (entries, seal_all(sealer, b"plaintext", &[]))
}

fn read(envelopes: &Envelopes, (entries, body): &(Entries, Vec<u8>)) -> encrypted_s3_core::Result<Vec<u8>> {
    decrypt(open(envelopes, entries, None)?, body, &[])
}

#[test]
fn the_private_key_reads_objects_of_the_public_key_in_both_formats() {
    for policy in [Policy::default(), committing()] {
        let object = sealed(&with_policy(policy, vec![public(Some("k"))]));
        assert_eq!(read(&with_policy(policy, vec![private(None)]), &object).unwrap(), b"plaintext");
        assert_eq!(
            read(&with_policy(policy, vec![key(None, &[1; 32]), private(Some("k"))]), &object).unwrap(),
            b"plaintext"
        );
    }
}

#[test]
fn the_wrapped_key_has_the_specified_name_and_the_length_of_the_modulus() {
    for (bits, writer) in [(2048, public(None)), (4096, larger())] {
        let (mut v2, _) = sealed(&envelopes(vec![writer]));
        assert_eq!(value(&mut v2, "x-amz-wrap-alg"), "RSA-OAEP-SHA1");
        assert_eq!(STANDARD.decode(value(&mut v2, "x-amz-key-v2")).unwrap().len(), bits / 8);
        // S3 allows 2 KB of metadata.
        assert!(v2.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() < 1024);
    }
    let (mut v3, _) = sealed(&with_policy(committing(), vec![public(None)]));
    assert_eq!(value(&mut v3, "x-amz-w"), "22");
}

#[test]
fn reading_with_a_public_key_fails_and_names_the_setting() {
    let object = sealed(&envelopes(vec![public(Some("front"))]));
    let error = read(&envelopes(vec![public(Some("front"))]), &object).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyMismatch);
    assert!(error.to_string().contains("set the private key as `encryption_key`"), "{error}");
    // The same with another private key, which cannot help.
    let error = read(&envelopes(vec![public(Some("front")), larger()]), &object).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unwrap);
    assert!(error.to_string().contains("\"front\" is a public RSA key"), "{error}");
}

#[test]
fn a_key_of_the_wrong_kind_has_its_own_error() {
    let aes = vec![key(Some("a"), &[1; 32])];
    let by_rsa = sealed(&envelopes(vec![public(None)]));
    let by_aes = sealed(&envelopes(vec![key(Some("a"), &[1; 32])]));
    let error = read(&envelopes(aes), &by_rsa).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyMismatch);
    assert!(error.to_string().contains("wrapped by an RSA key"), "{error}");
    let error = read(&envelopes(vec![private(None)]), &by_aes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyMismatch);
    assert!(error.to_string().contains("wrapped by an AES key"), "{error}");
    assert_eq!(kind(read(&envelopes(vec![larger()]), &by_rsa)), Some(ErrorKind::Unwrap));
}

/// An object of one format whose wrapped key goes into an envelope of the other.
#[test]
fn a_wrapped_key_is_bound_to_its_format() {
    let reader = || vec![private(None)];
    let (mut v2, body) = sealed(&envelopes(vec![public(None)]));
    let (mut v3, other) = sealed(&with_policy(committing(), vec![public(None)]));
    std::mem::swap(value(&mut v2, "x-amz-key-v2"), value(&mut v3, "x-amz-3"));
    assert_eq!(kind(read(&envelopes(reader()), &(v2, body))), Some(ErrorKind::AlgMismatch));
    assert_eq!(kind(read(&with_policy(committing(), reader()), &(v3, other))), Some(ErrorKind::AlgMismatch));
}

#[test]
fn a_wrapped_key_that_is_changed_or_has_another_length_is_refused() {
    let reader = envelopes(vec![private(None)]);
    let (mut entries, body) = sealed(&reader);
    let wrapped = STANDARD.decode(value(&mut entries, "x-amz-key-v2")).unwrap();
    let mut changed: Vec<Vec<u8>> = (0..wrapped.len())
        .step_by(17)
        .map(|at| {
            let mut changed = wrapped.clone();
            changed[at] ^= 0x40;
            changed
        })
        .collect();
    changed.extend([wrapped[1..].to_vec(), [&wrapped[..], &[0]].concat(), vec![0; 256], vec![0xff; 256], vec![1; 60]]);
    for wrapped in changed {
        *value(&mut entries, "x-amz-key-v2") = STANDARD.encode(wrapped);
        assert_eq!(kind(read(&reader, &(entries.clone(), body.clone()))), Some(ErrorKind::Unwrap));
    }
}

#[test]
fn invalid_keys_and_keys_of_other_sizes_are_refused() {
    let exponent = b"\x02\x03\x01\x00\x01";
    let of_bytes = |length: usize| {
        let modulus = [&[0, 0xc1], &vec![0x5b; length - 1][..]].concat();
        spki(&[&der(0x02, &modulus)[..], exponent].concat())
    };
    for length in [2048 / 8 - 8, 4096 / 8 + 8, 1024] {
        assert_eq!(kind(RsaKey::from_public_der(&of_bytes(length))), Some(ErrorKind::Configuration), "{length} bytes");
    }
    for length in [2048 / 8, 3072 / 8, 4096 / 8] {
        assert!(RsaKey::from_public_der(&of_bytes(length)).is_ok(), "{length} bytes");
    }
    let private = rsa_public_der(&PEM);
    for junk in [&b""[..], b"junk", &[0x30; 300], &private[1..]] {
        assert_eq!(kind(RsaKey::from_public_der(junk)), Some(ErrorKind::Configuration));
        assert_eq!(kind(RsaKey::from_private_der(junk)), Some(ErrorKind::Configuration));
    }
    assert_eq!(kind(RsaKey::from_private_der(&private)), Some(ErrorKind::Configuration), "a public key");
}

#[test]
fn keys_print_no_secret() {
    let printed = format!("{:?} {:?}", private(Some("k1")), public(Some("k2")));
    assert!(printed.contains("RsaKey(private, [redacted])") && printed.contains("RsaKey(public)"), "{printed}");
}

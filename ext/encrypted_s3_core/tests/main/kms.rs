//! Data keys by AWS KMS: the requests, and the handling of the responses.

use std::collections::HashMap;
use std::sync::Arc;

use encrypted_s3_core::envelope::{Envelopes, Rewrap, describe};
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::kms::{CONTEXT_ALGORITHM, Context, KmsKey, MAX_CONTEXT_LEN, MemoryKms};
use encrypted_s3_core::place::PlaceBinding;
use encrypted_s3_core::policy::{CommitmentPolicy, Policy, SecurityProfile};
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::{ErrorKind, Result};
use serde_json::{Value, json};

use crate::support::{Entries, kind};

const A: &str = "arn:aws:kms:us-east-1:111122223333:key/aaaaaaaa-0000-0000-0000-000000000000";
const B: &str = "arn:aws:kms:us-east-1:111122223333:key/bbbbbbbb-0000-0000-0000-000000000000";
const ELSEWHERE: &str = "arn:aws:kms:eu-central-1:111122223333:key/cccccccc-0000-0000-0000-000000000000";

fn context(entries: &[(&str, &str)]) -> Context {
    Context::new(entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).unwrap()
}

fn in_kms(id: &str) -> Key {
    Key { id: None, key: KmsKey::new(id, Context::default()).unwrap().into() }
}

fn in_context(id: &str, entries: &[(&str, &str)]) -> Key {
    Key { id: None, key: KmsKey::new(id, context(entries)).unwrap().into() }
}

fn aes() -> Key {
    Key { id: Some("aes".into()), key: WrappingKey::from_bytes(&[7; 32]).unwrap().into() }
}

fn v2() -> Policy {
    Policy::default()
}

fn v3() -> Policy {
    Policy::new(Some(CommitmentPolicy::RequireEncryptAllowDecrypt), None).unwrap()
}

fn envelopes(kms: &MemoryKms, policy: Policy, keys: Vec<Key>) -> Envelopes {
    let keyring = Keyring::new(keys).unwrap().with_kms(Arc::new(kms.clone()));
    Envelopes { policy, ..Envelopes::from(keyring) }
}

async fn seal(envelopes: &Envelopes) -> Entries {
    envelopes.seal("a key").await.unwrap().1
}

fn pairs(entries: &Entries) -> impl Iterator<Item = (&str, &str)> + Clone {
    entries.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

/// The id of the key that unwraps the data key.
async fn open(envelopes: &Envelopes, entries: &Entries) -> Result<String> {
    let opened = envelopes.open("a key", pairs(entries), None).await?;
    Ok(opened.key.unwrap().id.unwrap())
}

fn by_name(entries: &Entries) -> HashMap<&str, &str> {
    pairs(entries).collect()
}

fn rotated(rewrap: Result<Rewrap>) -> Entries {
    match rewrap.unwrap() {
        Rewrap::Metadata(_, entries) => entries,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn v2_stores_the_whole_encryption_context_as_material_description() {
    let kms = MemoryKms::new();
    let entries = seal(&envelopes(&kms, v2(), vec![in_context(A, &[("team", "é\u{1f511}")])])).await;
    let named = by_name(&entries);
    assert_eq!(named["x-amz-wrap-alg"], "kms+context");
    assert_eq!(named["x-amz-cek-alg"], "AES/GCM/NoPadding");
    let description: Value = serde_json::from_str(named["x-amz-matdesc"]).unwrap();
    assert_eq!(description, json!({ CONTEXT_ALGORITHM: "AES/GCM/NoPadding", "team": "é\u{1f511}" }));
    assert!(named["x-amz-matdesc"].is_ascii(), "S3 returns text that is not ASCII in another encoding");
    assert_eq!(named["encrypted-s3-kms-key"], A);
}

#[tokio::test]
async fn v3_stores_the_encryption_context_in_its_own_entry() {
    let kms = MemoryKms::new();
    let entries = seal(&envelopes(&kms, v3(), vec![in_kms(A)])).await;
    let named = by_name(&entries);
    assert_eq!(named["x-amz-w"], "12");
    assert_eq!(named["x-amz-t"], format!("{{\"{CONTEXT_ALGORITHM}\":\"115\"}}"));
    assert!(!named.contains_key("x-amz-m"));
}

#[tokio::test]
async fn writing_and_reading_take_one_request_each_with_any_number_of_keys() {
    for policy in [v2(), v3()] {
        let kms = MemoryKms::new();
        let entries = seal(&envelopes(&kms, policy, vec![in_kms(A)])).await;
        let reader = envelopes(&kms, policy, vec![in_kms(B), aes(), in_kms(ELSEWHERE), in_kms(A)]);
        assert_eq!(open(&reader, &entries).await.unwrap(), A);
        assert_eq!(kms.requests(), [format!("GenerateDataKey {A}"), format!("Decrypt {A}")]);
    }
}

#[tokio::test]
async fn objects_that_do_not_name_their_key_are_tried_with_each_key() {
    let kms = MemoryKms::new();
    let mut entries = seal(&envelopes(&kms, v3(), vec![in_kms(A)])).await;
    entries.retain(|(name, _)| name != "encrypted-s3-kms-key");
    assert_eq!(open(&envelopes(&kms, v3(), vec![in_kms(B), in_kms(A)]), &entries).await.unwrap(), A);
}

#[tokio::test]
async fn a_key_that_is_not_configured_is_used_only_if_any_key_is_allowed() {
    let kms = MemoryKms::new();
    let entries = seal(&envelopes(&kms, v3(), vec![in_kms(A)])).await;
    let strict = envelopes(&kms, v3(), vec![in_kms(B)]);
    assert_eq!(kind(open(&strict, &entries).await), Some(ErrorKind::Unwrap));
    let any = Key { id: None, key: KmsKey::any(Context::default()).into() };
    assert_eq!(open(&envelopes(&kms, v3(), vec![in_kms(B), any]), &entries).await.unwrap(), A);
}

#[tokio::test]
async fn a_wrong_context_is_refused_without_a_request() {
    for policy in [v2(), v3()] {
        let kms = MemoryKms::new();
        let entries = seal(&envelopes(&kms, policy, vec![in_context(A, &[("team", "x")])])).await;
        for expected in [&[][..], &[("team", "y")], &[("team", "x"), ("more", "")]] {
            let reader = envelopes(&kms, policy, vec![in_context(A, expected)]);
            let error = open(&reader, &entries).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ContextMismatch, "{expected:?}");
            assert!(error.to_string().contains("`kms_encryption_context`"), "{error}");
        }
        assert_eq!(kms.requests().len(), 1, "{:?}", kms.requests());
    }
}

#[tokio::test]
async fn a_context_that_is_invalid_or_for_another_algorithm_is_refused_without_a_request() {
    let kms = MemoryKms::new();
    for (policy, name, other) in [(v2(), "x-amz-matdesc", "115"), (v3(), "x-amz-t", "AES/GCM/NoPadding")] {
        let reader = envelopes(&kms, policy, vec![in_kms(A)]);
        let sealed = seal(&reader).await;
        let algorithm = format!("{{\"{CONTEXT_ALGORITHM}\":\"{other}\"}}");
        for (text, expected) in [
            (algorithm.as_str(), ErrorKind::AlgMismatch),
            ("{}", ErrorKind::AlgMismatch),
            ("", ErrorKind::AlgMismatch),
            ("[]", ErrorKind::Malformed),
            ("{\"a\":1}", ErrorKind::Malformed),
            ("=", ErrorKind::Malformed),
        ] {
            let mut entries = sealed.clone();
            *crate::support::value(&mut entries, name) = text.to_owned();
            assert_eq!(kind(open(&reader, &entries).await), Some(expected), "{name} {text}");
        }
    }
    assert!(kms.requests().iter().all(|request| request.starts_with("GenerateDataKey")), "{:?}", kms.requests());
}

#[tokio::test]
async fn a_changed_context_or_ciphertext_does_not_open() {
    let kms = MemoryKms::new();
    let (one, other) = (in_context(A, &[("team", "x")]), in_context(A, &[("team", "y")]));
    let mut entries = seal(&envelopes(&kms, v3(), vec![one])).await;
    let reader = envelopes(&kms, v3(), vec![other]);
    *crate::support::value(&mut entries, "x-amz-t") = format!("{{\"{CONTEXT_ALGORITHM}\":\"115\",\"team\":\"y\"}}");
    assert_eq!(kind(open(&reader, &entries).await), Some(ErrorKind::Unwrap));
}

#[tokio::test]
async fn a_refused_key_does_not_prevent_reading_with_the_others() {
    for refusal in [ErrorKind::Access, ErrorKind::KeyDisabled, ErrorKind::KeyDestroyed] {
        let kms = MemoryKms::new();
        let mut entries = seal(&envelopes(&kms, v3(), vec![in_kms(A)])).await;
        entries.retain(|(name, _)| name != "encrypted-s3-kms-key");
        kms.refuse(B, refusal);
        let both = envelopes(&kms, v3(), vec![in_kms(B), in_kms(A)]);
        assert_eq!(open(&both, &entries).await.unwrap(), A);
        kms.refuse(A, refusal);
        assert_eq!(kind(open(&both, &entries).await), Some(refusal));
        assert_eq!(kind(envelopes(&kms, v3(), vec![in_kms(A)]).seal("a").await), Some(refusal));
    }
}

#[tokio::test]
async fn an_unreachable_kms_is_requested_once() {
    let kms = MemoryKms::new();
    let reader = envelopes(&kms, v3(), vec![in_kms(A), in_kms(B)]);
    let entries = seal(&reader).await;
    kms.refuse(A, ErrorKind::Transport);
    assert_eq!(kind(open(&reader, &entries).await), Some(ErrorKind::Transport));
    assert_eq!(kms.requests().len(), 2);
}

#[tokio::test]
async fn legacy_objects_are_refused_without_a_request_unless_legacy_is_enabled() {
    let kms = MemoryKms::new();
    let mut entries = seal(&envelopes(&kms, v2(), vec![in_kms(A)])).await;
    let wrapped = by_name(&entries)["x-amz-key-v2"].to_owned();
    let blob = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, wrapped).unwrap();
    let description = format!("{{\"kms_cmk_id\":\"{A}\"}}");
    kms.insert(&blob, A, &description, [9; 32]).unwrap();
    *crate::support::value(&mut entries, "x-amz-wrap-alg") = "kms".to_owned();
    *crate::support::value(&mut entries, "x-amz-matdesc") = description;
    entries.retain(|(name, _)| !name.starts_with("encrypted-s3"));
    assert_eq!(kind(open(&envelopes(&kms, v2(), vec![in_kms(A)]), &entries).await), Some(ErrorKind::LegacyDisabled));
    assert_eq!(kms.requests().len(), 1);
    let legacy = Policy::new(None, Some(SecurityProfile::V2AndLegacy)).unwrap();
    assert_eq!(open(&envelopes(&kms, legacy, vec![in_kms(B), in_kms(A)]), &entries).await.unwrap(), A);
    assert_eq!(kms.requests().len(), 2, "the object names its key");
}

#[tokio::test]
async fn rotation_between_kms_keys_keeps_the_data_key_in_kms_and_the_place_entry() {
    for policy in [v2(), v3()] {
        let kms = MemoryKms::new();
        let entries = seal(&envelopes(&kms, policy, vec![in_kms(A)])).await;
        let rotating = envelopes(&kms, policy, vec![in_context(B, &[("team", "x")]), in_kms(A)]);
        let moved = rotated(rotating.rewrap("a key", &entries).await);
        assert_eq!(kms.requests()[1..], [format!("ReEncrypt {A}")]);
        assert_eq!(by_name(&moved)["encrypted-s3-place"], by_name(&entries)["encrypted-s3-place"]);
        assert_eq!(by_name(&moved)["encrypted-s3-kms-key"], B);
        let reader = envelopes(&kms, policy, vec![in_context(B, &[("team", "x")])]);
        assert_eq!(open(&reader, &moved).await.unwrap(), B);
        assert!(matches!(rotating.rewrap("a key", &moved).await.unwrap(), Rewrap::Current(_)));
    }
}

#[tokio::test]
async fn rotation_binds_an_unbound_object() {
    let kms = MemoryKms::new();
    let unbound = Envelopes { place: PlaceBinding::Off, ..envelopes(&kms, v3(), vec![in_kms(A)]) };
    let entries = seal(&unbound).await;
    let rotating = envelopes(&kms, v3(), vec![in_kms(B), in_kms(A)]);
    let moved = rotated(rotating.rewrap("a key", &entries).await);
    assert_eq!(kms.requests()[1..], [format!("Decrypt {A}"), format!("Encrypt {B}")]);
    let strict = Envelopes { place: PlaceBinding::Require, ..envelopes(&kms, v3(), vec![in_kms(B)]) };
    assert_eq!(open(&strict, &moved).await.unwrap(), B);
}

#[tokio::test]
async fn rotation_between_regions_decrypts_and_encrypts_the_data_key() {
    let kms = MemoryKms::new();
    let entries = seal(&envelopes(&kms, v3(), vec![in_kms(ELSEWHERE)])).await;
    let rotating = envelopes(&kms, v3(), vec![in_kms(A), in_kms(ELSEWHERE)]);
    let moved = rotated(rotating.rewrap("a key", &entries).await);
    assert_eq!(kms.requests()[1..], [format!("Decrypt {ELSEWHERE}"), format!("Encrypt {A}")]);
    assert_eq!(open(&envelopes(&kms, v3(), vec![in_kms(A)]), &moved).await.unwrap(), A);
}

#[tokio::test]
async fn rotation_from_an_aes_key_to_kms_and_back() {
    for policy in [v2(), v3()] {
        let kms = MemoryKms::new();
        let entries = seal(&envelopes(&kms, policy, vec![aes()])).await;
        let moved = rotated(envelopes(&kms, policy, vec![in_kms(A), aes()]).rewrap("a key", &entries).await);
        assert_eq!(kms.requests(), [format!("Encrypt {A}")]);
        assert_eq!(open(&envelopes(&kms, policy, vec![in_kms(A)]), &moved).await.unwrap(), A);
        assert_eq!(by_name(&moved)["encrypted-s3-place"], by_name(&entries)["encrypted-s3-place"]);

        let back = rotated(envelopes(&kms, policy, vec![aes(), in_kms(A)]).rewrap("a key", &moved).await);
        assert_eq!(open(&envelopes(&kms, policy, vec![aes()]), &back).await.unwrap(), "aes");
        let names = |entries: &Entries| {
            let mut names: Vec<_> = entries.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&back), names(&entries), "all entries of KMS are removed");
    }
}

#[tokio::test]
async fn describing_an_object_names_its_key_without_a_request() {
    let kms = MemoryKms::new();
    let entries = seal(&envelopes(&kms, v3(), vec![in_kms(A)])).await;
    assert_eq!(describe(pairs(&entries)).unwrap().key_id.as_deref(), Some(A));
}

#[test]
fn invalid_settings_are_refused() {
    let refused = |result: Result<Context>| kind(result) == Some(ErrorKind::Configuration);
    let one = |name: &str, value: &str| Context::new([(name.to_owned(), value.to_owned())]);
    assert!(refused(one(CONTEXT_ALGORITHM, "115")));
    assert!(refused(one("kms_cmk_id", "x")));
    assert!(refused(one("", "x")));
    assert!(refused(one("a", &"x".repeat(MAX_CONTEXT_LEN))));
    assert!(one("a", "b").is_ok());
    for id in ["", "a b", "é", &"x".repeat(513)] {
        assert_eq!(kind(KmsKey::new(id, Context::default())), Some(ErrorKind::Configuration), "{id}");
    }
    let any = Key { id: None, key: KmsKey::any(Context::default()).into() };
    assert_eq!(kind(Keyring::new(vec![any])), Some(ErrorKind::Configuration));
}

#[test]
fn an_alias_does_not_say_which_key_it_names() {
    let key = |id: &str| KmsKey::new(id, Context::default()).unwrap();
    assert_eq!(key(A).has_arn(A), Some(true));
    assert_eq!(key(A).has_arn(B), Some(false));
    assert_eq!(key("aaaaaaaa-0000-0000-0000-000000000000").has_arn(A), Some(true));
    assert_eq!(key("alias/files").has_arn(A), None);
    assert_eq!(key("arn:aws:kms:us-east-1:111122223333:alias/files").has_arn(A), None);
    let replica = |region: &str| format!("arn:aws:kms:{region}:111122223333:key/mrk-1");
    assert_eq!(key(&replica("us-east-1")).has_arn(&replica("eu-west-1")), Some(true));
    assert_eq!(key(A).region(), Some("us-east-1"));
    assert_eq!(key("alias/files").region(), None);
}

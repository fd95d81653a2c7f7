//! The accepted keys, the one that writes, and the order in which they are tried.

use encrypted_s3_core::ErrorKind;
use encrypted_s3_core::envelope::Envelopes;
use encrypted_s3_core::keyring::Keyring;
use encrypted_s3_core::secret::{DataKey, WrappingKey};

use crate::support::{Entries, Now as _, decrypt, envelopes, key, kind, open, seal_all, under, value};

const PLAINTEXT: &[u8] = b"not a secret";

fn sealed(keyring: &Envelopes) -> (Entries, Vec<u8>) {
    let (sealer, entries) = keyring.seal("an object").now().unwrap();
    (entries, seal_all(sealer, PLAINTEXT, &[]))
}

fn reads(keyring: &Envelopes, (entries, body): &(Entries, Vec<u8>)) -> bool {
    open(keyring, entries, None).and_then(|opener| decrypt(opener, body, &[])).is_ok_and(|text| text == PLAINTEXT)
}

#[test]
fn data_keys_have_32_bytes() {
    for length in [0, 16, 31, 33] {
        assert_eq!(kind(DataKey::from_bytes(&vec![1; length])), Some(ErrorKind::Malformed));
    }
    assert!(DataKey::generate().is_ok());
}

#[test]
fn wrapping_keys_have_the_lengths_of_aes_keys() {
    for length in 0..70 {
        let result = kind(WrappingKey::from_bytes(&vec![1; length]));
        let expected = (![16, 24, 32].contains(&length)).then_some(ErrorKind::Configuration);
        assert_eq!(result, expected, "{length}");
    }
}

#[test]
fn wrapping_keys_of_each_length_round_trip_and_do_not_open_each_other() {
    let keyrings = [16, 24, 32].map(|length| under(&vec![3; length]));
    for (i, writer) in keyrings.iter().enumerate() {
        let object = sealed(writer);
        for (j, reader) in keyrings.iter().enumerate() {
            assert_eq!(reads(reader, &object), i == j);
        }
    }
}

#[test]
fn a_keyring_needs_keys_with_valid_and_different_ids() {
    assert_eq!(kind(Keyring::new(vec![])), Some(ErrorKind::Configuration));
    for id in ["", "tab\t", "new\nline", "del\x7f", "ä", "🔑", &"x".repeat(129)] {
        assert_eq!(kind(Keyring::new(vec![key(Some(id), &[1; 32])])), Some(ErrorKind::Configuration), "{id:?}");
    }
    let twice = vec![key(Some("a"), &[1; 32]), key(Some("b"), &[2; 32]), key(Some("a"), &[3; 32])];
    assert_eq!(kind(Keyring::new(twice)), Some(ErrorKind::Configuration));
    assert!(Keyring::new(vec![key(Some(&"x".repeat(128)), &[1; 32])]).is_ok());
    assert!(Keyring::new(vec![key(None, &[1; 32]), key(None, &[2; 32])]).is_ok(), "two keys without an id");
}

#[test]
fn the_material_description_names_the_writing_key() {
    let described = |id| sealed(&envelopes(vec![key(id, &[1; 32])])).0;
    assert_eq!(value(&mut described(None), "x-amz-matdesc"), "{}");
    assert_eq!(value(&mut described(Some("k1")), "x-amz-matdesc"), r#"{"key_id":"k1"}"#);
    assert_eq!(value(&mut described(Some(r#"a "b" \c"#)), "x-amz-matdesc"), r#"{"key_id":"a \"b\" \\c"}"#);
}

#[test]
fn the_first_key_writes_and_all_keys_read() {
    let old = envelopes(vec![key(Some("old"), &[1; 32])]);
    let new = envelopes(vec![key(Some("new"), &[2; 32])]);
    let both = envelopes(vec![key(Some("new"), &[2; 32]), key(Some("old"), &[1; 32])]);
    assert!(reads(&both, &sealed(&old)));
    assert!(reads(&new, &sealed(&both)));
    assert!(!reads(&old, &sealed(&both)));
}

#[test]
fn the_material_description_only_determines_the_order_of_keys() {
    let keyring = envelopes(vec![key(Some("a"), &[1; 32]), key(Some("b"), &[2; 32])]);
    let junk = [r#"{"key_id":"b"}"#, r#"{"key_id":7}"#, r#"{"key_id":null}"#, "[]", "{", "b", "", "{}", "\u{1f511}"];
    for description in junk {
        let mut object = sealed(&keyring);
        *value(&mut object.0, "x-amz-matdesc") = description.to_owned();
        assert!(reads(&keyring, &object), "{description}");
    }
    let mut object = sealed(&keyring);
    object.0.retain(|(name, _)| name != "x-amz-matdesc");
    assert!(reads(&keyring, &object));
}

#[test]
fn the_error_names_a_key_that_is_not_configured() {
    let (mut entries, _) = sealed(&envelopes(vec![key(Some("2019-key"), &[1; 32])]));
    let unknown = open(&envelopes(vec![key(Some("other"), &[2; 32])]), &entries, None).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unwrap);
    assert!(unknown.to_string().contains("\"2019-key\" is not in `decryption_keys`"), "{unknown}");
    let wrong = open(&envelopes(vec![key(Some("2019-key"), &[2; 32])]), &entries, None).unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Unwrap);
    assert!(!wrong.to_string().contains("decryption_keys"), "{wrong}");
    // S3 returns a description with non-ASCII characters encoded.
    *value(&mut entries, "x-amz-matdesc") = r#"=?UTF-8?Q?{"key=5Fid":"2018-key","a":"=C3=83=C2=A9"}?="#.to_owned();
    let encoded = open(&under(&[2; 32]), &entries, None).unwrap_err();
    assert!(encoded.to_string().contains("\"2018-key\""), "{encoded}");
}

#[test]
fn keys_print_no_secret() {
    let keyring = envelopes(vec![key(Some("k1"), &[0xab; 32])]);
    let printed = format!("{keyring:?} {:?}", WrappingKey::from_bytes(&[0xab; 16]).unwrap());
    assert!(printed.contains("k1") && printed.contains("[redacted]"));
    assert!(!printed.contains("171") && !printed.contains("ab, ab"), "{printed}");
}

#[cfg(not(feature = "aws-lc"))]
#[test]
fn without_aws_lc_the_error_of_an_rsa_key_names_the_feature() {
    use encrypted_s3_core::keyring::RsaKey;
    for error in [RsaKey::from_private_der(b"any"), RsaKey::from_public_der(b"any")].map(|key| key.unwrap_err()) {
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert!(error.to_string().contains("needs the feature `aws-lc`"), "{error}");
    }
}

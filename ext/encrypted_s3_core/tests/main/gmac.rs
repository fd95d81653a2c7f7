//! GMAC and the keystream at an offset: compares both implementations with each other and with GCM.

use encrypted_s3_core::ErrorKind;
#[cfg(feature = "aws-lc")]
use encrypted_s3_core::gcm::AwsLc;
use encrypted_s3_core::gcm::gmac::{Gmac, MacKey};
use encrypted_s3_core::gcm::keystream::{Keystream, counter_block};
use encrypted_s3_core::gcm::{Backend, MAX_PLAINTEXT, RustCrypto, Sealer};
use encrypted_s3_core::secret::DataKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::support::{kind, pieces};

fn mac<B: Backend>(key: &[u8; 32]) -> Gmac<B> {
    Gmac::with_backend(&MacKey::from_bytes(key).unwrap()).unwrap()
}

fn data_key(key: &[u8; 32]) -> DataKey {
    DataKey::from_bytes(key).unwrap()
}

/// GMAC is GCM that encrypts nothing.
fn by_gcm(key: &[u8; 32], nonce: &[u8; 12], message: &[u8]) -> [u8; 16] {
    Sealer::<RustCrypto>::with_backend(&data_key(key), nonce, message).unwrap().finish().unwrap()
}

fn in_pieces<B: Backend>(mac: &mut Gmac<B>, nonce: &[u8; 12], message: &[u8], lengths: &[usize]) -> [u8; 16] {
    mac.start(nonce).unwrap();
    for piece in pieces(&mut message.to_vec(), lengths) {
        mac.update(piece).unwrap();
    }
    mac.finish().unwrap()
}

fn agrees<B: Backend>(key: &[u8; 32], nonces: [&[u8; 12]; 2], message: &[u8], lengths: &[usize]) {
    let mut mac = mac::<B>(key);
    // Several messages under one key, one after the other. One of them is abandoned.
    mac.start(nonces[1]).unwrap();
    mac.update(b"given up").unwrap();
    for nonce in [nonces[0], nonces[1], nonces[0]] {
        let expected = by_gcm(key, nonce, message);
        assert_eq!(in_pieces(&mut mac, nonce, message, lengths), expected);
        mac.verify(nonce, message, &expected).unwrap();
    }
}

fn refuses<B: Backend>(key: &[u8; 32], nonce: &[u8; 12], message: &[u8], tag: &[u8; 16]) {
    assert_eq!(kind(mac::<B>(key).verify(nonce, message, tag)), Some(ErrorKind::Auth));
}

/// The bytes from `offset` of a message of zeros are its keystream.
fn decrypts<B: Backend>(key: &[u8; 32], nonce: &[u8; 12], text: &[u8], offset: usize, ciphertext: &[u8]) {
    let mut keystream = Keystream::<B>::with_backend(&data_key(key), nonce).unwrap();
    for _ in 0..2 {
        let mut data = ciphertext[offset..].to_vec();
        keystream.apply(offset as u64, &mut data).unwrap();
        assert!(data == text[offset..]);
    }
}

proptest! {
    #[test]
    fn the_tag_of_any_message_in_any_pieces_is_that_of_gcm(
        key: [u8; 32],
        nonces: [[u8; 12]; 2],
        message in prop_oneof![vec(any::<u8>(), 0..100), vec(any::<u8>(), 0..100_000)],
        lengths in vec(prop_oneof![0usize..40, 100usize..700, Just(16)], 0..6),
    ) {
        agrees::<RustCrypto>(&key, [&nonces[0], &nonces[1]], &message, &lengths);
        #[cfg(feature = "aws-lc")]
        agrees::<AwsLc>(&key, [&nonces[0], &nonces[1]], &message, &lengths);
    }

    #[test]
    fn any_flipped_bit_of_message_nonce_and_tag_is_noticed(
        key: [u8; 32],
        mut nonce: [u8; 12],
        mut message in vec(any::<u8>(), 0..5_000),
        bit: Index,
    ) {
        let mut tag = by_gcm(&key, &nonce, &message);
        let bit = bit.index((message.len() + 28) * 8);
        let mut all = message.iter_mut().chain(&mut nonce).chain(&mut tag);
        *all.nth(bit / 8).unwrap() ^= 1 << (bit % 8);
        refuses::<RustCrypto>(&key, &nonce, &message, &tag);
        #[cfg(feature = "aws-lc")]
        refuses::<AwsLc>(&key, &nonce, &message, &tag);
    }

    #[test]
    fn a_message_decrypts_from_any_block(
        key: [u8; 32],
        nonce: [u8; 12],
        text in prop_oneof![vec(any::<u8>(), 1..100), vec(any::<u8>(), 1..100_000)],
        block: Index,
    ) {
        let mut ciphertext = text.clone();
        let mut sealer = Sealer::<RustCrypto>::with_backend(&data_key(&key), &nonce, b"").unwrap();
        sealer.update(&mut ciphertext).unwrap();
        let offset = 16 * block.index(text.len().div_ceil(16));
        decrypts::<RustCrypto>(&key, &nonce, &text, offset, &ciphertext);
        #[cfg(feature = "aws-lc")]
        decrypts::<AwsLc>(&key, &nonce, &text, offset, &ciphertext);
    }
}

fn known_answers<B: Backend>() {
    // Test case 13 of McGrew and Viega, "The Galois/Counter Mode of Operation": no data, no additional data.
    let tag = [0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9, 0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb, 0x73, 0x8b];
    assert_eq!(in_pieces(&mut mac::<B>(&[0; 32]), &[0; 12], b"", &[]), tag);
}

#[test]
fn both_backends_return_the_known_answer() {
    known_answers::<RustCrypto>();
    #[cfg(feature = "aws-lc")]
    known_answers::<AwsLc>();
}

/// A tag under the nonce of the previous message would reveal the key.
fn needs_a_nonce_for_each_message<B: Backend>() {
    let mut mac = mac::<B>(&[1; 32]);
    for _ in 0..2 {
        assert_eq!(kind(mac.update(b"more")), Some(ErrorKind::Internal));
        assert_eq!(kind(mac.finish()), Some(ErrorKind::Internal));
        in_pieces(&mut mac, &[2; 12], b"message", &[]);
    }
}

#[test]
fn a_message_that_was_not_started_has_no_tag() {
    needs_a_nonce_for_each_message::<RustCrypto>();
    #[cfg(feature = "aws-lc")]
    needs_a_nonce_for_each_message::<AwsLc>();
}

fn refuses_beyond_the_limit<B: Backend>() {
    let mut keystream = Keystream::<B>::with_backend(&data_key(&[1; 32]), &[2; 12]).unwrap();
    let mut data = [9; 17];
    assert_eq!(kind(keystream.apply(MAX_PLAINTEXT - 16, &mut data)), Some(ErrorKind::TooLarge));
    assert_eq!(kind(keystream.apply(MAX_PLAINTEXT, &mut data)), Some(ErrorKind::TooLarge));
    assert_eq!(kind(keystream.apply(u64::MAX - 15, &mut data)), Some(ErrorKind::TooLarge));
    assert_eq!(kind(keystream.apply(8, &mut data)), Some(ErrorKind::Internal));
    assert_eq!(data, [9; 17]);
    keystream.apply(MAX_PLAINTEXT - 16, &mut data[..16]).unwrap();
    keystream.apply(MAX_PLAINTEXT, &mut []).unwrap();
}

#[test]
fn the_counter_never_wraps() {
    assert!(counter_block(&[0; 12], (1 << 32) - 3).is_some());
    for block in [(1 << 32) - 2, (1 << 32) - 1, 1 << 32, (1 << 32) + 5, u64::MAX] {
        assert_eq!(counter_block(&[0; 12], block), None);
    }
    refuses_beyond_the_limit::<RustCrypto>();
    #[cfg(feature = "aws-lc")]
    refuses_beyond_the_limit::<AwsLc>();
}

#[test]
fn keys_print_no_secret() {
    assert_eq!(format!("{:?}", MacKey::from_bytes(&[0xab; 32]).unwrap()), "MacKey([redacted])");
    assert_eq!(format!("{:?}", mac::<RustCrypto>(&[0xab; 32])), "Gmac([redacted])");
    let keystream = Keystream::<RustCrypto>::with_backend(&data_key(&[0xab; 32]), &[0; 12]).unwrap();
    assert_eq!(format!("{keystream:?}"), "Keystream([redacted])");
}

//! Compares both implementations with each other, with `aes-gcm` for whole messages, and with known answers.

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes256Gcm, Tag};
use encrypted_s3_core::ErrorKind;
#[cfg(feature = "aws-lc")]
use encrypted_s3_core::gcm::AwsLc;
use encrypted_s3_core::gcm::{Backend, MAX_PLAINTEXT, Opener, RustCrypto, Sealer, TAG_LEN, plaintext_len};
use encrypted_s3_core::secret::DataKey;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{kind, open_all, seal_all};

struct Message {
    key: [u8; 32],
    nonce: [u8; 12],
    aad: Vec<u8>,
    plaintext: Vec<u8>,
}

impl Message {
    fn sealer<B: Backend>(&self) -> Sealer<B> {
        Sealer::with_backend(&DataKey::from_bytes(&self.key).unwrap(), &self.nonce, &self.aad).unwrap()
    }

    fn opener<B: Backend>(&self) -> Opener<B> {
        Opener::with_backend(&DataKey::from_bytes(&self.key).unwrap(), &self.nonce, &self.aad).unwrap()
    }

    /// Ciphertext and tag by `aes-gcm`, in one go.
    fn reference(&self) -> Vec<u8> {
        let mut body = self.plaintext.clone();
        let cipher = Aes256Gcm::new(&self.key.into());
        let tag: Tag =
            cipher.encrypt_inout_detached(&self.nonce.into(), &self.aad, body.as_mut_slice().into()).unwrap();
        body.extend(tag);
        body
    }

    fn agrees<B: Backend>(&self, body: &[u8], lengths: &[usize]) {
        assert!(seal_all(self.sealer::<B>(), &self.plaintext, lengths) == body, "another ciphertext or tag");
        assert!(open_all(self.opener::<B>(), body, lengths).unwrap() == self.plaintext, "another plaintext");
    }

    fn refuses<B: Backend>(&self, body: &[u8], lengths: &[usize]) {
        assert_eq!(kind(open_all(self.opener::<B>(), body, lengths)), Some(ErrorKind::Auth));
    }
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    let length = prop_oneof![0usize..40, 100usize..700, Just(16), Just(16 * 1024), 16_000usize..40_000];
    vec(length, 0..8)
}

fn message() -> impl Strategy<Value = Message> {
    let plaintext = prop_oneof![vec(any::<u8>(), 0..100), vec(any::<u8>(), 0..5_000), vec(any::<u8>(), 0..100_000)];
    (any::<[u8; 32]>(), any::<[u8; 12]>(), vec(any::<u8>(), 0..70), plaintext)
        .prop_map(|(key, nonce, aad, plaintext)| Message { key, nonce, aad, plaintext })
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, nonce, aad, plaintext } = self;
        write!(f, "key {key:02x?} nonce {nonce:02x?} aad {aad:02x?} plaintext of {} bytes", plaintext.len())
    }
}

proptest! {
    #[test]
    fn backends_agree_on_any_message_in_any_pieces(message in message(), lengths in lengths()) {
        let body = message.reference();
        message.agrees::<RustCrypto>(&body, &lengths);
        #[cfg(feature = "aws-lc")]
        message.agrees::<AwsLc>(&body, &lengths);
    }

    #[test]
    fn any_flipped_bit_is_noticed(message in message(), lengths in lengths(), bit in any::<prop::sample::Index>()) {
        let mut body = message.reference();
        let bit = bit.index(body.len() * 8);
        body[bit / 8] ^= 1 << (bit % 8);
        message.refuses::<RustCrypto>(&body, &lengths);
        #[cfg(feature = "aws-lc")]
        message.refuses::<AwsLc>(&body, &lengths);
    }

    #[test]
    fn changed_additional_data_is_noticed(mut message in message(), lengths in lengths()) {
        let body = message.reference();
        message.aad.push(0);
        message.refuses::<RustCrypto>(&body, &lengths);
        #[cfg(feature = "aws-lc")]
        message.refuses::<AwsLc>(&body, &lengths);
    }
}

fn unhex<const N: usize>(text: &str) -> [u8; N] {
    let bytes: Vec<u8> = (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

fn known_answers<B: Backend>() {
    // The body of an object that the Ruby client wrote in V2: one zero byte.
    let message = Message {
        key: unhex("38f8ceffafe9cb6d78cd8182be1118f84cc26988fae5799e177974b4e1f6a71e"),
        nonce: unhex("c4c497f9a3b8ab340ac5de9d"),
        aad: vec![],
        plaintext: vec![0],
    };
    message.agrees::<B>(&unhex::<17>("2380defc5e01e894489b956cb0658b271a"), &[]);
    // The same in V3, which has additional data.
    let message = Message {
        key: unhex("0d4db0ae085d3a25c5e3e3dad32127d11f5936832f9216681347824c01688147"),
        nonce: [1; 12],
        aad: vec![0x00, 0x73],
        plaintext: vec![0],
    };
    message.agrees::<B>(&unhex::<17>("9c8fdb0288fefd0868795655bf05c3a12c"), &[]);
    // Test case 14 of McGrew and Viega, "The Galois/Counter Mode of Operation": a block of zeros under zeros.
    let message = Message { key: [0; 32], nonce: [0; 12], aad: vec![], plaintext: vec![0; 16] };
    message.agrees::<B>(&unhex::<32>("cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"), &[]);
}

#[test]
fn both_backends_return_the_known_answers() {
    known_answers::<RustCrypto>();
    #[cfg(feature = "aws-lc")]
    known_answers::<AwsLc>();
}

#[test]
fn a_body_shorter_than_a_tag_is_truncated() {
    for length in 0..TAG_LEN as u64 {
        assert_eq!(kind(plaintext_len(length)), Some(ErrorKind::Truncated));
    }
    assert_eq!(plaintext_len(16).unwrap(), 0);
    assert_eq!(plaintext_len(MAX_PLAINTEXT + 16).unwrap(), MAX_PLAINTEXT);
    assert_eq!(kind(plaintext_len(MAX_PLAINTEXT + 17)), Some(ErrorKind::TooLarge));
}

#[test]
fn keys_and_ciphers_print_no_secret() {
    let message = Message { key: [0xab; 32], nonce: [0; 12], aad: vec![], plaintext: vec![] };
    let key = DataKey::from_bytes(&message.key).unwrap();
    assert_eq!(format!("{key:?}"), "DataKey([redacted])");
    assert_eq!(format!("{:?}", message.sealer::<RustCrypto>()), "Sealer([redacted])");
    assert_eq!(format!("{:?}", message.opener::<RustCrypto>()), "Opener([redacted])");
}

#[test]
fn both_backends_can_move_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Sealer>();
    is_send::<Opener>();
    is_send::<Sealer<RustCrypto>>();
}

/// The tag of the longest possible message.
#[cfg(feature = "aws-lc")]
fn longest_message<B: Backend>() -> [u8; TAG_LEN] {
    let key = DataKey::from_bytes(&[7; 32]).unwrap();
    let mut sealer = Sealer::<B>::with_backend(&key, &[8; 12], b"longest").unwrap();
    let mut piece = vec![0; 1 << 20];
    let mut left = usize::try_from(MAX_PLAINTEXT).unwrap();
    while left > 0 {
        let length = left.min(piece.len());
        // The ciphertext of one piece is the plaintext of the next, so the buffer need not be cleared.
        sealer.update(&mut piece[..length]).unwrap();
        left -= length;
    }
    sealer.finish().unwrap()
}

#[test]
#[ignore = "encrypts 64 GiB twice: some 40 seconds"]
#[cfg(feature = "aws-lc")]
fn backends_agree_on_the_longest_message() {
    assert_eq!(longest_message::<RustCrypto>(), longest_message::<AwsLc>());
}

//! Helpers of several modules.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::content::Content;
use encrypted_s3_core::envelope::{ContentKey, Envelopes};
use encrypted_s3_core::gcm::{Backend, Opener, Sealer, TAG_LEN, plaintext_len};
use encrypted_s3_core::keyring::{Key, Keyring, RsaKey};
use encrypted_s3_core::policy::Policy;
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::{ErrorKind, Result};

/// Runs futures that never wait: keys outside of KMS need no request.
pub trait Now: Future + Sized {
    fn now(self) -> Self::Output {
        match pin!(self).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("the future waits"),
        }
    }
}

impl<F: Future> Now for F {}

pub type Entries = Vec<(String, String)>;

pub fn key(id: Option<&str>, bytes: &[u8]) -> Key {
    Key { id: id.map(str::to_owned), key: WrappingKey::from_bytes(bytes).unwrap().into() }
}

/// The default policy with these keys.
pub fn envelopes(keys: Vec<Key>) -> Envelopes {
    Keyring::new(keys).unwrap().into()
}

/// The default policy with one AES key without an id.
pub fn under(bytes: &[u8]) -> Envelopes {
    envelopes(vec![key(None, bytes)])
}

pub fn with_policy(policy: Policy, keys: Vec<Key>) -> Envelopes {
    Envelopes { policy, ..envelopes(keys) }
}

pub fn open(
    envelopes: &Envelopes,
    entries: &[(String, String)],
    instruction_file: Option<&[u8]>,
) -> Result<ContentKey> {
    let entries = entries.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    envelopes.open("an object", entries, instruction_file).now().map(|opened| opened.content_key)
}

pub fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// The entry called `name`.
pub fn value<'a>(entries: &'a mut [(String, String)], name: &str) -> &'a mut String {
    &mut entries.iter_mut().find(|(entry, _)| entry == name).unwrap().1
}

/// Splits `data` into pieces of the given lengths, over and over; zero lengths give empty pieces.
pub fn pieces<'a>(mut data: &'a mut [u8], lengths: &[usize]) -> Vec<&'a mut [u8]> {
    let mut pieces = Vec::new();
    // A length that is not zero, so that the loop ends.
    for length in lengths.iter().copied().chain([4096]).cycle() {
        if data.is_empty() {
            break;
        }
        let (piece, rest) = data.split_at_mut(length.min(data.len()));
        pieces.push(piece);
        data = rest;
    }
    pieces
}

/// Encrypts everything and appends the tag.
pub fn seal_all<B: Backend>(mut sealer: Sealer<B>, plaintext: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut body = plaintext.to_vec();
    for piece in pieces(&mut body, lengths) {
        sealer.update(piece).unwrap();
    }
    body.extend(sealer.finish().unwrap());
    body
}

/// Decrypts a whole body and returns the bytes that the tag authenticates.
pub fn open_all<B: Backend>(mut opener: Opener<B>, body: &[u8], lengths: &[usize]) -> Result<Vec<u8>> {
    let length = usize::try_from(plaintext_len(body.len() as u64)?).unwrap();
    let mut plaintext = body[..length].to_vec();
    for piece in pieces(&mut plaintext, lengths) {
        opener.update(piece)?;
    }
    let tag: [u8; TAG_LEN] = body[length..].try_into().unwrap();
    opener.finish(&tag)?;
    Ok(plaintext)
}

/// Decrypts a whole body of any format and returns the checked bytes.
pub fn decrypt(key: ContentKey, body: &[u8], lengths: &[usize]) -> Result<Vec<u8>> {
    let length = usize::try_from(key.text_len(body.len() as u64)?).unwrap();
    let mut content = key.content()?;
    // CBC takes whole blocks.
    let lengths: Vec<usize> = match &content {
        Content::Gcm(_) => lengths.to_vec(),
        Content::Cbc(_) => lengths.iter().map(|length| length.saturating_mul(16) & !15).collect(),
    };
    let mut plaintext = body[..length].to_vec();
    for piece in pieces(&mut plaintext, &lengths) {
        content.update(piece)?;
    }
    let padding = content.finish(&body[length..])?;
    plaintext.truncate(length - padding);
    Ok(plaintext)
}

/// The private key in a PEM file with PKCS#1, converted to PKCS#8 for the crate.
pub fn rsa_private(pem: &str) -> RsaKey {
    let lines = pem.lines().filter(|line| !line.starts_with("-----"));
    let pkcs1 = STANDARD.decode(lines.collect::<String>()).unwrap();
    // PrivateKeyInfo: version 0, rsaEncryption without parameters, the key.
    let algorithm = b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    let content = [&algorithm[..], &der(0x04, &pkcs1)].concat();
    RsaKey::from_private_der(&der(0x30, &content)).unwrap()
}

/// A DER value of 256 to 65,535 bytes.
pub fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82, high, low], content].concat()
}

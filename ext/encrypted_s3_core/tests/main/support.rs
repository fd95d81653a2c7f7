//! What several of the modules need.

use encrypted_s3_core::envelope;
use encrypted_s3_core::gcm::{Backend, Opener, Sealer, TAG_LEN, plaintext_len};
use encrypted_s3_core::keyring::{Key, Keyring};
use encrypted_s3_core::secret::WrappingKey;
use encrypted_s3_core::{ErrorKind, Result};

pub type Entries = Vec<(String, String)>;

pub fn key(id: Option<&str>, bytes: &[u8]) -> Key {
    Key { id: id.map(str::to_owned), key: WrappingKey::from_bytes(bytes).unwrap() }
}

pub fn keyring(bytes: &[u8]) -> Keyring {
    Keyring::new(vec![key(None, bytes)]).unwrap()
}

pub fn open(keyring: &Keyring, entries: &[(String, String)], instruction_file: Option<&[u8]>) -> Result<Opener> {
    let entries = entries.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    envelope::open(keyring, entries, instruction_file)
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
    // One length that is not zero, so that it ends.
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

/// Encrypts everything and puts the tag behind it.
pub fn seal_all<B: Backend>(mut sealer: Sealer<B>, plaintext: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut body = plaintext.to_vec();
    for piece in pieces(&mut body, lengths) {
        sealer.update(piece).unwrap();
    }
    body.extend(sealer.finish().unwrap());
    body
}

/// Decrypts a whole body and hands out what the tag vouches for.
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

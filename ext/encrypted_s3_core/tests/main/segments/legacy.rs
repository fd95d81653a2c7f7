//! Maps of legacy objects (AES-CBC), which are kept only in the memory of a process.

use super::*;

/// Encrypted by the same cipher in a mode without authentication.
fn legacy(plaintext: &[u8]) -> Vec<u8> {
    use cbc::cipher::block_padding::Pkcs7;
    use cbc::cipher::{BlockModeEncrypt, KeyIvInit};
    let mut body = [plaintext, &[0; 16]].concat();
    let cipher = cbc::Encryptor::<aes::Aes256>::new(&[1; 32].into(), &[2; 16].into());
    cipher.encrypt_padded::<Pkcs7>(&mut body, plaintext.len()).unwrap().to_vec()
}

fn legacy_key(iv: u8) -> ContentKey {
    ContentKey::legacy(DataKey::from_bytes(&[1; 32]).unwrap(), Format::V1, [iv; 16], true)
}

#[test]
fn a_map_binds_the_second_read_of_a_legacy_object_to_the_first() {
    let body = legacy(&bytes(100_000));
    let mut text = body.clone();
    let mut checking = Checking::start(&legacy_key(2), Purpose::Memory).unwrap();
    for piece in pieces(&mut text, &[16, 4096]) {
        checking.update(piece).unwrap();
    }
    let (map, padding) = checking.finish(b"").unwrap();
    assert_eq!(text[..text.len() - padding], bytes(100_000));
    let map = Arc::new(map);
    let mut reader: SegmentReader = map.reader(&legacy_key(2), body.len() as u64).unwrap();
    let mut first = body[..SEGMENT_LEN].to_vec();
    reader.check(0, &first).unwrap();
    assert_eq!(kind(reader.open(0, &mut first)), Some(ErrorKind::Unsupported));
    first[5] ^= 1;
    assert_eq!(kind(reader.check(0, &first)), Some(ErrorKind::Auth));
    let other: Result<SegmentReader> = map.reader(&legacy_key(3), body.len() as u64);
    assert_eq!(kind(other), Some(ErrorKind::Auth));
}

#[test]
fn legacy_objects_have_no_stored_map() {
    assert_eq!(kind(Checking::start(&legacy_key(2), Purpose::Storing)), Some(ErrorKind::Unsupported));
    assert_eq!(kind(Sealing::<RustCrypto>::start(legacy_key(2))), Some(ErrorKind::Unsupported));
    let object = Object::store(Format::V2, 1, &bytes(100));
    assert_eq!(Map::read(&object.sidecar, &legacy_key(2), 112).unwrap_err(), NoMap::Legacy);
}

/// A caller that continues after an error must not get a map of an incomplete text.
#[test]
fn a_failed_pass_produces_no_map() {
    let body = legacy(&bytes(1000));
    let mut checking = Checking::start(&legacy_key(2), Purpose::Memory).unwrap();
    assert_eq!(kind(checking.update(&mut body[..15].to_vec())), Some(ErrorKind::Cbc));
    checking.update(&mut body.clone()).unwrap();
    assert_eq!(kind(checking.finish(b"")), Some(ErrorKind::Internal));
}

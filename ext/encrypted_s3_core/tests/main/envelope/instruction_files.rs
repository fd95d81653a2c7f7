//! Envelopes in instruction files.

use super::*;

#[test]
fn instruction_files_are_read() {
    let (object, file) = Object::new(b"plaintext", &[]).into_instruction_file();
    let read = |entries: &[(String, String)], file: &[u8]| {
        decrypt(open(&object.keyring, entries, Some(file))?, &object.body, &[])
    };
    assert_eq!(read(&[], &file).unwrap(), b"plaintext");
    let length = vec![("x-amz-unencrypted-content-length".to_owned(), "9".to_owned())];
    assert_eq!(read(&length, &file).unwrap(), b"plaintext");

    // PHP's client writes the tag's length as a number; no other entry may be one.
    let file = String::from_utf8(file).unwrap();
    let number = file.replace("\"128\"", "128").replacen('{', "{\"x-amz-unencrypted-content-length\":9,", 1);
    assert_eq!(read(&[], number.as_bytes()).unwrap(), b"plaintext");
    let float = file.replace("\"128\"", "128.0");
    assert_eq!(kind(read(&[], float.as_bytes())), Some(ErrorKind::Malformed));
    let description = file.replacen('{', "{\"x-amz-matdesc\":7,", 1).replace("\"x-amz-matdesc\":\"", "\"other\":\"");
    assert_eq!(kind(read(&[], description.as_bytes())), Some(ErrorKind::Malformed));
    let null = file.replace("\"128\"", "null");
    assert_eq!(kind(read(&[], null.as_bytes())), Some(ErrorKind::Malformed));
    let capitals = file.replacen('{', "{\"X-Amz-Iv\":\"AAAAAAAAAAAAAAAA\",", 1);
    assert_eq!(kind(read(&[], capitals.as_bytes())), Some(ErrorKind::Malformed));

    // An entry that belongs to another format, or that is in both places.
    for (name, expected) in [
        ("x-amz-c", ErrorKind::FormatConfusion),
        ("x-amz-i", ErrorKind::FormatConfusion),
        ("x-amz-iv", ErrorKind::FormatConfusion),
        ("x-amz-matdesc", ErrorKind::FormatConfusion),
    ] {
        let stray = vec![(name.to_owned(), "115".to_owned())];
        assert_eq!(kind(read(&stray, file.as_bytes())), Some(expected), "{name}");
        let inside = file.replacen('{', &format!("{{\"{name}\":\"115\","), 1);
        assert!(kind(read(&stray, inside.as_bytes())).is_some(), "{name} in both");
    }
}

#[test]
fn a_file_beside_an_object_with_a_whole_envelope_is_not_used() {
    let object = Object::new(b"plaintext", &[]);
    let (_, other) = Object::new(b"another text", &[]).into_instruction_file();
    for file in [other.as_slice(), b"{"] {
        let key = open(&object.keyring, &object.entries, Some(file)).unwrap();
        assert_eq!(decrypt(key, &object.body, &[]).unwrap(), b"plaintext");
    }
}

#[test]
fn invalid_instruction_files_are_malformed() {
    let keyring = under(&[7; 32]);
    let deep = "[".repeat(10_000);
    let files: [&[u8]; 8] = [b"", b"{", b"[]", b"\"x-amz-key-v2\"", b"null", b"\xff", b"{} {}", deep.as_bytes()];
    for file in files {
        assert_eq!(kind(open(&keyring, &[], Some(file))), Some(ErrorKind::Malformed), "{file:.20?}");
    }
}

#[test]
fn long_instruction_files_are_refused() {
    let (object, mut file) = Object::new(b"plaintext", &[]).into_instruction_file();
    file.resize(MAX_INSTRUCTION_FILE, b' ');
    assert!(open(&object.keyring, &[], Some(&file)).is_ok());
    file.push(b' ');
    assert_eq!(kind(open(&object.keyring, &[], Some(&file))), Some(ErrorKind::Malformed));
}

#[test]
fn a_duplicate_name_in_an_instruction_file_is_refused() {
    let envelopes = Envelopes { instruction_file_suffix: Some(".instruction".into()), ..under(&[1; 32]) };
    let (_, entries) = envelopes.seal("a").now().unwrap();
    // The place entry stays in the object's metadata.
    let envelope = entries.iter().filter(|(name, _)| name != ENTRY);
    let pairs: Vec<_> = envelope.map(|(name, value)| format!("{name:?}:{value:?}")).collect();
    let file = |pairs: &[String]| format!("{{{}}}", pairs.join(","));
    assert!(envelopes.open("a", [], Some(file(&pairs).as_bytes())).now().is_ok());
    for twice in &pairs {
        let doubled = [std::slice::from_ref(twice), &pairs[..]].concat();
        assert_eq!(
            kind(envelopes.open("a", [], Some(file(&doubled).as_bytes())).now()),
            Some(ErrorKind::Malformed),
            "{twice}"
        );
    }
}

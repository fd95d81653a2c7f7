//! Text that is not ASCII in metadata (RFC 2047), as stores return it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encrypted_s3_core::envelope::decode_header;

/// Decodes the input as a header, and as a text that a store encodes in a header.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let decoded = decode_header(&text);
    // A byte of Latin-1 becomes at most two of UTF-8.
    assert!(decoded.len() <= 2 * text.len(), "{} bytes from {}", decoded.len(), text.len());
    if !text.contains("=?") {
        assert_eq!(decoded, text, "text without an encoded word stays as it is");
    }
    for word in [in_base64(&as_s3_sees(&text)), in_q(&as_s3_sees(&text))] {
        assert_eq!(decode_header(&word), text, "the encoding of S3 is undone: {word}");
    }
    // Some stores encode once. Text that might be Latin-1 is then ambiguous, and is not tested.
    if text.chars().any(|char| u32::from(char) > 0xff) {
        for word in [in_base64(&text), in_q(&text)] {
            assert_eq!(decode_header(&word), text, "the encoding of other stores is undone: {word}");
        }
    }
}

/// Returns the text as S3 encodes it: it takes the bytes for Latin-1.
fn as_s3_sees(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

fn in_base64(text: &str) -> String {
    format!("=?UTF-8?B?{}?=", STANDARD.encode(text))
}

fn in_q(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        b' ' => "_".to_owned(),
        other => format!("={other:02X}"),
    });
    format!("=?utf-8?q?{}?=", encoded.collect::<String>())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "{\"a\":\"日本語\"}",
        "ÄMÄZÕÑ S3",
        "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=",
        "=?utf-8?q?caf=C3=A9_=E6=97=A5?=",
        "=?iso-8859-1*fr?Q?caf=E9?=",
        "=?UTF-8?Q?caf=C3?= =?UTF-8?Q?=A9?= =?x?Q?a?= =?UTF-8?Q?=Z1?=",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

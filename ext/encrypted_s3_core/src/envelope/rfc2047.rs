//! Decodes metadata that is not ASCII and that S3 has encoded.
//!
//! S3 reads the bytes of a header as Latin-1 and returns that text as UTF-8 in an encoded word (RFC 2047). So a
//! client's UTF-8 comes back encoded twice. Other stores return the text unchanged, or in one encoded word.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The text that the writer sent, as far as that can be determined; text without an encoded word is returned unchanged.
pub fn decode(text: &str) -> Cow<'_, str> {
    match decode_words(text) {
        Some(decoded) => Cow::Owned(undo_latin_1(&decoded).unwrap_or(decoded)),
        None => Cow::Borrowed(text),
    }
}

/// The text with its encoded words replaced; `None` when there is none that can be read.
fn decode_words(text: &str) -> Option<String> {
    let mut decoded = Vec::new();
    let mut rest = text;
    let mut after_word = false;
    let mut found = false;
    while let Some(start) = rest.find("=?") {
        let (before, candidate) = rest.split_at(start);
        let word = Word::parse(candidate);
        // Blanks between two encoded words only separate them (RFC 2047, 6.2).
        if !(after_word && word.is_some() && before.trim().is_empty()) {
            decoded.extend_from_slice(before.as_bytes());
        }
        after_word = word.is_some();
        rest = match word {
            Some(word) => {
                found = true;
                decoded.extend(word.bytes);
                word.rest
            }
            None => {
                let (marker, behind) = candidate.split_at("=?".len());
                decoded.extend_from_slice(marker.as_bytes());
                behind
            }
        };
    }
    decoded.extend_from_slice(rest.as_bytes());
    // Checked as a whole, because some encoders cut a character into two words.
    if found { String::from_utf8(decoded).ok() } else { None }
}

/// One encoded word, `=?charset?encoding?text?=`, its bytes as UTF-8, and the text after it.
struct Word<'a> {
    bytes: Vec<u8>,
    rest: &'a str,
}

impl<'a> Word<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (charset, text) = text.strip_prefix("=?")?.split_once('?')?;
        let (encoding, text) = text.split_once('?')?;
        let (text, rest) = text.split_once("?=")?;
        let bytes = match encoding {
            "B" | "b" => STANDARD.decode(text).ok()?,
            "Q" | "q" => decode_q(text)?,
            _ => return None,
        };
        Some(Self { bytes: to_utf8(charset, bytes)?, rest })
    }
}

fn to_utf8(charset: &str, bytes: Vec<u8>) -> Option<Vec<u8>> {
    // A language may follow the name (RFC 2231, 5).
    let name = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    match name.as_str() {
        "utf-8" | "us-ascii" => Some(bytes),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect::<String>().into_bytes()),
        _ => None,
    }
}

/// The Q encoding (RFC 2047, 4.2): `_` is a space, `=` and two hexadecimal digits are a byte, every other character is
/// itself.
fn decode_q(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'_' => b' ',
            b'=' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

/// Converts every character back to its Latin-1 byte. `None` when the text is not the result of this conversion: a
/// character is outside of Latin-1, or the bytes are not UTF-8.
fn undo_latin_1(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = text.chars().map(|char| u8::try_from(char).ok()).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn undoes_the_double_encoding_of_s3() {
        // The example of the S3 user guide.
        assert_eq!(decode("=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?="), "ÄMÄZÕÑ S3");
    }

    #[test]
    fn decodes_a_single_encoding() {
        assert_eq!(decode("=?utf-8?q?caf=C3=A9_=E6=97=A5?="), "café 日");
        assert_eq!(decode("=?iso-8859-1?Q?caf=E9?="), "café");
    }

    #[test]
    fn leaves_other_text_alone() {
        for text in
            ["", "{}", "{\"a\":\"日本語\"}", "=?", "=?UTF-8?B?", "=?UTF-8?B?%%?=", "=?x?Q?a?=", "=?UTF-8?Q?=Z1?="]
        {
            assert_eq!(decode(text), text);
        }
    }

    #[test]
    fn joins_words_and_keeps_text_between_them() {
        assert_eq!(decode("=?UTF-8?Q?caf=C3?= =?UTF-8?Q?=A9?="), "café");
        assert_eq!(decode("a =?UTF-8?Q?b?= c =?UTF-8?Q?d?="), "a b c d");
    }
}

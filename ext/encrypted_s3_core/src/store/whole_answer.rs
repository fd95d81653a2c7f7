//! Detection of XML answers that were cut off.
//!
//! An answer of HTTP/1.0 without a length ends with its connection, and a proxy may pass on a broken one as a complete
//! one. The SDK's parser accepts XML that ends anywhere, even within a name: a list would lack keys, and its last key
//! would be that of another object.

use std::fmt;

/// Bytes at the beginning in which the name of the root is found.
const BEGINNING: usize = 1024;
/// Bytes at the end in which the root ends. Some proxies append a comment.
const END: usize = 512;

/// The error for an answer that ends before its root element.
#[derive(Debug)]
pub(super) struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer was cut off")
    }
}

impl std::error::Error for CutOff {}

/// The beginning and the end of an answer.
#[derive(Debug, Default)]
pub(super) struct Ends {
    beginning: Vec<u8>,
    end: Vec<u8>,
}

impl Ends {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let missing = BEGINNING.saturating_sub(self.beginning.len()).min(bytes.len());
        self.beginning.extend(bytes.iter().take(missing));
        let surplus = (self.end.len() + bytes.len()).saturating_sub(END);
        self.end.drain(..surplus.min(self.end.len()));
        self.end.extend(bytes.iter().skip(bytes.len().saturating_sub(END)));
    }

    /// Checks the answer after its last byte. An answer that is not XML counts as whole.
    ///
    /// # Errors
    /// [`CutOff`] when the root element does not end.
    pub(super) fn check(&self) -> Result<(), CutOff> {
        match root(&self.beginning) {
            Some(Root::Open(name)) if !ends(&self.end, name) => Err(CutOff),
            _ => Ok(()),
        }
    }
}

/// The first tag of a document.
#[derive(Debug, PartialEq, Eq)]
enum Root<'a> {
    /// With this name.
    Open(&'a [u8]),
    /// `<Name/>`.
    Empty,
}

/// The root element, after the declaration and comments.
fn root(document: &[u8]) -> Option<Root<'_>> {
    let is_name = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let start = document.windows(2).position(|pair| matches!(pair, [b'<', first] if is_name(first)))? + 1;
    let tag = document.get(start..)?;
    let tag_end = tag.iter().position(|byte| *byte == b'>').unwrap_or(tag.len());
    let tag = tag.get(..tag_end)?;
    if tag.ends_with(b"/") {
        return Some(Root::Empty);
    }
    tag.split(|byte| byte.is_ascii_whitespace()).next().map(Root::Open)
}

/// Whether the element ends in these bytes.
fn ends(bytes: &[u8], name: &[u8]) -> bool {
    let tag = [b"</", name].concat();
    let found = bytes.windows(tag.len()).rposition(|window| window == tag);
    let rest = found.and_then(|at| bytes.get(at + tag.len()..)).unwrap_or_default();
    rest.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'>')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(document: &str, piece: usize) -> bool {
        let mut ends = Ends::default();
        document.as_bytes().chunks(piece).for_each(|bytes| ends.take(bytes));
        ends.check().is_ok()
    }

    #[test]
    fn a_document_is_whole_only_with_its_last_byte() {
        let keys = "<Contents><Key>a/1</Key></Contents>".repeat(100);
        let list = format!("<?xml version=\"1.0\"?>\n<!-- -->\n<s3:List xmlns:s3=\"x\"\n>{keys}</s3:List>");
        for piece in [1, 7, 100, 600, 10_000] {
            assert!(is_whole(&list, piece));
            assert!(is_whole(&format!("{list}\n<!-- proxy -->\n"), piece));
        }
        let root = list.find("<s3:List").unwrap_or_default();
        for length in root + 2..list.len() {
            assert!(!is_whole(&list[..length], 100), "{}", &list[..length]);
        }
    }

    #[test]
    fn other_answers_are_whole() {
        for answer in
            ["", "  \n", "<?xml version=\"1.0\"?>", "<DeleteResult/>", "<DeleteResult a=\"b\" />", "{\"a\": 1}"]
        {
            assert!(is_whole(answer, 3), "{answer}");
        }
        assert!(!is_whole("<List><List2></List2>", 3));
    }
}

//! The header of a map: what it is of, and the proof that whoever made it had the object's data key.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha512;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::SEGMENT_LEN;
use crate::envelope::{ContentKey, Format};
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::gmac::MacKey;

/// Length of the header in bytes.
pub const HEADER_LEN: usize = STATEMENT_LEN + COMMITMENT_LEN;

const DESCRIPTOR_LEN: usize = 48;
const STATEMENT_LEN: usize = 64;
const COMMITMENT_LEN: usize = 32;
const OBJECT_ID_LEN: usize = 28;

const MAGIC: &[u8; 8] = b"ES3SEGMT";
const VERSION: u8 = 1;
const SEGMENT_LEN_FIELD: u32 = SEGMENT_LEN as u32;

/// Longer than a V3 message id, which whoever writes to the bucket may choose: HMAC fills up with zeros, and no id that is
/// filled up becomes this.
const SALT: &[u8] = b"encrypted_s3_service/segments/v1";
const SEGMENT_KEY: &[u8] = b"segment key";
const COMMITMENT: &[u8] = b"commitment";

/// Why what was read is not a map of the object; always to be treated as if there were none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMap {
    /// It does not have the length that a map of this object has.
    Length,
    /// It does not begin as a map does.
    Magic,
    /// It is a map in a version that this crate does not know, and had better be left as it is.
    Version(u8),
    /// Its header is that of another object or another version of it, or was changed.
    OtherObject,
    /// It was not made by somebody who had the object's data key, or its header was changed.
    Commitment,
    /// The object is in a legacy form, of which no maps are stored.
    Legacy,
    /// Its values could not be derived.
    Derivation,
}

impl fmt::Display for NoMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("its length is not that of a map of this object"),
            Self::Magic => f.write_str("it does not begin as a segment map does"),
            Self::Version(version) => write!(f, "it is a segment map of version {version}, which is not known here"),
            Self::OtherObject => f.write_str("its header is that of another object"),
            Self::Commitment => f.write_str("its commitment does not match the object's data key"),
            Self::Legacy => f.write_str("the object is in a legacy form, of which no maps are stored"),
            Self::Derivation => f.write_str("its values could not be derived"),
        }
    }
}

impl std::error::Error for NoMap {}

/// What a map is of.
#[derive(Clone, Debug)]
pub(super) struct Header {
    statement: [u8; STATEMENT_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

impl Header {
    /// The bytes as they are stored.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.statement.into_iter().chain(self.commitment)
    }

    /// Whether both are of one data key, object id and length.
    pub(super) fn is_that_of(&self, other: &Self) -> bool {
        (self.statement.ct_eq(&other.statement) & self.commitment.ct_eq(&other.commitment)).into()
    }

    /// Compares `stored` with this header, which the object's envelope and length ask for.
    pub(super) fn check(&self, stored: &[u8]) -> std::result::Result<(), NoMap> {
        let (statement, commitment) = stored.split_at_checked(STATEMENT_LEN).ok_or(NoMap::Length)?;
        let rest = statement.strip_prefix(MAGIC).ok_or(NoMap::Magic)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(NoMap::Version(version)),
            None => return Err(NoMap::Length),
        }
        // Nothing secret is compared here.
        if statement != self.statement {
            return Err(NoMap::OtherObject);
        }
        let commitment: &[u8; COMMITMENT_LEN] = commitment.try_into().map_err(|_| NoMap::Length)?;
        if bool::from(commitment.ct_eq(&self.commitment)) { Ok(()) } else { Err(NoMap::Commitment) }
    }
}

/// What is derived from one object's data key.
pub(super) struct Derivation {
    hkdf: Hkdf<Sha512>,
    descriptor: [u8; DESCRIPTOR_LEN],
}

impl Derivation {
    pub(super) fn new(key: &ContentKey) -> Self {
        let hkdf = Hkdf::new(Some(SALT), key.data_key().expose());
        Self { hkdf, descriptor: descriptor(key) }
    }

    /// The key of the tags in a stored map. The length of the text is not in it: a writer learns that at the end.
    pub(super) fn segment_key(&self) -> Result<MacKey> {
        let mut key = Zeroizing::new([0; 32]);
        self.expand(&[&self.descriptor, SEGMENT_KEY], key.as_mut_slice())?;
        MacKey::from_bytes(key.as_slice())
    }

    /// The header of a map of `text_len` bytes.
    pub(super) fn header(&self, text_len: u64) -> Result<Header> {
        let mut statement = [0; STATEMENT_LEN];
        put(&mut statement, 0, &self.descriptor);
        put(&mut statement, DESCRIPTOR_LEN, &text_len.to_be_bytes());
        let mut commitment = [0; COMMITMENT_LEN];
        self.expand(&[&statement, COMMITMENT], &mut commitment)?;
        Ok(Header { statement, commitment })
    }

    fn expand(&self, info: &[&[u8]], output: &mut [u8]) -> Result<()> {
        self.hkdf.expand_multi_info(info, output).map_err(|_| Error::new(ErrorKind::Internal, "HKDF refused a length"))
    }
}

/// The beginning of the header, as far as it is known before the text is.
fn descriptor(key: &ContentKey) -> [u8; DESCRIPTOR_LEN] {
    let format = match key.format() {
        // The format of the content, whatever the envelope's: legacy CBC is in V1 and in V2 envelopes.
        _ if key.is_legacy() => 1,
        Format::V1 => 1,
        Format::V2 => 2,
        Format::V3 => 3,
    };
    let mut bytes = [0; DESCRIPTOR_LEN];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 8, &[VERSION, format]);
    put(&mut bytes, 12, &SEGMENT_LEN_FIELD.to_be_bytes());
    put(&mut bytes, 16, key.object_id());
    bytes
}

const _: () = assert!(16 + OBJECT_ID_LEN + 4 == DESCRIPTOR_LEN, "the object id and four zeros end the descriptor");

/// Writes `value` at `offset`; the rest stays zero.
fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes.iter_mut().skip(offset).zip(value).for_each(|(slot, byte)| *slot = *byte);
}

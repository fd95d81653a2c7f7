//! The header of a map. It identifies the object, and it proves that the author of the map had the object's data key.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::SEGMENT_LEN;
use crate::envelope::{ContentKey, Format};
use crate::error::Result;
use crate::gcm::gmac::MacKey;
use crate::kdf::Hkdf;

/// The length of the header in bytes.
pub const HEADER_LEN: usize = STATEMENT_LEN + COMMITMENT_LEN;

const DESCRIPTOR_LEN: usize = 48;
const STATEMENT_LEN: usize = 64;
const COMMITMENT_LEN: usize = 32;
const OBJECT_ID_LEN: usize = 28;

const MAGIC: &[u8; 8] = b"ES3SEGMT";
const VERSION: u8 = 1;
const SEGMENT_LEN_FIELD: u32 = SEGMENT_LEN as u32;

/// Longer than a V3 message id, which anybody who can write to the bucket may choose. HMAC pads a short salt with
/// zeros, and no padded message id equals this salt.
const SALT: &[u8] = b"encrypted_s3_service/segments/v1";
const SEGMENT_KEY: &[u8] = b"segment key";
const COMMITMENT: &[u8] = b"commitment";

/// The reason why the bytes that were read are not a map of the object. The caller always continues as if there were no
/// map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoMap {
    /// The length is not the length of a map of this object.
    Length,
    /// The first bytes are not those of a map.
    Magic,
    /// It is a map in a version that this crate does not know. Leave it as it is.
    Version(u8),
    /// The header belongs to another object or to another version of this object, or it was changed.
    OtherObject,
    /// The author of the map did not have the object's data key, or the header was changed.
    Commitment,
    /// The object is in a legacy form, for which no maps are stored.
    Legacy,
    /// The values of the header or the key of the tags could not be derived.
    Derivation,
}

impl fmt::Display for NoMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("its length is not that of a map of this object"),
            Self::Magic => f.write_str("it does not begin as a segment map does"),
            Self::Version(version) => write!(f, "it is a segment map of version {version}, which is not supported"),
            Self::OtherObject => f.write_str("its header is that of another object"),
            Self::Commitment => f.write_str("its commitment does not match the object's data key"),
            Self::Legacy => f.write_str("the object is in a legacy form, of which no maps are stored"),
            Self::Derivation => f.write_str("its values could not be derived"),
        }
    }
}

impl std::error::Error for NoMap {}

/// The number of bytes at the beginning of a stored map that [`is_sidecar`] and [`may_be_replaced`] examine.
pub(crate) const MARK_LEN: usize = MAGIC.len() + 1;

/// Whether an object that begins with these bytes is a stored map, in any version.
pub(crate) fn is_sidecar(beginning: &[u8]) -> bool {
    beginning.starts_with(MAGIC)
}

/// Whether an object that begins with these bytes is a stored map that this version may replace (`docs/format.md`, W6
/// and W7): nothing of the application, and nothing that a later version wrote.
pub(crate) fn may_be_replaced(beginning: &[u8]) -> bool {
    beginning.strip_prefix(MAGIC).and_then(|rest| rest.first()).is_some_and(|version| *version <= VERSION)
}

/// Identifies the object, version and length that a map belongs to.
#[derive(Clone, Debug)]
pub(super) struct Header {
    statement: [u8; STATEMENT_LEN],
    commitment: [u8; COMMITMENT_LEN],
}

impl Header {
    /// The bytes in their stored form.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        self.statement.into_iter().chain(self.commitment)
    }

    /// Whether both headers have the same data key, object id and length.
    pub(super) fn is_that_of(&self, other: &Self) -> bool {
        (self.statement.ct_eq(&other.statement) & self.commitment.ct_eq(&other.commitment)).into()
    }

    /// Compares the bytes `stored` with this header, which was derived from the object's envelope and length.
    pub(super) fn check(&self, stored: &[u8]) -> std::result::Result<(), NoMap> {
        let (statement, commitment) = stored.split_at_checked(STATEMENT_LEN).ok_or(NoMap::Length)?;
        let rest = statement.strip_prefix(MAGIC).ok_or(NoMap::Magic)?;
        match rest.first() {
            Some(&VERSION) => {}
            Some(&version) => return Err(NoMap::Version(version)),
            None => return Err(NoMap::Length),
        }
        // The statement is not secret, so the comparison need not take constant time.
        if statement != self.statement {
            return Err(NoMap::OtherObject);
        }
        let commitment: &[u8; COMMITMENT_LEN] = commitment.try_into().map_err(|_| NoMap::Length)?;
        if bool::from(commitment.ct_eq(&self.commitment)) { Ok(()) } else { Err(NoMap::Commitment) }
    }
}

/// Derives values from the data key of one object.
pub(super) struct Derivation {
    hkdf: Hkdf,
    descriptor: [u8; DESCRIPTOR_LEN],
}

impl Derivation {
    pub(super) fn new(key: &ContentKey) -> Self {
        let hkdf = Hkdf::new(SALT, key.data_key().expose());
        Self { hkdf, descriptor: descriptor(key) }
    }

    /// Returns the key of the tags in a stored map. It does not depend on the length of the text, which a writer knows
    /// only at the end.
    pub(super) fn segment_key(&self) -> Result<MacKey> {
        let mut key = Zeroizing::new([0; 32]);
        self.expand(&[&self.descriptor, SEGMENT_KEY], key.as_mut_slice())?;
        MacKey::from_bytes(key.as_slice())
    }

    /// Returns the header of a map of `text_len` bytes of ciphertext.
    pub(super) fn header(&self, text_len: u64) -> Result<Header> {
        let mut statement = [0; STATEMENT_LEN];
        put(&mut statement, 0, &self.descriptor);
        put(&mut statement, DESCRIPTOR_LEN, &text_len.to_be_bytes());
        let mut commitment = [0; COMMITMENT_LEN];
        self.expand(&[&statement, COMMITMENT], &mut commitment)?;
        Ok(Header { statement, commitment })
    }

    fn expand(&self, info: &[&[u8]], output: &mut [u8]) -> Result<()> {
        self.hkdf.expand(info, output)
    }
}

/// The first part of the header: the part that is known before the text.
fn descriptor(key: &ContentKey) -> [u8; DESCRIPTOR_LEN] {
    let format = match key.format() {
        // The format of the content, not of the envelope: legacy CBC occurs in V1 and in V2 envelopes.
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

/// Writes `value` at `offset`; the other bytes stay unchanged.
fn put(bytes: &mut [u8], offset: usize, value: &[u8]) {
    bytes.iter_mut().skip(offset).zip(value).for_each(|(slot, byte)| *slot = *byte);
}

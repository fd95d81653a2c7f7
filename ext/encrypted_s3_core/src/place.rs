//! Binds an object to the key under which it was written, with the metadata entry of `docs/format.md`, section 4.
//!
//! The format authenticates the content of an object but not its key in the bucket. Without this entry, anybody who can
//! write to the bucket could replace one object by another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::kdf::{Hkdf, Hmac};
use crate::secret::DataKey;

/// The name of the metadata entry, without the `x-amz-meta-` prefix.
pub const ENTRY: &str = "encrypted-s3-place";

const VALUE_LEN: usize = 32;

/// Longer than a V3 message id, which anybody who can write to the bucket may choose. HMAC pads a short salt with
/// zeros, and no padded message id equals this salt.
const SALT: &[u8] = b"encrypted_s3_service/place/v1";
const PLACE_KEY: &[u8] = b"place key";

/// The setting for binding objects to their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlaceBinding {
    /// Entries are neither written nor checked.
    Off,
    /// New objects get an entry. An existing entry must be correct; an object without an entry can be read.
    #[default]
    Verify,
    /// New objects get an entry. An existing entry must be correct, and an object without an entry is refused.
    Require,
}

impl PlaceBinding {
    /// Returns the setting with this name: `off`, `verify` or `require`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::Verify, Self::Require].into_iter().find(|binding| binding.name() == name)
    }

    /// The name of the setting.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Verify => "verify",
            Self::Require => "require",
        }
    }

    /// Whether new objects get an entry.
    pub fn writes(self) -> bool {
        self != Self::Off
    }
}

/// Returns the metadata entry, name and value, of the object under `key` with this data key. `key` is the whole key in
/// the bucket, before it is escaped for a URL. The value is in base64.
///
/// # Errors
/// [`ErrorKind::Internal`] when the key derivation fails.
pub fn entry(data_key: &DataKey, key: &str) -> Result<(&'static str, String)> {
    Ok((ENTRY, STANDARD.encode(value(data_key, key)?)))
}

/// Whether an object's metadata has an entry. The answer is not authenticated.
pub fn is_bound<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    metadata.into_iter().any(|(name, _)| name.eq_ignore_ascii_case(ENTRY))
}

/// The place entry in an object's metadata, read before any key is used.
#[derive(Debug)]
#[must_use = "the entry must be checked"]
pub struct Claim(Option<[u8; VALUE_LEN]>);

impl Claim {
    /// Reads the entry from an object's own `metadata`; never pass the entries of an instruction file. `metadata` is
    /// (name, value) pairs without the `x-amz-meta-` prefix, in any case. `is_legacy` is true for an envelope in a
    /// legacy form, which has no entry.
    ///
    /// # Errors
    /// [`ErrorKind::Misplaced`] for a malformed entry, for two entries, and for an entry in a legacy object;
    /// [`ErrorKind::PlaceRequired`] when there is no entry and the setting requires one.
    pub fn read<'a>(
        binding: PlaceBinding,
        is_legacy: bool,
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        if binding == PlaceBinding::Off {
            return Ok(Self(None));
        }
        let mut entries = metadata.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case(ENTRY));
        match (entries.next(), entries.next()) {
            (None, _) if binding == PlaceBinding::Require => Err(required()),
            (None, _) => Ok(Self(None)),
            // Refused before the data key is used: an answer that depends on the data key would reveal more about it.
            (Some(_), _) if is_legacy => Err(misplaced()),
            (Some((_, value)), None) => decode(value).map(|value| Self(Some(value))).ok_or_else(misplaced),
            (Some(_), Some(_)) => Err(misplaced()),
        }
    }

    /// Whether there is no entry, or entries are not checked.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Compares the entry with the correct entry of the object under `key`, in constant time. Succeeds when there is no
    /// entry to check.
    ///
    /// # Errors
    /// [`ErrorKind::Misplaced`] when the entry differs; [`ErrorKind::Internal`] when the key derivation fails.
    pub fn check(&self, data_key: &DataKey, key: &str) -> Result<()> {
        match &self.0 {
            None => Ok(()),
            Some(stored) if value(data_key, key)?.ct_eq(stored).into() => Ok(()),
            Some(_) => Err(misplaced()),
        }
    }
}

fn decode(value: &str) -> Option<[u8; VALUE_LEN]> {
    STANDARD.decode(value).ok()?.try_into().ok()
}

fn value(data_key: &DataKey, key: &str) -> Result<[u8; VALUE_LEN]> {
    let mut place_key = Zeroizing::new([0; 32]);
    Hkdf::new(SALT, data_key.expose()).expand(&[PLACE_KEY], place_key.as_mut_slice())?;
    let mut mac = Hmac::new(place_key.as_slice())?;
    mac.update(key.as_bytes());
    Ok(mac.finish())
}

fn misplaced() -> Error {
    Error::new(
        ErrorKind::Misplaced,
        format!(
            "the object was not written under this key: its metadata entry `{ENTRY}` does not match this key. If you \
             have renamed or copied it yourself, `rebind` binds it to its new key"
        ),
    )
}

fn required() -> Error {
    Error::new(
        ErrorKind::PlaceRequired,
        format!(
            "the object has no metadata entry `{ENTRY}`, and `place_binding: require` refuses such objects. If it was \
             stored without place binding, set `place_binding: verify`, run `rails encrypted_s3_service:rotate`, which \
             binds every object to its key, and set `require` again"
        ),
    )
}

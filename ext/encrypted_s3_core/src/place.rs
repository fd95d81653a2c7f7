//! An object bound to the key it was written under: the metadata entry of `docs/format.md`, 4.
//!
//! The format authenticates what is in an object and not where it is, so that whoever can write to the bucket could put
//! one object in another's place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, Result};
use crate::secret::DataKey;

/// The name of the entry, without the `x-amz-meta-` prefix.
pub const ENTRY: &str = "encrypted-s3-place";

const VALUE_LEN: usize = 32;

/// Longer than a V3 message id, which whoever writes to the bucket may choose: HMAC fills up with zeros, and no id that is
/// filled up becomes this.
const SALT: &[u8] = b"encrypted_s3_service/place/v1";
const PLACE_KEY: &[u8] = b"place key";

/// What is done about the place of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlaceBinding {
    /// Nothing: no entry is written, and none is looked at.
    Off,
    /// Objects are written with an entry, and an entry that is there must be right.
    #[default]
    Verify,
    /// The same, and an object without an entry is refused.
    Require,
}

impl PlaceBinding {
    /// The setting by its name: `off`, `verify` or `require`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Off, Self::Verify, Self::Require].into_iter().find(|binding| binding.name() == name)
    }

    /// The setting's name.
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

/// The metadata entry, name and value, of the object under `key` whose data key this is. `key` is all of the key in the
/// bucket, as it is before it is escaped for a URL.
///
/// # Errors
/// [`ErrorKind::Internal`] when the derivation is refused.
pub fn entry(data_key: &DataKey, key: &str) -> Result<(&'static str, String)> {
    Ok((ENTRY, STANDARD.encode(value(data_key, key)?)))
}

/// Whether an object's metadata say where it was written; nothing vouches for it.
pub fn is_bound<'a>(metadata: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    metadata.into_iter().any(|(name, _)| name.eq_ignore_ascii_case(ENTRY))
}

/// What an object's metadata say of its place, read before any key is used.
#[derive(Debug)]
#[must_use = "the entry counts when it was checked"]
pub struct Claim(Option<[u8; VALUE_LEN]>);

impl Claim {
    /// Reads the entry from an object's own `metadata`, (name, value) pairs without the `x-amz-meta-` prefix and in any
    /// case; never from an instruction file. `is_legacy` says that the envelope is of a legacy form, which has no entry.
    ///
    /// # Errors
    /// [`ErrorKind::Misplaced`] for an entry that no writer makes, for two, and for one in a legacy object;
    /// [`ErrorKind::PlaceRequired`] when there is none and the setting demands one.
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
            // An answer that depends on the data key would be one question more about it.
            (Some(_), _) if is_legacy => Err(misplaced()),
            (Some((_, value)), None) => decode(value).map(|value| Self(Some(value))).ok_or_else(misplaced),
            (Some(_), Some(_)) => Err(misplaced()),
        }
    }

    /// Whether there is no entry, or none that is looked at.
    pub fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    /// Compares the entry, if there is one to be looked at, with what the object under `key` would have; in constant
    /// time.
    ///
    /// # Errors
    /// [`ErrorKind::Misplaced`] when it is another.
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
    let internal = || Error::new(ErrorKind::Internal, "HKDF refused a length");
    let mut place_key = Zeroizing::new([0; 32]);
    Hkdf::<Sha512>::new(Some(SALT), data_key.expose())
        .expand(PLACE_KEY, place_key.as_mut_slice())
        .map_err(|_| internal())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(place_key.as_slice()).map_err(|_| internal())?;
    mac.update(key.as_bytes());
    Ok(mac.finalize().into_bytes().into())
}

fn misplaced() -> Error {
    Error::new(
        ErrorKind::Misplaced,
        format!("the object was not written under this key: its metadata entry `{ENTRY}` is not the one of this key"),
    )
}

fn required() -> Error {
    Error::new(
        ErrorKind::PlaceRequired,
        format!(
            "the object has no metadata entry `{ENTRY}`, which `place_binding: require` demands. If it was stored before \
             there were such entries: set `place_binding: verify`, run `rails encrypted_s3_service:rotate`, which binds \
             every object to its key, and set `require` again"
        ),
    )
}

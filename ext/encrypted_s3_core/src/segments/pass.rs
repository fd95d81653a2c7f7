//! The two passes over an object's ciphertext that end in a map, and the only ways to a new one (`docs/format.md`, W1).

use std::fmt;

use super::SEGMENT_LEN;
use super::builder::Builder;
use super::header::Derivation;
use super::map::{Map, Origin};
use crate::content::Content;
use crate::envelope::ContentKey;
use crate::error::{Error, ErrorKind, Result};
use crate::gcm::gmac::MacKey;
use crate::gcm::{Backend, DefaultBackend, Sealer, Tag};

/// What is encrypted or decrypted at once before the other cipher sees it, so that it is still in a near cache.
const STRETCH: usize = SEGMENT_LEN;

/// What a map is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To be stored beside the object, under a key derived from its data key.
    Storing,
    /// To be used by this process, under a random key that never leaves its memory.
    Memory,
}

/// Encrypts an object and makes its map, to be stored, in one pass.
#[must_use]
pub struct Sealing<B: Backend = DefaultBackend> {
    sealer: Sealer<B>,
    making: Making<B>,
}

impl<B: Backend> Sealing<B> {
    /// Starts an object. Takes the key, which must have encrypted nothing: a second text under it would have the same
    /// nonces.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for legacy CBC, which is not written; [`ErrorKind::Internal`] when a cipher cannot be
    /// set up.
    pub fn start(key: ContentKey) -> Result<Self> {
        let making = Making::start(&key, Purpose::Storing)?;
        let sealer = key.into_sealer()?.ok_or_else(legacy)?;
        Ok(Self { sealer, making })
    }

    /// Encrypts the next piece in place. Pieces may have any length.
    ///
    /// # Errors
    /// As [`Sealer::update`]; afterwards the object can be neither continued nor finished.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        data.chunks_mut(STRETCH).try_for_each(|stretch| {
            self.sealer.update(stretch)?;
            self.making.update(stretch)
        })
    }

    /// Ends the object; returns its tag, which is stored behind the ciphertext, and its map. The object is to be stored
    /// before the map.
    ///
    /// # Errors
    /// The error of an earlier [`Sealing::update`] again, or [`ErrorKind::Internal`].
    pub fn finish(self) -> Result<(Tag, Map)> {
        let tag = self.sealer.finish()?;
        Ok((tag, self.making.finish()?))
    }
}

/// Decrypts an object, checks it and makes its map in one pass.
///
/// What [`Checking::update`] hands back is **unauthenticated** until [`Checking::finish`] has returned `Ok`.
#[must_use]
pub struct Checking {
    content: Content,
    making: Making<DefaultBackend>,
}

impl Checking {
    /// Starts reading an object.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a map of legacy CBC that is to be stored; [`ErrorKind::Internal`] when a cipher
    /// cannot be set up or there is no random source.
    pub fn start(key: &ContentKey, purpose: Purpose) -> Result<Self> {
        Ok(Self { content: key.content()?, making: Making::start(key, purpose)? })
    }

    /// Decrypts the next piece of the ciphertext, without the tag, in place: whole blocks of legacy CBC, any length
    /// otherwise. The result is unauthenticated; see the type.
    ///
    /// # Errors
    /// As [`Content::update`]; afterwards the object can be neither continued nor finished.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        data.chunks_mut(STRETCH).try_for_each(|stretch| {
            self.making.update(stretch)?;
            // CBC forgets a piece that it refused, which the map must not.
            self.content.update(stretch).inspect_err(|_| self.making.fail())
        })
    }

    /// Checks the object by its `trailer`, the 16 bytes of the tag (none of legacy CBC). Returns its map and how many
    /// bytes at the end of the plaintext are padding.
    ///
    /// # Errors
    /// As [`Content::finish`]: there is no map of an object that is not what was encrypted.
    pub fn finish(self, trailer: &[u8]) -> Result<(Map, usize)> {
        let padding = self.content.finish(trailer)?;
        Ok((self.making.finish()?, padding))
    }
}

/// A map in the making.
struct Making<B: Backend> {
    derivation: Derivation,
    key: MacKey,
    origin: Origin,
    builder: Builder<B>,
}

impl<B: Backend> Making<B> {
    fn start(key: &ContentKey, purpose: Purpose) -> Result<Self> {
        let derivation = Derivation::new(key);
        let (key, origin) = match purpose {
            Purpose::Storing if key.is_legacy() => return Err(legacy()),
            Purpose::Storing => (derivation.segment_key()?, Origin::Derived),
            Purpose::Memory => (MacKey::generate()?, Origin::Random),
        };
        let builder = Builder::new(&key)?;
        Ok(Self { derivation, key, origin, builder })
    }

    fn update(&mut self, text: &[u8]) -> Result<()> {
        self.builder.update(text)
    }

    fn fail(&mut self) {
        self.builder.fail();
    }

    fn finish(self) -> Result<Map> {
        let (text_len, tags) = self.builder.finish()?;
        Ok(Map::new(self.derivation.header(text_len)?, self.key, self.origin, text_len, tags))
    }
}

fn legacy() -> Error {
    Error::new(ErrorKind::Unsupported, "an object in a legacy form has no stored segment map")
}

impl<B: Backend> fmt::Debug for Sealing<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealing([redacted])")
    }
}

impl fmt::Debug for Checking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checking([redacted])")
    }
}

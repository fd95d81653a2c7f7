//! The two passes over an object's ciphertext that make a map. There is no other way to make a new map
//! (`docs/format.md`, W1).

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

/// The number of bytes that one cipher processes before the other, so that they are still in a fast cache.
const STRETCH: usize = SEGMENT_LEN;

/// The purpose of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The map will be stored beside the object. Its key is derived from the object's data key.
    Storing,
    /// The map is for this process only. Its key is random and never leaves the memory of the process.
    Memory,
}

/// Encrypts an object and makes its map, for storing, in one pass.
#[must_use]
pub struct Sealing<B: Backend = DefaultBackend> {
    sealer: Sealer<B>,
    making: Making<B>,
}

impl<B: Backend> Sealing<B> {
    /// Starts an object. Consumes the key, which must not have encrypted anything yet: a second text under it would
    /// have the same nonces.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for legacy CBC, which is never written; [`ErrorKind::Internal`] when a cipher cannot
    /// be set up.
    pub fn start(key: ContentKey) -> Result<Self> {
        let making = Making::start(&key, Purpose::Storing)?;
        let sealer = key.into_sealer()?.ok_or_else(legacy)?;
        Ok(Self { sealer, making })
    }

    /// Encrypts the next piece in place. Pieces may have any length.
    ///
    /// # Errors
    /// The errors of [`Sealer::update`]. After an error the object can be neither continued nor finished.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        data.chunks_mut(STRETCH).try_for_each(|stretch| {
            self.sealer.update(stretch)?;
            self.making.update(stretch)
        })
    }

    /// Ends the object. Returns its tag, which is stored after the ciphertext, and its map. Store the object before the
    /// map.
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
/// The plaintext that [`Checking::update`] produces is **unauthenticated** until [`Checking::finish`] has returned
/// `Ok`.
#[must_use]
pub struct Checking {
    content: Content,
    making: Making<DefaultBackend>,
}

impl Checking {
    /// Starts to read an object.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a stored map of legacy CBC; [`ErrorKind::Internal`] when a cipher
    /// cannot be set up or there is no random source.
    pub fn start(key: &ContentKey, purpose: Purpose) -> Result<Self> {
        Ok(Self { content: key.content()?, making: Making::start(key, purpose)? })
    }

    /// Decrypts the next piece of the ciphertext in place; the tag is not part of it. A piece of legacy CBC is a number
    /// of whole blocks; any other piece may have any length. The result is unauthenticated; see the type.
    ///
    /// # Errors
    /// The errors of [`Content::update`]. After an error the object can be neither continued nor finished.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        data.chunks_mut(STRETCH).try_for_each(|stretch| {
            self.making.update(stretch)?;
            // The CBC decryptor can continue after a piece that it refused. The map must not.
            self.content.update(stretch).inspect_err(|_| self.making.fail())
        })
    }

    /// Checks the object with its `trailer`: the 16 bytes of the tag, or no bytes for legacy CBC. Returns its map, and
    /// the number of bytes at the end of the plaintext that are padding.
    ///
    /// # Errors
    /// The errors of [`Content::finish`]: an object that was changed after it was encrypted gets no map.
    pub fn finish(self, trailer: &[u8]) -> Result<(Map, usize)> {
        let padding = self.content.finish(trailer)?;
        let count =
            u8::try_from(padding).map_err(|_| Error::new(ErrorKind::Internal, "padding of more than a block"))?;
        Ok((self.making.finish()?.with_padding(count), padding))
    }
}

/// An unfinished map.
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

//! AES-256-GCM, GMAC and the GCM keystream, built from RustCrypto's parts as its `aes-gcm` crate does for whole
//! messages.

use aes::Aes256;
use ctr::Ctr32BE;
use ctr::cipher::{BlockCipherEncrypt, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper};
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::gmac::{self, MacKey};
use super::keystream::{self, CounterBlock};
use super::{Backend, Direction, NONCE_LEN, Nonce, TAG_LEN, Tag, failed, sealed, wrong_tag};
use crate::error::Result;
use crate::secret::DataKey;

const BLOCK_LEN: usize = 16;

/// A stretch of this size is encrypted and hashed before the next one, so that the second step finds it in the
/// first-level cache.
const STRETCH_LEN: usize = 16 * 1024;

/// Streaming AES-256-GCM in pure Rust.
pub struct RustCrypto {
    direction: Direction,
    keystream: Ctr32BE<Aes256>,
    /// The keystream block of counter 1, which hides the hash.
    mask: Zeroizing<[u8; BLOCK_LEN]>,
    hash: Hash,
}

impl sealed::Sealed for RustCrypto {}

impl Backend for RustCrypto {
    type Mac = Mac;
    type Keystream = Keystream;

    fn start(direction: Direction, key: &DataKey, nonce: &Nonce, aad: &[u8]) -> Result<Self> {
        let cipher = Aes256::new(key.expose().into());
        let hash = Hash::start(&cipher, aad);
        let mut keystream =
            StreamCipherCoreWrapper::from_core(ctr::CtrCore::inner_iv_init(cipher, &first_counter(nonce)));
        let mut mask = Zeroizing::new([0; BLOCK_LEN]);
        // Uses counter 1, as SP 800-38D 7.1 requires; the data starts with counter 2.
        keystream.try_apply_keystream(mask.as_mut_slice()).map_err(|_| failed())?;
        Ok(Self { direction, keystream, mask, hash })
    }

    fn update(&mut self, data: &mut [u8]) -> Result<()> {
        data.chunks_mut(STRETCH_LEN).try_for_each(|stretch| self.stretch(stretch))
    }

    fn seal(self) -> Result<Tag> {
        Ok(self.into_tag())
    }

    fn verify(self, tag: &Tag) -> Result<()> {
        if bool::from(self.into_tag().ct_eq(tag)) { Ok(()) } else { Err(wrong_tag()) }
    }
}

impl RustCrypto {
    /// The hash is over the ciphertext, in either direction.
    fn stretch(&mut self, data: &mut [u8]) -> Result<()> {
        if self.direction == Direction::Open {
            self.hash.update(data);
        }
        self.keystream.try_apply_keystream(data).map_err(|_| failed())?;
        if self.direction == Direction::Seal {
            self.hash.update(data);
        }
        Ok(())
    }

    fn into_tag(self) -> Tag {
        masked(self.hash.finish(), &self.mask)
    }
}

/// GMAC in pure Rust.
pub struct Mac {
    cipher: Aes256,
    /// The hash of no data, with its key set up once; each message begins with a copy.
    empty: Hash,
    /// The current message, and the block that hides its hash.
    message: Option<(Hash, Zeroizing<[u8; BLOCK_LEN]>)>,
}

impl gmac::Backend for Mac {
    fn keyed(key: &MacKey) -> Result<Self> {
        let cipher = Aes256::new(key.key().expose().into());
        let empty = Hash::start(&cipher, b"");
        Ok(Self { cipher, empty, message: None })
    }

    fn start(&mut self, nonce: &Nonce) -> Result<()> {
        let mut mask = Zeroizing::new([0; BLOCK_LEN]);
        mask.copy_from_slice(&first_counter(nonce));
        self.cipher.encrypt_block((&mut *mask).into());
        self.message = Some((self.empty.clone(), mask));
        Ok(())
    }

    fn update(&mut self, data: &[u8]) -> Result<()> {
        let (hash, _) = self.message.as_mut().ok_or_else(failed)?;
        hash.update(data);
        Ok(())
    }

    fn tag(&mut self) -> Result<Tag> {
        let (mut hash, mask) = self.message.take().ok_or_else(failed)?;
        // Additional data and text are padded and hashed alike; they differ only in the length that counts them.
        std::mem::swap(&mut hash.aad_len, &mut hash.text_len);
        Ok(masked(hash.finish(), &mask))
    }
}

/// AES-256 in counter mode, in pure Rust.
pub struct Keystream {
    cipher: Aes256,
}

impl keystream::Backend for Keystream {
    fn keyed(key: &DataKey) -> Result<Self> {
        Ok(Self { cipher: Aes256::new(key.expose().into()) })
    }

    fn apply(&mut self, first: &CounterBlock, data: &mut [u8]) -> Result<()> {
        let core = ctr::CtrCore::inner_iv_init(self.cipher.clone(), &(*first).into());
        let mut keystream: Ctr32BE<Aes256> = StreamCipherCoreWrapper::from_core(core);
        keystream.try_apply_keystream(data).map_err(|_| failed())
    }
}

fn masked(mut hash: Tag, mask: &[u8; BLOCK_LEN]) -> Tag {
    hash.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    hash
}

/// J0 of SP 800-38D, 7.1 for a nonce of 96 bits: the nonce and a 32-bit one.
fn first_counter(nonce: &Nonce) -> Block {
    let mut block = [0; BLOCK_LEN];
    let (head, counter) = block.split_at_mut(NONCE_LEN);
    head.copy_from_slice(nonce);
    counter.copy_from_slice(&1u32.to_be_bytes());
    block.into()
}

/// GHASH over additional data, ciphertext and both lengths, fed in pieces that need not end on a block boundary.
#[derive(Clone)]
struct Hash {
    ghash: GHash,
    /// The beginning of an incomplete block; its first `pending_len` bytes are valid.
    pending: [u8; BLOCK_LEN],
    pending_len: usize,
    aad_len: u64,
    text_len: u64,
}

impl Hash {
    fn start(cipher: &Aes256, aad: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK_LEN]);
        cipher.encrypt_block((&mut *key).into());
        let mut ghash = GHash::new((&*key).into());
        ghash.update_padded(aad);
        Self { ghash, pending: [0; BLOCK_LEN], pending_len: 0, aad_len: aad.len() as u64, text_len: 0 }
    }

    fn update(&mut self, data: &[u8]) {
        self.text_len += data.len() as u64;
        let data = self.fill_pending(data);
        let (blocks, rest) = Block::slice_as_chunks(data);
        self.ghash.update(blocks);
        // A rest exists only after whole blocks, so nothing is pending here.
        if !rest.is_empty() {
            self.keep(rest);
        }
    }

    /// Completes the pending block as far as `data` suffices and returns the rest of `data`.
    fn fill_pending<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        if self.pending_len == 0 {
            return data;
        }
        let (head, rest) = data.split_at(data.len().min(BLOCK_LEN - self.pending_len));
        self.keep(head);
        if self.pending_len == BLOCK_LEN {
            self.flush();
        }
        rest
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.pending.iter_mut().skip(self.pending_len).zip(bytes).for_each(|(slot, byte)| *slot = *byte);
        self.pending_len += bytes.len();
    }

    /// Hashes the pending block; missing bytes count as zeros.
    fn flush(&mut self) {
        self.ghash.update(&[self.pending.into()]);
        self.pending = [0; BLOCK_LEN];
        self.pending_len = 0;
    }

    fn finish(mut self) -> [u8; TAG_LEN] {
        if self.pending_len > 0 {
            self.flush();
        }
        let mut lengths = [0; BLOCK_LEN];
        let (aad, text) = lengths.split_at_mut(BLOCK_LEN / 2);
        aad.copy_from_slice(&(self.aad_len * 8).to_be_bytes());
        text.copy_from_slice(&(self.text_len * 8).to_be_bytes());
        self.ghash.update(&[lengths.into()]);
        self.ghash.finalize().into()
    }
}

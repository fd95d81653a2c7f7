//! Separation of a body's ciphertext from its trailer.

use crate::buffer::Buffer;

/// Separates the ciphertext of a body from its trailer. It gets the bytes of the body in order.
pub(super) struct Cut {
    left: u64,
    trailer: Vec<u8>,
}

impl Cut {
    /// `size` is the number of bytes of ciphertext.
    pub(super) fn after(size: u64) -> Self {
        Self { left: size, trailer: Vec::new() }
    }

    /// Removes the bytes of the trailer from the next `bytes`. Those of the ciphertext stay.
    pub(super) fn apply(&mut self, bytes: &mut Buffer) {
        let text = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        self.trailer.extend_from_slice(bytes.bytes_from(text));
        bytes.truncate(text);
        self.left -= text as u64;
    }

    /// The bytes of the trailer so far.
    pub(super) fn trailer(&self) -> &[u8] {
        &self.trailer
    }
}

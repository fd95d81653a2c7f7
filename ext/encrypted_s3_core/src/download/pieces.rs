//! The plaintext of a small object in memory.

use std::ops::Range;

use crate::buffer::Buffer;

/// The plaintext in the pieces in which it arrived, so that none of them has to be copied.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pieces: Vec<Buffer>,
    /// How many bytes of plaintext there are, and how many of them were returned or skipped.
    size: usize,
    given: usize,
    /// A chunk that is in several pieces.
    chunk: Vec<u8>,
}

impl Pieces {
    /// Adds the next bytes.
    pub(super) fn push(&mut self, piece: Buffer) {
        self.size += piece.len();
        self.pieces.push(piece);
    }

    /// Drops everything from the byte `size` on.
    pub(super) fn truncate(&mut self, size: usize) {
        self.size = self.size.min(size);
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The number of bytes of memory that this uses.
    pub(super) fn buffered(&self) -> usize {
        self.pieces.iter().map(Buffer::capacity).sum::<usize>() + self.chunk.capacity()
    }

    /// Returns the next `most` bytes, fewer at the end and none after it.
    pub(super) fn read(&mut self, most: usize) -> &[u8] {
        let wanted = self.given..self.given + most.min(self.size - self.given);
        self.given = wanted.end;
        let mut start = 0;
        self.chunk.clear();
        for piece in &self.pieces {
            let part = within(&wanted, start, piece);
            if part.len() == wanted.len() {
                return part;
            }
            self.chunk.extend_from_slice(part);
            start += piece.len();
        }
        &self.chunk
    }

    /// Skips `bytes` bytes, or the rest.
    pub(super) fn skip(&mut self, bytes: u64) {
        self.go_to(bytes.saturating_add(self.given as u64));
    }

    /// Continues with the byte `position`, or after the last byte.
    pub(super) fn go_to(&mut self, position: u64) {
        self.given = usize::try_from(position).unwrap_or(usize::MAX).min(self.size);
    }
}

/// The bytes of `piece`, which begins at `start`, that are in `wanted`.
fn within<'a>(wanted: &Range<usize>, start: usize, piece: &'a Buffer) -> &'a [u8] {
    let [first, end] = [wanted.start, wanted.end].map(|position| position.saturating_sub(start).min(piece.len()));
    piece.bytes().get(first..end).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn pieces(lengths: &[usize]) -> Pieces {
        let mut pieces = Pieces::default();
        let mut next = 0;
        for length in lengths {
            let mut piece = Buffer::with_capacity(*length).unwrap();
            for _ in 0..*length {
                piece.fill(&[next]);
                next += 1;
            }
            pieces.push(piece);
        }
        pieces
    }

    #[test]
    fn steps_of_any_size_return_the_bytes_of_any_pieces_in_order() {
        for lengths in [vec![], vec![0], vec![1], vec![10], vec![3, 0, 4, 1, 2], vec![5, 5], vec![1; 10]] {
            for size in 0..=10 {
                for step in 1..=11 {
                    let mut pieces = pieces(&lengths);
                    pieces.truncate(size);
                    let expected: Vec<u8> = (0..pieces.size() as u8).collect();
                    let mut bytes = Vec::new();
                    loop {
                        let chunk = pieces.read(step);
                        bytes.extend_from_slice(chunk);
                        if chunk.len() < step {
                            break;
                        }
                    }
                    assert_eq!(bytes, expected, "{lengths:?} in steps of {step}");
                    assert!(pieces.read(step).is_empty());
                }
            }
        }
    }

    #[test]
    fn bytes_can_be_skipped_up_to_the_end() {
        let mut pieces = pieces(&[3, 4]);
        pieces.skip(2);
        assert_eq!(pieces.read(2), [2, 3]);
        pieces.skip(1);
        assert_eq!(pieces.read(9), [5, 6]);
        pieces.skip(u64::MAX);
        assert!(pieces.read(1).is_empty());
        pieces.go_to(1);
        assert_eq!(pieces.read(3), [1, 2, 3]);
        pieces.go_to(u64::MAX);
        assert!(pieces.read(1).is_empty());
    }
}

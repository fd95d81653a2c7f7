//! Memory for the bytes of a transfer.
//!
//! Large buffers are mapped, not allocated: an allocator keeps what it was given back, per thread, and a process that
//! moved one large file would stay as large as all its parts together.

use std::fmt;

use bytes::Bytes;
use memmap2::MmapMut;

use crate::{Error, ErrorKind, Result};

/// Buffers of at least this many bytes are mapped.
const MAPPED: usize = 256 * 1024;

/// Bytes of a large page.
#[cfg(target_os = "linux")]
const LARGE_PAGE: usize = 2 * 1024 * 1024;

/// Bytes with a capacity that does not change. Memory of a large buffer is used only as far as it is filled, and goes
/// back to the system when the buffer is dropped.
pub struct Buffer {
    memory: Memory,
    length: usize,
}

enum Memory {
    Heap(Vec<u8>),
    Mapped(MmapMut),
}

impl Buffer {
    /// An empty buffer for `capacity` bytes.
    ///
    /// # Errors
    /// `TooLarge` when the system has no memory for it.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let no_memory = || Error::new(ErrorKind::TooLarge, format!("there is no memory for {capacity} bytes"));
        let memory = if capacity < MAPPED {
            Memory::Heap(vec![0; capacity])
        } else {
            let mapped = MmapMut::map_anon(capacity).map_err(|error| no_memory().with_source(error))?;
            prefer_large_pages(&mapped, capacity);
            Memory::Mapped(mapped)
        };
        Ok(Self { memory, length: 0 })
    }

    /// How many bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.memory().len()
    }

    /// How many bytes it can still take.
    pub fn room(&self) -> usize {
        self.capacity() - self.length
    }

    /// How many bytes it holds.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it holds no byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes as many of `bytes` as there is room for and returns the others.
    pub fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(self.room()));
        let length = self.length;
        if let Some(target) = self.memory_mut().get_mut(length..length + taken.len()) {
            target.copy_from_slice(taken);
            self.length += taken.len();
        }
        rest
    }

    /// Takes what `read` puts into at most `most` bytes of the room; it returns how many those were.
    ///
    /// # Errors
    /// What `read` returns.
    pub fn read_with(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>,
    ) -> std::io::Result<usize> {
        let (from, most) = (self.length, most.min(self.room()));
        let room = self.memory_mut().get_mut(from..from + most).unwrap_or_default();
        let taken = read(room)?.min(most);
        self.length += taken;
        Ok(taken)
    }

    /// Forgets everything from `length` on.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// The bytes it holds.
    pub fn bytes(&self) -> &[u8] {
        self.memory().get(..self.length).unwrap_or_default()
    }

    /// The bytes it holds, from `from` on.
    pub fn bytes_from(&mut self, from: usize) -> &mut [u8] {
        let length = self.length;
        self.memory_mut().get_mut(from..length).unwrap_or_default()
    }

    fn memory(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(memory) => memory,
            Memory::Mapped(memory) => memory,
        }
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(memory) => memory,
            Memory::Mapped(memory) => memory,
        }
    }
}

/// Asks for pages of 2 MiB: a new mapping is filled once, and most of what that costs is the thousand page faults of
/// every 4 MiB. A system that has none gives small ones.
fn prefer_large_pages(memory: &MmapMut, capacity: usize) {
    #[cfg(target_os = "linux")]
    if capacity >= LARGE_PAGE {
        let _refused = memory.advise(memmap2::Advice::HugePage);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (memory, capacity);
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Self {
        Bytes::from_owner(buffer)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.length, self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_takes_what_it_has_room_for() {
        for capacity in [0, 5, MAPPED + 1] {
            let Ok(mut buffer) = Buffer::with_capacity(capacity) else { unreachable!("memory") };
            let bytes = vec![7; capacity + 3];
            assert_eq!(buffer.fill(&bytes).len(), 3);
            assert_eq!((buffer.len(), buffer.room(), buffer.capacity()), (capacity, 0, capacity));
            assert_eq!(buffer.bytes(), vec![7; capacity]);
            buffer.truncate(2);
            assert_eq!(buffer.len(), capacity.min(2));
            assert_eq!(buffer.bytes_from(1).len(), capacity.min(2).saturating_sub(1));
        }
    }

    #[test]
    fn what_is_read_counts_as_far_as_it_was_read() {
        let Ok(mut buffer) = Buffer::with_capacity(10) else { unreachable!("memory") };
        let read = buffer.read_with(4, |room| {
            room.fill(3);
            Ok(room.len() - 1)
        });
        assert_eq!(read.ok(), Some(3));
        assert_eq!(buffer.bytes(), [3, 3, 3]);
        assert!(buffer.read_with(4, |_| Err(std::io::ErrorKind::Other.into())).is_err());
        assert_eq!(buffer.len(), 3);
    }
}

//! Memory for the bytes of a transfer.
//!
//! Large buffers are mapped and not allocated. An allocator keeps freed memory for each thread, so a process that has
//! moved one large file would stay as large as all its parts together.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memmap2::MmapMut;

use crate::{Error, ErrorKind, Result};

/// Buffers of at least this many bytes are mapped.
const MAPPED: usize = 256 * 1024;

/// New memory is asked for before it is written, in steps of this many bytes. Linux gives it page by page otherwise, when
/// each page is first written, and that takes half as long again. Large pages are no way out: Ruby switches them off for
/// its process.
#[cfg(target_os = "linux")]
const STEPS: std::ops::RangeInclusive<usize> = 64 * 1024..=512 * 1024;

/// Memory that the buffers of one transfer reuse. Getting new pages from the system takes longer than using them, on a
/// virtual machine several times as long.
#[derive(Clone)]
pub struct Pool {
    free: Arc<Mutex<Vec<Mapping>>>,
    most: usize,
}

impl Pool {
    /// A pool that keeps at most `most` mappings for later.
    pub fn new(most: usize) -> Self {
        Self { free: Arc::default(), most }
    }

    /// An empty buffer for `capacity` bytes, whose memory comes back here.
    ///
    /// # Errors
    /// `TooLarge` when the system has no memory for it.
    pub fn buffer(&self, capacity: usize) -> Result<Buffer> {
        if capacity < MAPPED {
            return Buffer::with_capacity(capacity);
        }
        let memory = match self.take(capacity) {
            Some(memory) => memory,
            None => Mapping::new(capacity)?,
        };
        Ok(Buffer { memory: Memory::Mapped { memory: Some(memory), pool: Some(self.clone()) }, capacity, length: 0 })
    }

    fn take(&self, capacity: usize) -> Option<Mapping> {
        let mut free = self.free();
        let fitting = free.iter().position(|mapping| mapping.memory.len() >= capacity)?;
        Some(free.swap_remove(fitting))
    }

    fn give_back(&self, mapping: Mapping) {
        let mut free = self.free();
        if free.len() < self.most {
            free.push(mapping);
        }
    }

    fn free(&self) -> MutexGuard<'_, Vec<Mapping>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} free)", self.free().len())
    }
}

/// Bytes with a capacity that does not change. Memory of a large buffer is used only as far as it is filled, and goes
/// back to the system, or to its pool, when the buffer is dropped.
pub struct Buffer {
    memory: Memory,
    capacity: usize,
    length: usize,
}

enum Memory {
    Heap(Vec<u8>),
    /// `memory` is there until the buffer is dropped.
    Mapped {
        memory: Option<Mapping>,
        pool: Option<Pool>,
    },
}

/// Mapped memory.
struct Mapping {
    memory: MmapMut,
    /// The number of bytes at its beginning that the system has given already.
    #[cfg(target_os = "linux")]
    given: usize,
}

impl Mapping {
    fn new(capacity: usize) -> Result<Self> {
        let memory = MmapMut::map_anon(capacity).map_err(|error| {
            Error::new(ErrorKind::TooLarge, format!("cannot allocate {capacity} bytes of memory")).with_source(error)
        })?;
        Ok(Self {
            memory,
            #[cfg(target_os = "linux")]
            given: 0,
        })
    }

    /// Asks for the memory up to the byte `end`, which is written next. Linux before 5.14 refuses, and gives it when it
    /// is written.
    #[cfg(target_os = "linux")]
    fn ask_for(&mut self, end: usize) {
        if end > self.given {
            // As much again as was used so far, because the buffer may not be filled.
            let step = self.given.clamp(*STEPS.start(), *STEPS.end());
            let end = end.next_multiple_of(step).min(self.memory.len());
            let _refused = self.memory.advise_range(memmap2::Advice::PopulateWrite, self.given, end - self.given);
            self.given = end;
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn ask_for(&mut self, _end: usize) {}
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Mapped { memory, pool: Some(pool) } = self
            && let Some(memory) = memory.take()
        {
            pool.give_back(memory);
        }
    }
}

impl Buffer {
    /// An empty buffer for `capacity` bytes.
    ///
    /// # Errors
    /// `TooLarge` when the system has no memory for it.
    pub fn with_capacity(capacity: usize) -> Result<Self> {
        let memory = if capacity < MAPPED {
            Memory::Heap(vec![0; capacity])
        } else {
            Memory::Mapped { memory: Some(Mapping::new(capacity)?), pool: None }
        };
        Ok(Self { memory, capacity, length: 0 })
    }

    /// The capacity in bytes.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The free space in bytes.
    pub fn room(&self) -> usize {
        self.capacity() - self.length
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Takes as many of `bytes` as fit and returns the others.
    pub fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(self.room()));
        let length = self.length;
        self.ask_for(length + taken.len());
        if let Some(target) = self.memory_mut().get_mut(length..length + taken.len()) {
            target.copy_from_slice(taken);
            self.length += taken.len();
        }
        rest
    }

    /// Lets `read` fill at most `most` bytes of the free space and returns how many it filled.
    ///
    /// # Errors
    /// The error of `read`.
    pub fn read_with(
        &mut self,
        most: usize,
        read: impl FnOnce(&mut [u8]) -> std::io::Result<usize>,
    ) -> std::io::Result<usize> {
        let (from, most) = (self.length, most.min(self.room()));
        self.ask_for(from + most);
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

    fn ask_for(&mut self, end: usize) {
        if let Memory::Mapped { memory: Some(mapping), .. } = &mut self.memory {
            mapping.ask_for(end);
        }
    }

    fn memory(&self) -> &[u8] {
        match &self.memory {
            Memory::Heap(memory) => memory,
            Memory::Mapped { memory, .. } => memory.as_ref().map(|mapping| &*mapping.memory).unwrap_or_default(),
        }
    }

    fn memory_mut(&mut self) -> &mut [u8] {
        match &mut self.memory {
            Memory::Heap(memory) => memory,
            Memory::Mapped { memory, .. } => memory.as_mut().map(|mapping| &mut *mapping.memory).unwrap_or_default(),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Default for Buffer {
    /// No bytes and no room.
    fn default() -> Self {
        Self { memory: Memory::Heap(Vec::new()), capacity: 0, length: 0 }
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
    fn memory_of_a_pool_is_used_again_and_begins_empty() {
        let pool = Pool::new(1);
        for capacity in [MAPPED + 2, MAPPED + 1, MAPPED] {
            let Ok(mut buffer) = pool.buffer(capacity) else { unreachable!("memory") };
            assert!(pool.free().is_empty());
            assert_eq!((buffer.len(), buffer.capacity()), (0, capacity));
            assert_eq!(buffer.fill(&vec![9; capacity + 1]).len(), 1);
            drop(buffer);
            assert_eq!(pool.free().iter().map(|mapping| mapping.memory.len()).collect::<Vec<_>>(), [MAPPED + 2]);
        }
        let Ok(larger) = pool.buffer(MAPPED + 3) else { unreachable!("memory") };
        assert_eq!(pool.free().len(), 1, "what is too small for it stays");
        drop(larger);
        assert_eq!(pool.free().len(), 1, "no more than asked for is kept");
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

//! Memory for the bytes of a transfer.
//!
//! Large buffers are mapped instead of allocated. An allocator keeps freed memory for each thread, so after one large
//! file the process would keep the memory of all its parts.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use memmap2::MmapMut;

use crate::{Error, ErrorKind, Result};

/// Buffers of at least this many bytes are mapped.
const MAPPED: usize = 256 * 1024;

/// Memory is populated before it is written, in steps of this many bytes. Otherwise Linux allocates each page on its
/// first write, which takes 50% longer. Huge pages are not an alternative: Ruby disables them for its process.
#[cfg(target_os = "linux")]
const STEPS: std::ops::RangeInclusive<usize> = 64 * 1024..=512 * 1024;

/// Memory that the buffers of one transfer reuse. Allocating new pages takes longer than filling them, on a virtual
/// machine several times as long.
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

    /// An empty buffer for `capacity` bytes. When it is dropped, its memory returns to this pool.
    ///
    /// # Errors
    /// `TooLarge` when the memory cannot be allocated.
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

/// A byte buffer of fixed capacity. A large buffer uses memory only as far as it is filled, and returns it to the
/// system, or to its pool, when it is dropped.
pub struct Buffer {
    memory: Memory,
    capacity: usize,
    length: usize,
}

enum Memory {
    Heap(Vec<u8>),
    /// `memory` is `Some` until the buffer is dropped.
    Mapped {
        memory: Option<Mapping>,
        pool: Option<Pool>,
    },
}

/// Mapped memory.
struct Mapping {
    memory: MmapMut,
    /// The number of bytes, from the beginning, that are already populated.
    #[cfg(target_os = "linux")]
    populated: usize,
}

impl Mapping {
    fn new(capacity: usize) -> Result<Self> {
        let memory = MmapMut::map_anon(capacity).map_err(|error| {
            Error::new(ErrorKind::TooLarge, format!("cannot allocate {capacity} bytes of memory")).with_source(error)
        })?;
        Ok(Self {
            memory,
            #[cfg(target_os = "linux")]
            populated: 0,
        })
    }

    /// Populates the memory up to the byte `end` before it is written. Linux before 5.14 refuses this and allocates on
    /// the first write.
    #[cfg(target_os = "linux")]
    fn populate(&mut self, end: usize) {
        if end > self.populated {
            // Populates as much again as before, and not everything, because the buffer may never be full.
            let step = self.populated.clamp(*STEPS.start(), *STEPS.end());
            let end = end.next_multiple_of(step).min(self.memory.len());
            let _refused =
                self.memory.advise_range(memmap2::Advice::PopulateWrite, self.populated, end - self.populated);
            self.populated = end;
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn populate(&mut self, _end: usize) {}
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
    /// `TooLarge` when the memory cannot be allocated.
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

    /// Whether the buffer is empty.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Appends as many of `bytes` as fit and returns the rest.
    pub fn fill<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(self.room()));
        let length = self.length;
        self.populate(length + taken.len());
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
        self.populate(from + most);
        let room = self.memory_mut().get_mut(from..from + most).unwrap_or_default();
        let taken = read(room)?.min(most);
        self.length += taken;
        Ok(taken)
    }

    /// Shortens the content to at most `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        self.memory().get(..self.length).unwrap_or_default()
    }

    /// The content from the offset `from` on.
    pub fn bytes_from(&mut self, from: usize) -> &mut [u8] {
        let length = self.length;
        self.memory_mut().get_mut(from..length).unwrap_or_default()
    }

    fn populate(&mut self, end: usize) {
        if let Memory::Mapped { memory: Some(mapping), .. } = &mut self.memory {
            mapping.populate(end);
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
    /// A buffer without content and without capacity.
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
    fn fill_stops_at_the_capacity() {
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
    fn memory_of_a_pool_is_reused_for_empty_buffers() {
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
        assert_eq!(pool.free().len(), 1, "a mapping that is too small stays in the pool");
        drop(larger);
        assert_eq!(pool.free().len(), 1, "the pool does not exceed its limit");
    }

    #[test]
    fn read_with_counts_the_bytes_that_were_read() {
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

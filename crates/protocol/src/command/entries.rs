// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The memory entries that back a resource: a list in the request, borrowed and never copied.

use core::fmt;

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A piece of guest memory. Nothing is known about it but the numbers: whether it lies in guest memory is the device's to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemEntry {
    /// Guest-physical address of the first byte.
    pub addr: u64,
    /// Bytes.
    pub length: u32,
}

/// [`MemEntry`] as it lies in memory (`struct virtio_gpu_mem_entry`), for the driver's side to build lists of.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RawMemEntry {
    pub(crate) addr: U64,
    pub(crate) length: U32,
    pub(crate) padding: U32,
}

impl RawMemEntry {
    /// The entry of `length` bytes from guest-physical address `addr`.
    #[must_use]
    pub const fn new(addr: u64, length: u32) -> Self {
        Self {
            addr: U64::new(addr),
            length: U32::new(length),
            padding: U32::ZERO,
        }
    }
}

impl From<MemEntry> for RawMemEntry {
    fn from(entry: MemEntry) -> Self {
        Self::new(entry.addr, entry.length)
    }
}

impl From<&RawMemEntry> for MemEntry {
    fn from(raw: &RawMemEntry) -> Self {
        Self {
            addr: raw.addr.get(),
            length: raw.length.get(),
        }
    }
}

/// The entries of a request: exactly as many as the command claims, at most [`MAX_MEM_ENTRIES`](crate::limits::MAX_MEM_ENTRIES)
/// after decoding. Equal when their addresses and lengths are, whatever the padding holds.
#[derive(Clone, Copy, Default)]
pub struct MemEntries<'a>(&'a [RawMemEntry]);

impl<'a> MemEntries<'a> {
    /// No entries.
    pub const EMPTY: Self = Self(&[]);

    /// The entries of a list.
    #[must_use]
    pub const fn new(entries: &'a [RawMemEntry]) -> Self {
        Self(entries)
    }

    /// The first `count` entries in `bytes`; `None` if they are not all there.
    pub(crate) fn from_prefix(bytes: &'a [u8], count: usize) -> Option<Self> {
        <[RawMemEntry]>::ref_from_prefix_with_elems(bytes, count)
            .ok()
            .map(|(entries, _)| Self(entries))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries in order.
    pub fn iter(
        &self,
    ) -> impl ExactSizeIterator<Item = MemEntry> + DoubleEndedIterator + Clone + use<'a> {
        self.0.iter().map(MemEntry::from)
    }

    /// Bytes in all. Cannot overflow: at most 2^32 entries of less than 2^32 bytes each.
    #[must_use]
    pub fn total_len(&self) -> u64 {
        self.iter().fold(0, |sum: u64, entry| {
            sum.saturating_add(u64::from(entry.length))
        })
    }
}

impl PartialEq for MemEntries<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for MemEntries<'_> {}

impl fmt::Debug for MemEntries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

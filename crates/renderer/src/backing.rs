// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guest memory behind an image or blob, resolved once so that copies look nothing up.
//!
//! A guest names its pages in any number of pieces, in any order, overlapping if it likes. They are checked against the
//! VM's memory when they are attached; after that a [`Backing`] is a flat run of bytes. It holds the memory's mappings,
//! so it stays valid whatever happens to the VM's memory map, and must be dropped before the guest is told that the
//! pages are its own again. The guest goes on writing while the GPU reads: there is never a `&[u8]` into its memory.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion, MmapRegion,
    VolatileMemory,
};

use crate::pixels::OutOfMemory;
use crate::unit::Budget;

/// Why guest memory cannot be attached.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BackingError {
    /// A piece is not wholly inside the VM's memory.
    #[error("piece {index}, {len} bytes at {addr:#x}, leaves guest memory")]
    OutsideMemory {
        /// Which piece, from 0.
        index: usize,
        /// Its guest-physical address.
        addr: u64,
        /// Its length in bytes.
        len: u32,
    },
    /// The host has no memory for the table.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// A read leaves the backing; nothing was copied.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{len} bytes at {offset} leave a backing of {available} bytes")]
pub struct OutOfRange {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// Bytes that the backing has.
    pub available: u64,
}

/// Bytes of one mapping that follow each other in the backing.
#[derive(Clone, Copy, Debug)]
struct Extent {
    /// Where it starts in the backing.
    start: u64,
    /// Where it starts in the mapping.
    offset: usize,
    /// Which mapping.
    region: usize,
}

/// A run of guest memory, put together from pieces.
pub struct Backing {
    regions: Vec<Arc<MmapRegion>>,
    extents: Vec<Extent>,
    len: u64,
}

/// Where the last read of a [`Backing`] ended: the next one in sequence needs no search.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadHint(usize);

impl Backing {
    /// Bytes of host memory that a backing of so many pieces takes: the table is allocated once, in this size.
    #[must_use]
    pub fn memory_for(memory: &GuestMemoryMmap, pieces: usize) -> u64 {
        let extents = Self::max_extents(memory, pieces) as u64;
        let regions = memory.num_regions() as u64;
        extents
            .saturating_mul(size_of::<Extent>() as u64)
            .saturating_add(regions.saturating_mul(size_of::<Arc<MmapRegion>>() as u64))
    }

    /// A piece may cross each border between mappings that touch.
    fn max_extents(memory: &GuestMemoryMmap, pieces: usize) -> usize {
        let borders = memory
            .iter()
            .zip(memory.iter().skip(1))
            .filter(|(low, high)| low.last_addr().0.checked_add(1) == Some(high.start_addr().0))
            .count();
        pieces.saturating_mul(borders.saturating_add(1))
    }

    /// Resolves the pieces, in this order. Empty ones are skipped, neighbours in memory become one.
    ///
    /// # Errors
    /// [`BackingError`]; nothing of the guest's memory is held then.
    pub fn new<I>(memory: &GuestMemoryMmap, pieces: I) -> Result<Self, BackingError>
    where
        I: IntoIterator<Item = (GuestAddress, u32)>,
        I::IntoIter: ExactSizeIterator,
    {
        let pieces = pieces.into_iter();
        let bytes = Self::memory_for(memory, pieces.len());
        let mut backing = Self {
            regions: Vec::new(),
            extents: Vec::new(),
            len: 0,
        };
        let out_of_memory = |_| OutOfMemory { bytes };
        backing
            .regions
            .try_reserve_exact(memory.num_regions())
            .map_err(out_of_memory)?;
        backing
            .extents
            .try_reserve_exact(Self::max_extents(memory, pieces.len()))
            .map_err(out_of_memory)?;
        backing
            .regions
            .extend(memory.iter().map(vm_memory::GuestRegionMmap::get_mmap));
        for (index, (addr, len)) in pieces.enumerate() {
            backing
                .push(memory, addr, len)
                .ok_or(BackingError::OutsideMemory {
                    index,
                    addr: addr.0,
                    len,
                })?;
        }
        Ok(backing)
    }

    fn push(&mut self, memory: &GuestMemoryMmap, addr: GuestAddress, len: u32) -> Option<()> {
        let mut addr = addr.0;
        let mut left = u64::from(len);
        while left > 0 {
            let (region, mapped) = memory.iter().enumerate().find(|(_, region)| {
                (region.start_addr().0..=region.last_addr().0).contains(&addr)
            })?;
            let offset = addr.checked_sub(mapped.start_addr().0)?;
            let taken = left.min(mapped.len().checked_sub(offset)?);
            let offset = usize::try_from(offset).ok()?;
            let follows = self.extents.last().is_some_and(|last| {
                last.region == region
                    && (last.offset as u64).checked_add(self.len.saturating_sub(last.start))
                        == Some(offset as u64)
            });
            if !follows {
                self.extents.push(Extent {
                    start: self.len,
                    offset,
                    region,
                });
            }
            self.len = self.len.checked_add(taken)?;
            left = left.checked_sub(taken)?;
            if left > 0 {
                addr = addr.checked_add(taken)?;
            }
        }
        Some(())
    }

    /// Bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of host memory that it takes; equal to [`Backing::memory_for`] of its pieces.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let extents = (self.extents.capacity() as u64).saturating_mul(size_of::<Extent>() as u64);
        let regions =
            (self.regions.capacity() as u64).saturating_mul(size_of::<Arc<MmapRegion>>() as u64);
        extents.saturating_add(regions)
    }

    /// Checks that `len` bytes at `offset` lie inside.
    ///
    /// # Errors
    /// [`OutOfRange`].
    pub fn check_range(&self, offset: u64, len: u64) -> Result<(), OutOfRange> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(OutOfRange {
                offset,
                len,
                available: self.len,
            }),
        }
    }

    /// Copies `dst.len()` bytes from `offset` on: all of them or none.
    ///
    /// # Errors
    /// [`OutOfRange`], before anything is copied.
    pub fn read(&self, offset: u64, dst: &mut [u8]) -> Result<(), OutOfRange> {
        self.check_range(offset, dst.len() as u64)?;
        let copied = self.read_some(
            &mut ReadHint::default(),
            offset,
            dst,
            &mut Budget::endless(),
        );
        debug_assert_eq!(copied, dst.len(), "a range that was checked is there");
        Ok(())
    }

    /// Copies from `offset` on until `dst` is full, the budget is spent or the backing ends; returns the bytes copied.
    /// Each extent costs [`Budget::PIECE`] on top of its bytes, so that memory in tiny pieces is no way around the
    /// bound on a unit.
    pub(crate) fn read_some(
        &self,
        hint: &mut ReadHint,
        offset: u64,
        dst: &mut [u8],
        budget: &mut Budget,
    ) -> usize {
        let mut done = 0;
        let mut index = self.extent_at(*hint, offset);
        while done < dst.len() && !budget.is_spent() {
            let at = offset.saturating_add(done as u64);
            let Some(extent) = self.extents.get(index) else {
                break;
            };
            let end = self
                .extents
                .get(index.saturating_add(1))
                .map_or(self.len, |next| next.start);
            let (Some(skip), Some(rest)) = (at.checked_sub(extent.start), end.checked_sub(at))
            else {
                break;
            };
            let wanted = budget.clamp(dst.len().saturating_sub(done));
            let taken = usize::try_from(rest).map_or(wanted, |rest| wanted.min(rest));
            let start = usize::try_from(skip)
                .ok()
                .and_then(|skip| extent.offset.checked_add(skip));
            let source = self
                .regions
                .get(extent.region)
                .zip(start)
                .and_then(|(region, start)| region.get_slice(start, taken).ok());
            let target = dst
                .get_mut(done..)
                .and_then(|target| target.get_mut(..taken));
            let (Some(source), Some(target)) = (source, target) else {
                debug_assert!(false, "extents were checked when they were made");
                break;
            };
            source.copy_to(target);
            budget.charge(taken.saturating_add(Budget::PIECE));
            done = done.saturating_add(taken);
            if taken as u64 == rest {
                index = index.saturating_add(1);
            }
        }
        hint.0 = index;
        done
    }

    /// How many extents the bytes from `start` to `end` (exclusive) touch.
    pub(crate) fn extents_between(&self, start: u64, end: u64) -> u64 {
        let first = self.extent_at(ReadHint::default(), start);
        let last = self.extent_at(ReadHint::default(), end.saturating_sub(1));
        (last as u64).saturating_sub(first as u64).saturating_add(1)
    }

    /// The extent that holds the byte at `offset`: near the last one in most cases, since rows follow each other.
    fn extent_at(&self, hint: ReadHint, offset: u64) -> usize {
        const NEAR: usize = 4;
        let starts_by = |index: usize| {
            self.extents
                .get(index)
                .is_some_and(|extent| extent.start <= offset)
        };
        if starts_by(hint.0) {
            let mut index = hint.0;
            for _ in 0..NEAR {
                let next = index.saturating_add(1);
                if !starts_by(next) {
                    return index;
                }
                index = next;
            }
        }
        self.extents
            .partition_point(|extent| extent.start <= offset)
            .saturating_sub(1)
    }
}

impl fmt::Debug for Backing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backing")
            .field("len", &self.len)
            .field("extents", &self.extents.len())
            .finish()
    }
}

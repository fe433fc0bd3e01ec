// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guest memory: its size, the ranges around the hole below 4 GiB, and the pages behind it.

#![allow(unsafe_code)]

use std::fmt;
use std::io;

use thiserror::Error;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestRegionMmap};

use crate::layout;

/// The guest's memory as the VMM and its devices hold it. Clones share the same mapping.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;

const MIB: u64 = 1 << 20;

/// What is wrong with a guest's memory.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// Less than [`MemorySize::MIN`].
    #[error("memory = {} MiB is too small: a VM needs at least {} MiB", bytes / MIB, MemorySize::MIN.mib())]
    TooSmall {
        /// What was asked for.
        bytes: u64,
    },
    /// More than [`MemorySize::MAX`].
    #[error("memory = {} MiB is too large: a VM may have at most {} MiB", bytes / MIB, MemorySize::MAX.mib())]
    TooLarge {
        /// What was asked for.
        bytes: u64,
    },
    /// Not a whole number of mebibytes.
    #[error("memory = {bytes} bytes is not a whole number of MiB: round it to {} MiB", bytes.div_ceil(MIB))]
    NotMebibytes {
        /// What was asked for.
        bytes: u64,
    },
    /// The memory could not be mapped into this process.
    #[error("cannot map {} MiB of guest memory: {source}; check the limit on address space (ulimit -v)", size.mib())]
    Map {
        /// What was asked for.
        size: MemorySize,
        /// Why not.
        source: vm_memory::mmap::FromRangesError,
    },
}

/// Bytes of guest memory: a whole number of MiB from 32 MiB to 512 GiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemorySize(u64);

impl MemorySize {
    /// 32 MiB: the least in which a small kernel and its boot structures fit.
    pub const MIN: Self = Self(32 * MIB);
    /// 512 GiB: within the 40 address bits that every processor with KVM has, with room above for device windows.
    pub const MAX: Self = Self(512 * 1024 * MIB);

    /// 512 MiB, what a VM has when nobody says otherwise.
    pub const DEFAULT: Self = Self(512 * MIB);

    /// Checks `bytes`.
    ///
    /// # Errors
    /// Out of bounds, or not a whole number of MiB.
    pub fn from_bytes(bytes: u64) -> Result<Self, MemoryError> {
        if bytes < Self::MIN.0 {
            Err(MemoryError::TooSmall { bytes })
        } else if bytes > Self::MAX.0 {
            Err(MemoryError::TooLarge { bytes })
        } else if !bytes.is_multiple_of(MIB) {
            Err(MemoryError::NotMebibytes { bytes })
        } else {
            Ok(Self(bytes))
        }
    }

    /// Checks a number of MiB.
    ///
    /// # Errors
    /// Out of bounds.
    pub fn from_mib(mib: u64) -> Result<Self, MemoryError> {
        Self::from_bytes(mib.saturating_mul(MIB))
    }

    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The size in MiB.
    #[must_use]
    pub const fn mib(self) -> u64 {
        self.0 / MIB
    }

    /// End of the memory below the hole: the initrd must end here or lower.
    #[must_use]
    pub fn low_end(self) -> u64 {
        self.0.min(layout::HOLE_START)
    }

    /// The ranges of memory, in order: one below the hole and, if that is not enough, one from 4 GiB.
    #[must_use]
    pub fn ranges(self) -> Vec<MemoryRange> {
        let low = MemoryRange {
            start: 0,
            size: self.low_end(),
        };
        let high = MemoryRange {
            start: layout::HOLE_END,
            size: self.0 - low.size,
        };
        [low, high]
            .into_iter()
            .filter(|range| range.size > 0)
            .collect()
    }
}

impl fmt::Debug for MemorySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.mib())
    }
}

/// A piece of guest-physical address space that is backed by memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    /// First guest-physical address.
    pub start: u64,
    /// Bytes.
    pub size: u64,
}

/// Creates the memory of one VM: private anonymous pages, allocated when they are touched, in huge pages where Linux has them.
///
/// Why not a memfd that other processes could share: nobody shares it yet, and its first touches cost more. A 4 KiB page of
/// a memfd takes 2.4 us against 1.4 us of an anonymous one, and Linux gives memfds no huge pages unless the administrator
/// changes `/sys/kernel/mm/transparent_hugepage/shmem_enabled`; with huge pages there is one fault where there were 512.
///
/// # Errors
/// The host refused the mapping.
pub fn create(size: MemorySize) -> Result<GuestMemory, MemoryError> {
    let mut ranges = Vec::new();
    for range in size.ranges() {
        let length = usize::try_from(range.size).map_err(|_| MemoryError::TooLarge {
            bytes: size.bytes(),
        })?;
        ranges.push((GuestAddress(range.start), length));
    }
    let memory =
        GuestMemory::from_ranges(&ranges).map_err(|source| MemoryError::Map { size, source })?;
    for region in memory.iter() {
        ask_for_huge_pages(region);
    }
    Ok(memory)
}

/// Linux may say no, or not know of huge pages; the memory is the same.
fn ask_for_huge_pages(region: &GuestRegionMmap) {
    // SAFETY: the range is a live mapping of ours, `region` keeps it alive during the call, and the advice changes no content.
    let result =
        unsafe { libc::madvise(region.as_ptr().cast(), region.size(), libc::MADV_HUGEPAGE) };
    if result != 0 {
        log::debug!(
            "no huge pages for guest memory: {}",
            io::Error::last_os_error()
        );
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn ranges(mib: u64) -> Vec<(u64, u64)> {
        MemorySize::from_mib(mib)
            .unwrap()
            .ranges()
            .iter()
            .map(|range| (range.start, range.size))
            .collect()
    }

    #[test]
    fn given_up_to_3_gib_then_the_memory_is_one_range_from_zero() {
        assert_eq!(ranges(32), [(0, 32 * MIB)]);
        assert_eq!(ranges(3071), [(0, 3071 * MIB)]);
        assert_eq!(ranges(3072), [(0, 3 * GIB)]);
    }

    #[test]
    fn given_more_than_3_gib_then_the_rest_continues_at_4_gib() {
        assert_eq!(ranges(3073), [(0, 3 * GIB), (4 * GIB, MIB)]);
        assert_eq!(ranges(3584), [(0, 3 * GIB), (4 * GIB, GIB / 2)]);
        assert_eq!(ranges(8192), [(0, 3 * GIB), (4 * GIB, 5 * GIB)]);
    }

    #[test]
    fn given_any_legal_size_then_the_ranges_add_up_and_leave_the_hole_free() {
        for mib in [32, 33, 1024, 3071, 3072, 3073, 4096, 65536, 512 * 1024] {
            let size = MemorySize::from_mib(mib).unwrap();
            let ranges = size.ranges();
            assert_eq!(
                ranges.iter().map(|range| range.size).sum::<u64>(),
                size.bytes()
            );
            for range in &ranges {
                let end = range.start + range.size;
                assert!(
                    end <= layout::HOLE_START || range.start >= layout::HOLE_END,
                    "{range:?}"
                );
            }
        }
    }

    #[test]
    fn given_sizes_out_of_bounds_then_the_sentence_says_what_is_allowed() {
        assert_eq!(
            MemorySize::from_mib(31).unwrap_err().to_string(),
            "memory = 31 MiB is too small: a VM needs at least 32 MiB"
        );
        assert!(
            MemorySize::from_mib(512 * 1024 + 1)
                .unwrap_err()
                .to_string()
                .contains("at most 524288 MiB")
        );
        assert!(
            MemorySize::from_bytes(64 * MIB + 1)
                .unwrap_err()
                .to_string()
                .contains("round it to 65 MiB")
        );
        assert!(MemorySize::from_mib(u64::MAX).is_err());
    }

    #[test]
    fn given_memory_around_the_hole_then_both_sides_are_backed_and_the_hole_by_nothing() {
        let memory = create(MemorySize::from_mib(3584).unwrap()).unwrap();
        memory.write_obj(0x11u8, GuestAddress(3 * GIB - 1)).unwrap();
        memory.write_obj(0x22u8, GuestAddress(4 * GIB)).unwrap();
        memory.write_obj(0x33u8, GuestAddress(3 * GIB)).unwrap_err();
        assert_eq!(
            memory.read_obj::<u8>(GuestAddress(3 * GIB - 1)).unwrap(),
            0x11
        );
        assert_eq!(memory.read_obj::<u8>(GuestAddress(4 * GIB)).unwrap(), 0x22);
    }
}

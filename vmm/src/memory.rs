// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Guest memory: its size, the ranges around the hole below 4 GiB, and the memfd behind it.

#![allow(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

use thiserror::Error;
use vm_memory::{FileOffset, GuestAddress};

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
    /// The host has no memory file to give.
    #[error("cannot create {} MiB of guest memory: {source}; lower the VM's memory or free some on the host", size.mib())]
    Create {
        /// What was asked for.
        size: MemorySize,
        /// Why not.
        source: io::Error,
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

/// Creates the memory of one VM: a sealed memfd, mapped shared, so that another process (a vhost-user device) can be given
/// the same pages later. Pages are only allocated when they are touched. `name` shows in `/proc/PID/maps`.
///
/// What sharing costs, measured: the first touch of a 4 KiB page takes about 1 us longer than with private anonymous memory
/// (2.4 against 1.4 us); from then on reads, writes and random accesses take the same time. Hosts that back shared memory with
/// huge pages only on request (`/sys/kernel/mm/transparent_hugepage/shmem_enabled` = `advise`) are not asked to.
///
/// # Errors
/// The host refused the file or the mapping.
pub fn create(size: MemorySize, name: &str) -> Result<GuestMemory, MemoryError> {
    let file = create_memfd(size, name).map_err(|source| MemoryError::Create { size, source })?;
    let file = std::sync::Arc::new(file);
    let mut offset = 0;
    let mut ranges = Vec::new();
    for range in size.ranges() {
        let length = usize::try_from(range.size).map_err(|_| MemoryError::TooLarge {
            bytes: size.bytes(),
        })?;
        ranges.push((
            GuestAddress(range.start),
            length,
            Some(FileOffset::from_arc(file.clone(), offset)),
        ));
        offset += range.size;
    }
    GuestMemory::from_ranges_with_files(ranges).map_err(|source| MemoryError::Map { size, source })
}

fn create_memfd(size: MemorySize, name: &str) -> io::Result<File> {
    // Names of memory files are at most 249 bytes and hold no zero.
    let name: String = format!("rondo-{name}")
        .chars()
        .filter(|c| *c != '\0')
        .take(60)
        .collect();
    let name = std::ffi::CString::new(name).map_err(io::Error::other)?;
    // SAFETY: `name` is a valid C string for the duration of the call, and the result is checked before use.
    let fd =
        unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just created and nothing else owns it.
    let file = unsafe { File::from_raw_fd(fd) };
    file.set_len(size.bytes())?;
    // Neither we nor whoever is given the file may cut pages off under the mappings.
    // SAFETY: a plain fcntl on a descriptor that `file` keeps open.
    let sealed = unsafe {
        libc::fcntl(
            fd,
            libc::F_ADD_SEALS,
            libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL,
        )
    };
    if sealed < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::{Bytes, GuestMemoryBackend, GuestMemoryRegion};

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
    fn given_memory_around_the_hole_then_both_sides_are_backed_by_one_file_and_the_hole_by_nothing()
    {
        let memory = create(MemorySize::from_mib(3584).unwrap(), "test").unwrap();
        memory.write_obj(0x11u8, GuestAddress(3 * GIB - 1)).unwrap();
        memory.write_obj(0x22u8, GuestAddress(4 * GIB)).unwrap();
        memory.write_obj(0x33u8, GuestAddress(3 * GIB)).unwrap_err();
        let offsets: Vec<u64> = memory
            .iter()
            .map(|region| region.file_offset().unwrap().start())
            .collect();
        assert_eq!(offsets, [0, 3 * GIB]);
        assert_eq!(
            memory.read_obj::<u8>(GuestAddress(3 * GIB - 1)).unwrap(),
            0x11
        );
        assert_eq!(memory.read_obj::<u8>(GuestAddress(4 * GIB)).unwrap(), 0x22);
    }

    #[test]
    fn given_the_memory_file_then_nobody_can_cut_pages_off_it() {
        let memory = create(MemorySize::MIN, "sealed").unwrap();
        let region = memory.iter().next().unwrap();
        assert!(region.file_offset().unwrap().file().set_len(4096).is_err());
    }
}

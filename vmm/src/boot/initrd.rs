// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The initrd, as high as it may lie: below the hole and below the kernel's own limit, on a page boundary, clear of the kernel.

use std::fs::File;
use std::io;
use std::path::Path;

use vm_memory::{Bytes, GuestAddress};

use super::{BootError, LoadedInitrd, LoadedKernel};
use crate::memory::{GuestMemory, MemorySize};

const PAGE: u64 = 4096;

pub(super) fn load(
    path: &Path,
    kernel: &LoadedKernel,
    memory: &GuestMemory,
    has: MemorySize,
) -> Result<LoadedInitrd, BootError> {
    let initrd = || path.to_owned();
    let opened = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        if metadata.is_file() {
            Ok((file, metadata.len()))
        } else {
            Err(io::Error::other("not a regular file"))
        }
    });
    let (mut file, size) = opened.map_err(|source| BootError::OpenInitrd {
        initrd: initrd(),
        source,
    })?;
    if size == 0 {
        return Err(BootError::EmptyInitrd { initrd: initrd() });
    }
    let limit = kernel.initrd_limit.min(has.low_end());
    let address = place(size, kernel.end, limit).map_err(|room| BootError::InitrdTooLarge {
        initrd: initrd(),
        size,
        room,
        has,
    })?;
    let length = usize::try_from(size).unwrap_or(usize::MAX);
    memory
        .read_exact_volatile_from(GuestAddress(address), &mut file, length)
        .map_err(|error| BootError::ReadInitrd {
            initrd: initrd(),
            source: io::Error::other(error),
        })?;
    Ok(LoadedInitrd { address, size })
}

/// The highest page in `kernel_end..limit` from which `size` bytes fit, or the room there is.
fn place(size: u64, kernel_end: u64, limit: u64) -> Result<u64, u64> {
    let lowest = kernel_end.saturating_add(PAGE - 1) / PAGE * PAGE;
    let room = limit.saturating_sub(lowest);
    if size > room {
        return Err(room);
    }
    // Rounding down stays at or above `lowest`, which is a page boundary itself.
    Ok((limit - size) / PAGE * PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_room_then_the_initrd_ends_as_high_as_it_may_on_a_page_boundary() {
        assert_eq!(place(0x1001, 0x10_0000, 0x20_0000), Ok(0x1F_E000));
        assert_eq!(place(0x1000, 0x10_0000, 0x20_0000), Ok(0x1F_F000));
        assert_eq!(place(0x10_0000, 0x10_0000, 0x20_0000), Ok(0x10_0000));
    }

    #[test]
    fn given_too_little_room_then_the_room_is_reported() {
        assert_eq!(place(0x10_0001, 0x10_0000, 0x20_0000), Err(0x10_0000));
        assert_eq!(place(0xF_F001, 0x10_0001, 0x20_0000), Err(0xF_F000));
        assert_eq!(place(1, 0x30_0000, 0x20_0000), Err(0));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! bzImage kernels, entered in 64-bit mode (Linux `Documentation/arch/x86/boot.rst`, "64-bit boot protocol").

use linux_loader::loader::bootparam::setup_header;
use linux_loader::loader::{BzImage, KernelLoader};
use vm_memory::GuestAddress;

use super::image::Image;
use super::{BootError, LoadedKernel, check_fits};
use crate::layout;
use crate::memory::{GuestMemory, MemorySize};
use crate::vcpu::EntryState;

/// Protocol 2.12: the first with `xloadflags`, which says whether there is a 64-bit entry.
const VERSION_2_12: u16 = 0x20C;
/// `XLF_KERNEL_64`.
const HAS_64_BIT_ENTRY: u16 = 1;
/// The 64-bit entry, from the start of the protected-mode part.
const ENTRY_64_OFFSET: u64 = 0x200;
const SECTOR: u64 = 512;
/// Offset of the setup header in the file.
const HEADER_START: u64 = 0x1F1;
/// Offset of the last byte of its jump instruction, which tells how long the header is.
const HEADER_LENGTH: u64 = 0x201;
/// Where the field after the jump starts, from which that length counts.
const HEADER_MAGIC: u64 = 0x202;

pub(super) fn load(
    image: &mut Image<'_>,
    memory: &GuestMemory,
    size: MemorySize,
) -> Result<LoadedKernel, BootError> {
    const TRUNCATED: &str = "it ends within its setup code";
    // The version first: the rest of the header is as old as it says.
    let version = image.read_at(0x206, 2, TRUNCATED)?;
    let version = u16::from_le_bytes([version[0], version[1]]);
    let loaded_flags = image.read_at(0x236, 2, TRUNCATED)?;
    let loaded_flags = u16::from_le_bytes([loaded_flags[0], loaded_flags[1]]);
    if version < VERSION_2_12 || loaded_flags & HAS_64_BIT_ENTRY == 0 {
        return Err(BootError::OldBootProtocol {
            kernel: image.name().to_owned(),
            version,
        });
    }
    let sectors = image.read_at(HEADER_START, 1, TRUNCATED)?[0];
    let setup = (u64::from(if sectors == 0 { 4 } else { sectors }) + 1) * SECTOR;
    if image.size() <= setup {
        return Err(image.damaged("it ends before its protected-mode code"));
    }

    // Fits, as loaded and as unpacked? The loader must not write outside memory, so this comes before it.
    let load_address = layout::HIGH_RAM_START;
    check_fits(image, load_address + (image.size() - setup), size)?;
    let loaded = BzImage::load(
        memory,
        Some(GuestAddress(load_address)),
        image,
        Some(GuestAddress(layout::HIGH_RAM_START)),
    );
    let header = loaded.ok().and_then(|loaded| loaded.setup_header);
    let header = header.ok_or_else(|| image.damaged("its setup header makes no sense"))?;
    let header = trim_header(header, image.read_at(HEADER_LENGTH, 1, TRUNCATED)?[0]);
    let end = unpacked_end(&header, load_address)
        .ok_or_else(|| image.damaged("its preferred address makes no sense"))?;
    check_fits(image, end, size)?;

    let command_line_limit = usize::try_from(header.cmdline_size).unwrap_or(usize::MAX);
    Ok(LoadedKernel {
        entry: EntryState::Linux64 {
            entry: load_address + ENTRY_64_OFFSET,
        },
        end,
        initrd_limit: (u64::from(header.initrd_addr_max) + 1).min(layout::HOLE_START),
        command_line_limit: command_line_limit.min(layout::boot::COMMAND_LINE_SIZE - 1),
        header: Some(header),
    })
}

/// Where the unpacked kernel and its heap end: a relocatable kernel runs at its preferred address, or at the first aligned one
/// above where it was loaded if that is higher.
fn unpacked_end(header: &setup_header, load_address: u64) -> Option<u64> {
    let alignment = u64::from({ header.kernel_alignment }.max(1));
    let start = load_address
        .checked_next_multiple_of(alignment)?
        .max(header.pref_address);
    start.checked_add({ header.init_size }.into())
}

/// The header is as long as its jump says; what follows in the file is code, not fields.
fn trim_header(header: setup_header, jump: u8) -> setup_header {
    use vm_memory::ByteValued;
    let length = usize::try_from(HEADER_MAGIC - HEADER_START).unwrap_or(0) + usize::from(jump);
    let mut bytes = header.as_slice().to_vec();
    if let Some(rest) = bytes.get_mut(length..) {
        rest.fill(0);
    }
    setup_header::from_slice(&bytes).copied().unwrap_or(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_relocatable_kernel_then_it_needs_its_preferred_address_and_init_size() {
        let header = setup_header {
            kernel_alignment: 0x20_0000,
            pref_address: 0x100_0000,
            init_size: 0x2AB_0000,
            ..setup_header::default()
        };
        assert_eq!(unpacked_end(&header, 0x10_0000), Some(0x3AB_0000));
        assert_eq!(
            unpacked_end(&header, 0x200_0001),
            Some(0x220_0000 + 0x2AB_0000)
        );
        let silly = setup_header {
            pref_address: u64::MAX,
            ..header
        };
        assert_eq!(unpacked_end(&silly, 0x10_0000), None);
    }

    #[test]
    fn given_a_short_header_then_fields_beyond_its_end_are_zero() {
        let full = setup_header {
            cmdline_size: 2047,
            init_size: 0x1234,
            kernel_info_offset: 0x5678,
            ..setup_header::default()
        };
        let all = trim_header(full, 0x6A);
        assert_eq!({ all.init_size }, 0x1234);
        let short = trim_header(full, 0x5E);
        assert_eq!({ short.init_size }, 0);
        assert_eq!({ short.cmdline_size }, 2047);
    }
}

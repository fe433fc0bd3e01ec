// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The zero page, `struct boot_params`, of Linux's 64-bit boot protocol (Linux `Documentation/arch/x86/zero-page.rst`).

use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use vm_memory::{Bytes, GuestAddress};

use super::memory_map::Entry;
use super::{BootError, LoadedInitrd, LoadedKernel};
use crate::layout::boot;
use crate::memory::GuestMemory;

/// A loader without a registered id.
const LOADER_UNDEFINED: u8 = 0xFF;
const BOOT_FLAG: u16 = 0xAA55;
/// "HdrS".
const HEADER_MAGIC: u32 = 0x5372_6448;
/// For ELF kernels, which bring no header: the protocol that introduced the 64-bit entry.
const VERSION: u16 = 0x20C;
const KERNEL_ALIGNMENT: u32 = 0x100_0000;
/// "Normal" text mode: there is no screen to set.
const VIDEO_NORMAL: u16 = 0xFFFF;

pub(super) fn write(
    memory: &GuestMemory,
    map: &[Entry],
    kernel: &LoadedKernel,
    initrd: Option<LoadedInitrd>,
    rsdp: u64,
) -> Result<(), BootError> {
    let header = kernel.header.unwrap_or_else(|| setup_header {
        boot_flag: BOOT_FLAG,
        header: HEADER_MAGIC,
        version: VERSION,
        kernel_alignment: KERNEL_ALIGNMENT,
        ..setup_header::default()
    });
    let mut params = boot_params {
        hdr: header,
        ..boot_params::default()
    };
    params.hdr.type_of_loader = LOADER_UNDEFINED;
    params.hdr.vid_mode = VIDEO_NORMAL;
    params.hdr.cmd_line_ptr = low_half(boot::COMMAND_LINE);
    params.acpi_rsdp_addr = rsdp;
    if let Some(initrd) = initrd {
        // Both are below the hole, so the upper halves (`ext_ramdisk_*`) stay zero.
        params.hdr.ramdisk_image = low_half(initrd.address);
        params.hdr.ramdisk_size = low_half(initrd.size);
    }
    let mut count = 0;
    let mut table = params.e820_table;
    for (slot, entry) in table.iter_mut().zip(map) {
        *slot = boot_e820_entry {
            addr: entry.start,
            size: entry.size,
            r#type: entry.kind as u32,
        };
        count += 1;
    }
    params.e820_table = table;
    params.e820_entries = count;
    memory
        .write_obj(params, GuestAddress(boot::ZERO_PAGE))
        .map_err(|source| BootError::Write {
            structure: "zero page",
            source,
        })
}

fn low_half(value: u64) -> u32 {
    debug_assert!(u32::try_from(value).is_ok());
    u32::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::memory_map;
    use crate::memory::{self, MemorySize};
    use crate::vcpu::EntryState;

    fn kernel(header: Option<setup_header>) -> LoadedKernel {
        let entry = EntryState::Linux64 { entry: 0x10_0200 };
        LoadedKernel {
            entry,
            end: 0x200_0000,
            initrd_limit: 0x8000_0000,
            command_line_limit: 2047,
            header,
        }
    }

    fn written(header: Option<setup_header>, mib: u64) -> boot_params {
        let size = MemorySize::from_mib(mib).unwrap();
        let memory = memory::create(size).unwrap();
        let initrd = LoadedInitrd {
            address: 0x1C0_0000,
            size: 77,
        };
        write(
            &memory,
            &memory_map::entries(size),
            &kernel(header),
            Some(initrd),
            0xE_0000,
        )
        .unwrap();
        memory.read_obj(GuestAddress(boot::ZERO_PAGE)).unwrap()
    }

    #[test]
    fn given_a_bzimage_header_then_it_is_kept_and_completed() {
        let header = setup_header {
            version: 0x20F,
            setup_sects: 27,
            header: HEADER_MAGIC,
            ..setup_header::default()
        };
        let params = written(Some(header), 32);
        assert_eq!(
            (
                { params.hdr.version },
                params.hdr.setup_sects,
                params.hdr.type_of_loader
            ),
            (0x20F, 27, 0xFF)
        );
        assert_eq!(
            ({ params.hdr.ramdisk_image }, { params.hdr.ramdisk_size }),
            (0x1C0_0000, 77)
        );
        assert_eq!(
            ({ params.hdr.cmd_line_ptr }, { params.acpi_rsdp_addr }),
            (0x2_0000, 0xE_0000)
        );
    }

    #[test]
    fn given_an_elf_kernel_then_the_header_says_what_protocol_is_spoken() {
        let params = written(None, 32);
        assert_eq!(
            ({ params.hdr.boot_flag }, { params.hdr.header }, {
                params.hdr.version
            }),
            (0xAA55, 0x5372_6448, 0x20C)
        );
    }

    #[test]
    fn given_memory_on_both_sides_of_the_hole_then_the_e820_table_has_all_of_it() {
        let params = written(None, 8192);
        let table = { params.e820_table };
        let ram: u64 = table
            .iter()
            .filter(|entry| { entry.r#type } == 1)
            .map(|entry| entry.size)
            .sum();
        assert_eq!(params.e820_entries, 5);
        assert_eq!(ram, (8 << 30) - (0x10_0000 - 0x9_FC00));
    }
}

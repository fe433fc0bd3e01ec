// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The start info of the PVH boot protocol (Xen `docs/misc/pvh.pandoc` and `xen/include/public/arch-x86/hvm/start_info.h`).

use linux_loader::loader::elf::start_info::{
    hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info,
};
use vm_memory::{Bytes, GuestAddress};

use super::memory_map::Entry;
use super::{BootError, LoadedInitrd};
use crate::layout::boot;
use crate::memory::GuestMemory;

/// "xEn3" with the top bit set.
const MAGIC: u32 = 0x336E_C578;
/// The first version with a memory map.
const VERSION: u32 = 1;

pub(super) fn write(
    memory: &GuestMemory,
    map: &[Entry],
    initrd: Option<LoadedInitrd>,
    rsdp: u64,
) -> Result<(), BootError> {
    let fail = |source| BootError::Write {
        structure: "PVH start info",
        source,
    };
    let mut address = boot::PVH_MEMORY_MAP;
    for entry in map {
        let entry = hvm_memmap_table_entry {
            addr: entry.start,
            size: entry.size,
            type_: entry.kind as u32,
            reserved: 0,
        };
        memory
            .write_obj(entry, GuestAddress(address))
            .map_err(fail)?;
        address += size_of::<hvm_memmap_table_entry>() as u64;
    }
    if let Some(initrd) = initrd {
        let module = hvm_modlist_entry {
            paddr: initrd.address,
            size: initrd.size,
            ..hvm_modlist_entry::default()
        };
        memory
            .write_obj(module, GuestAddress(boot::PVH_MODULES))
            .map_err(fail)?;
    }
    let info = hvm_start_info {
        magic: MAGIC,
        version: VERSION,
        flags: 0,
        nr_modules: u32::from(initrd.is_some()),
        modlist_paddr: if initrd.is_some() {
            boot::PVH_MODULES
        } else {
            0
        },
        cmdline_paddr: boot::COMMAND_LINE,
        rsdp_paddr: rsdp,
        memmap_paddr: boot::PVH_MEMORY_MAP,
        memmap_entries: u32::try_from(map.len()).unwrap_or(0),
        reserved: 0,
    };
    memory
        .write_obj(info, GuestAddress(boot::PVH_START_INFO))
        .map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::memory_map;
    use crate::memory::{self, MemorySize};

    #[test]
    fn given_an_initrd_then_the_start_info_leads_to_it_the_map_the_command_line_and_the_rsdp() {
        let size = MemorySize::MIN;
        let memory = memory::create(size).unwrap();
        let map = memory_map::entries(size);
        write(
            &memory,
            &map,
            Some(LoadedInitrd {
                address: 0x180_0000,
                size: 123,
            }),
            0xE_0000,
        )
        .unwrap();
        let info: hvm_start_info = memory.read_obj(GuestAddress(boot::PVH_START_INFO)).unwrap();
        assert_eq!(
            (info.magic, info.version, info.nr_modules),
            (0x336E_C578, 1, 1)
        );
        assert_eq!((info.cmdline_paddr, info.rsdp_paddr), (0x2_0000, 0xE_0000));
        let module: hvm_modlist_entry = memory.read_obj(GuestAddress(info.modlist_paddr)).unwrap();
        assert_eq!((module.paddr, module.size), (0x180_0000, 123));
        assert_eq!(info.memmap_entries, 4);
        let third: hvm_memmap_table_entry = memory
            .read_obj(GuestAddress(info.memmap_paddr + 2 * 24))
            .unwrap();
        assert_eq!(
            (third.addr, third.size, third.type_),
            (0x10_0000, 0x1F0_0000, 1)
        );
    }

    #[test]
    fn given_no_initrd_then_there_is_no_module() {
        let memory = memory::create(MemorySize::MIN).unwrap();
        write(&memory, &memory_map::entries(MemorySize::MIN), None, 0).unwrap();
        let info: hvm_start_info = memory.read_obj(GuestAddress(boot::PVH_START_INFO)).unwrap();
        assert_eq!((info.nr_modules, info.modlist_paddr), (0, 0));
    }

    #[test]
    fn given_the_largest_map_then_it_ends_before_the_zero_page() {
        let entries = memory_map::entries(MemorySize::MAX).len() as u64;
        assert!(boot::PVH_MEMORY_MAP + entries * 24 <= boot::ZERO_PAGE);
    }
}

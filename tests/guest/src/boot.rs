// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the boot stub hands over, and the PVH start info behind it: the memory map and the command line.
//!
//! Source: Xen's `xen/include/public/arch-x86/hvm/start_info.h`, version 1 of the structure.
#![allow(unsafe_code)]

/// Filled in by `boot.s` at CPL 0; the layouts must agree.
#[derive(Debug)]
#[repr(C)]
pub struct BootRecord {
    /// Address of the PVH start info (the EBX of the entry).
    pub start_info: u64,
    /// The TSC at the entry.
    pub entry_tsc: u64,
    /// CPUID leaf 0x15: EAX (denominator), EBX (numerator), ECX (crystal, Hz); zero where the leaf is missing.
    pub leaf_15: [u32; 3],
    /// EAX of CPUID leaf 0x40000010: the TSC's frequency in kHz; zero where the leaf is missing.
    pub leaf_40000010_khz: u32,
    /// Address of the record that KVM fills for MSR_KVM_SYSTEM_TIME_NEW, or 0.
    pub pvclock: u64,
    /// Address of the image's first byte.
    pub image_start: u64,
    /// Address after the image's last byte, zero-initialised data and stack included.
    pub image_end: u64,
}

impl BootRecord {
    /// A record in which nothing was found, for tests.
    #[cfg(test)]
    pub(crate) const fn empty() -> Self {
        Self {
            start_info: 0,
            entry_tsc: 0,
            leaf_15: [0; 3],
            leaf_40000010_khz: 0,
            pvclock: 0,
            image_start: 0,
            image_end: 0,
        }
    }
}

/// `XEN_HVM_START_MAGIC_VALUE`.
const START_MAGIC: u32 = 0x336e_c578;
/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const MEMMAP_RAM: u32 = 1;
/// More entries than this are not looked at.
const MAX_MEMMAP_ENTRIES: u32 = 64;

/// Longest command line that is kept, in bytes; the same limit as Linux on x86 has.
pub const COMMAND_LINE_MAX: usize = 2048;

#[derive(Clone, Copy)]
#[repr(C)]
struct StartInfo {
    magic: u32,
    version: u32,
    _flags: u32,
    _nr_modules: u32,
    _modlist: u64,
    cmdline: u64,
    _rsdp: u64,
    memmap: u64,
    memmap_entries: u32,
    _reserved: u32,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct MemmapEntry {
    addr: u64,
    size: u64,
    kind: u32,
    _reserved: u32,
}

/// Why the start info is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootError {
    /// EBX did not point to a start info.
    BadMagic(u32),
    /// Version 0 has no memory map.
    NoMemoryMap,
    /// No RAM follows the image.
    NoRam,
}

impl core::fmt::Display for BootError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::BadMagic(magic) => write!(f, "start-info-magic found={magic:#x}"),
            Self::NoMemoryMap => write!(f, "start-info-has-no-memory-map"),
            Self::NoRam => write!(f, "no-ram-after-the-image"),
        }
    }
}

/// What the machine told: where free RAM is, and the command line.
#[derive(Debug)]
pub struct Machine {
    /// The RAM region that holds the image, from its start.
    pub ram_start: u64,
    /// Its end, exclusive, not beyond 4 GiB (what the stub maps).
    pub ram_end: u64,
    /// Sum of all RAM, in bytes.
    pub ram_total: u64,
    /// Bytes of the command line that were kept.
    pub command_line_len: usize,
}

/// Reads the start info. The command line is copied to `command_line`, since the VMM's copy may lie in memory that is about to be used.
///
/// # Errors
/// [`BootError`], when the machine was not entered by the PVH protocol or has no RAM behind the image.
///
/// # Safety
/// `record.start_info` must be the address that a VMM passed in EBX, and the identity mapping must be in place.
pub unsafe fn read_machine(
    record: &BootRecord,
    command_line: &mut [u8; COMMAND_LINE_MAX],
) -> Result<Machine, BootError> {
    // SAFETY: the caller's promise; RAM and ROM below 4 GiB are mapped, and the structure has no invalid bit patterns.
    let info = unsafe {
        core::ptr::with_exposed_provenance::<StartInfo>(record.start_info as usize).read_unaligned()
    };
    if info.magic != START_MAGIC {
        return Err(BootError::BadMagic(info.magic));
    }
    if info.version == 0 || info.memmap == 0 {
        return Err(BootError::NoMemoryMap);
    }
    let mut machine = Machine {
        ram_start: 0,
        ram_end: 0,
        ram_total: 0,
        command_line_len: 0,
    };
    let entries = core::ptr::with_exposed_provenance::<MemmapEntry>(info.memmap as usize);
    for i in 0..info.memmap_entries.min(MAX_MEMMAP_ENTRIES) {
        // SAFETY: the VMM says that so many entries are there.
        let entry = unsafe { entries.add(i as usize).read_unaligned() };
        if entry.kind != MEMMAP_RAM {
            continue;
        }
        let end = entry.addr.saturating_add(entry.size);
        machine.ram_total = machine.ram_total.saturating_add(entry.size);
        if (entry.addr..end).contains(&record.image_start) {
            machine.ram_start = entry.addr;
            machine.ram_end = end.min(1 << 32);
        }
    }
    if info.cmdline != 0 {
        for (i, to) in command_line.iter_mut().enumerate() {
            // SAFETY: a NUL-terminated string; the loop ends at its NUL.
            let byte = unsafe {
                core::ptr::with_exposed_provenance::<u8>(info.cmdline as usize)
                    .add(i)
                    .read()
            };
            if byte == 0 {
                break;
            }
            *to = byte;
            machine.command_line_len = i + 1;
        }
    }
    if machine.ram_end <= record.image_end {
        Err(BootError::NoRam)
    } else {
        Ok(machine)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(info: &StartInfo) -> BootRecord {
        BootRecord {
            start_info: core::ptr::from_ref(info).expose_provenance() as u64,
            image_start: 0x10_0000,
            ..BootRecord::empty()
        }
    }

    fn start_info(memmap: &[MemmapEntry], cmdline: &[u8]) -> StartInfo {
        StartInfo {
            magic: START_MAGIC,
            version: 1,
            _flags: 0,
            _nr_modules: 0,
            _modlist: 0,
            cmdline: cmdline.as_ptr().expose_provenance() as u64,
            _rsdp: 0,
            memmap: memmap.as_ptr().expose_provenance() as u64,
            memmap_entries: memmap.len() as u32,
            _reserved: 0,
        }
    }

    #[test]
    fn given_a_start_info_the_region_of_the_image_and_the_command_line_are_found() {
        let map = [
            MemmapEntry {
                addr: 0,
                size: 0x9fc00,
                kind: 1,
                _reserved: 0,
            },
            MemmapEntry {
                addr: 0x9fc00,
                size: 0x400,
                kind: 2,
                _reserved: 0,
            },
            MemmapEntry {
                addr: 0x10_0000,
                size: 0x700_0000,
                kind: 1,
                _reserved: 0,
            },
        ];
        let info = start_info(&map, b"name=red frames=3\0rest");
        let mut line = [0; COMMAND_LINE_MAX];
        // SAFETY: the start info is a live local.
        let machine = unsafe { read_machine(&record(&info), &mut line) }.unwrap();
        assert_eq!(
            (machine.ram_start, machine.ram_end),
            (0x10_0000, 0x710_0000)
        );
        assert_eq!(machine.ram_total, 0x9fc00 + 0x700_0000);
        assert_eq!(&line[..machine.command_line_len], b"name=red frames=3");
    }

    #[test]
    fn given_another_boot_protocol_the_magic_is_refused() {
        let mut info = start_info(&[], b"\0");
        info.magic = 7;
        let mut line = [0; COMMAND_LINE_MAX];
        // SAFETY: the start info is a live local.
        let error = unsafe { read_machine(&record(&info), &mut line) }.unwrap_err();
        assert_eq!(error, BootError::BadMagic(7));
    }
}

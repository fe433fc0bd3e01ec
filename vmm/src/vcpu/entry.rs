// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The state in which vCPUs start: what all of them share, and the boot processor's entry into the kernel.

use kvm_bindings::{
    CpuId, Msrs, kvm_fpu, kvm_lapic_state, kvm_msr_entry, kvm_regs, kvm_segment, kvm_sregs,
};
use kvm_ioctls::VcpuFd;
use vm_memory::{Bytes, GuestAddress};

use crate::kvm::KvmError;
use crate::layout::boot;
use crate::memory::GuestMemory;

const CR0_PE: u64 = 1;
const CR0_ET: u64 = 1 << 4;
const CR0_PG: u64 = 1 << 31;
const CR4_PAE: u64 = 1 << 5;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
/// The flags register's bit that always reads as one.
const FLAGS_RESERVED: u64 = 1 << 1;

/// Selectors that the 64-bit boot protocol prescribes (`__BOOT_CS`, `__BOOT_DS`).
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
const TSS_SELECTOR: u16 = 0x20;

const MSR_IA32_MISC_ENABLE: u32 = 0x1A0;
const MISC_ENABLE_FAST_STRING: u64 = 1;
const MSR_MTRR_DEF_TYPE: u32 = 0x2FF;
/// MTRRs on, everything write-back: without it kernels treat all memory as uncached.
const MTRR_WRITE_BACK: u64 = (1 << 11) | 6;

/// How the boot processor enters the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryState {
    /// 32-bit protected mode without paging, `%ebx` pointing at the start info (the PVH boot protocol).
    Pvh {
        /// The instruction pointer.
        entry: u64,
    },
    /// 64-bit mode with everything below 4 GiB identity-mapped, `%rsi` pointing at the zero page (Linux's 64-bit boot protocol).
    Linux64 {
        /// The instruction pointer.
        entry: u64,
    },
}

/// Sets what every vCPU shares: its features, its model-specific registers, FPU and local interrupt pins. Application
/// processors need nothing else: the in-kernel local APIC holds them until the start-up message.
pub fn configure(vcpu: &VcpuFd, cpuid: &CpuId) -> Result<(), KvmError> {
    vcpu.set_cpuid2(cpuid)
        .map_err(KvmError::request("take the vCPU's features"))?;
    // Both are hints to the guest, and a KVM without one of them runs guests all the same.
    change_msr(vcpu, MSR_IA32_MISC_ENABLE, |value| {
        value | MISC_ENABLE_FAST_STRING
    });
    change_msr(vcpu, MSR_MTRR_DEF_TYPE, |_| MTRR_WRITE_BACK);
    let fpu = kvm_fpu {
        fcw: 0x37F,
        mxcsr: 0x1F80,
        ..kvm_fpu::default()
    };
    vcpu.set_fpu(&fpu)
        .map_err(KvmError::request("reset the FPU"))?;
    configure_local_pins(vcpu)
}

/// Changes one model-specific register, if this KVM has it.
fn change_msr(vcpu: &VcpuFd, index: u32, change: impl Fn(u64) -> u64) {
    let entry = |data| {
        Msrs::from_entries(&[kvm_msr_entry {
            index,
            data,
            ..kvm_msr_entry::default()
        }])
        .ok()
    };
    let changed = entry(0).and_then(|mut msrs| {
        let read = vcpu.get_msrs(&mut msrs).ok()?;
        let value = msrs.as_slice().first().filter(|_| read == 1)?.data;
        vcpu.set_msrs(&entry(change(value))?).ok()
    });
    if changed != Some(1) {
        log::debug!("this KVM does not have MSR {index:#x}");
    }
}

/// LINT0 carries the PIC's interrupts, LINT1 the NMI, as firmware leaves them and the MADT says.
fn configure_local_pins(vcpu: &VcpuFd) -> Result<(), KvmError> {
    const LVT_LINT0: usize = 0x350;
    const LVT_LINT1: usize = 0x360;
    const MODE_NMI: u32 = 0x400;
    const MODE_EXTINT: u32 = 0x700;
    const MODE_AND_MASK: u32 = 0x1_0700;
    fn set_mode(lapic: &mut kvm_lapic_state, register: usize, mode: u32) {
        let mut bytes = [0; 4];
        for (byte, place) in bytes.iter_mut().zip(&lapic.regs[register..]) {
            *byte = place.to_le_bytes()[0];
        }
        let value = (u32::from_le_bytes(bytes) & !MODE_AND_MASK) | mode;
        for (byte, place) in value.to_le_bytes().iter().zip(&mut lapic.regs[register..]) {
            *place = std::ffi::c_char::from_le_bytes([*byte]);
        }
    }
    let mut lapic = vcpu
        .get_lapic()
        .map_err(KvmError::request("read the local APIC"))?;
    set_mode(&mut lapic, LVT_LINT0, MODE_EXTINT);
    set_mode(&mut lapic, LVT_LINT1, MODE_NMI);
    vcpu.set_lapic(&lapic)
        .map_err(KvmError::request("set the local APIC's pins"))
}

/// Puts the boot processor at the kernel's entry. The boot structures must be in `memory`; the descriptor and page tables that
/// the state refers to are written here.
pub fn enter(vcpu: &VcpuFd, memory: &GuestMemory, state: EntryState) -> Result<(), KvmError> {
    let mut sregs = vcpu
        .get_sregs()
        .map_err(KvmError::request("read the system registers"))?;
    let registers = match state {
        EntryState::Pvh { entry } => {
            set_segments(&mut sregs, Segments::PROTECTED);
            sregs.cr0 = CR0_PE | CR0_ET;
            sregs.cr4 = 0;
            sregs.efer = 0;
            kvm_regs {
                rip: entry,
                rbx: boot::PVH_START_INFO,
                rflags: FLAGS_RESERVED,
                ..kvm_regs::default()
            }
        }
        EntryState::Linux64 { entry } => {
            set_segments(&mut sregs, Segments::LONG);
            write_page_tables(memory)?;
            sregs.cr3 = boot::PAGE_TABLES;
            sregs.cr4 = CR4_PAE;
            sregs.efer = EFER_LME | EFER_LMA;
            sregs.cr0 = CR0_PE | CR0_ET | CR0_PG;
            kvm_regs {
                rip: entry,
                rsi: boot::ZERO_PAGE,
                rsp: boot::STACK_TOP,
                rbp: boot::STACK_TOP,
                rflags: FLAGS_RESERVED,
                ..kvm_regs::default()
            }
        }
    };
    let gdt = descriptor_table(&sregs);
    write(memory, boot::GDT, gdt.as_flattened())?;
    sregs.gdt.base = boot::GDT;
    sregs.gdt.limit = u16::try_from(gdt.as_flattened().len() - 1).unwrap_or(u16::MAX);
    sregs.idt.base = 0;
    sregs.idt.limit = 0;
    vcpu.set_sregs(&sregs)
        .map_err(KvmError::request("set the system registers"))?;
    vcpu.set_regs(&registers)
        .map_err(KvmError::request("set the registers"))
}

struct Segments {
    long: bool,
}

impl Segments {
    const PROTECTED: Self = Self { long: false };
    const LONG: Self = Self { long: true };
}

fn set_segments(sregs: &mut kvm_sregs, segments: Segments) {
    let flat = kvm_segment {
        base: 0,
        limit: 0xFFFF_FFFF,
        present: 1,
        s: 1,
        g: 1,
        ..kvm_segment::default()
    };
    // Type 11: execute, read, accessed. Type 3: read, write, accessed. Type 11 without `s`: busy TSS.
    sregs.cs = kvm_segment {
        selector: CODE_SELECTOR,
        type_: 11,
        l: u8::from(segments.long),
        db: u8::from(!segments.long),
        ..flat
    };
    let data = kvm_segment {
        selector: DATA_SELECTOR,
        type_: 3,
        db: 1,
        ..flat
    };
    for segment in [
        &mut sregs.ds,
        &mut sregs.es,
        &mut sregs.fs,
        &mut sregs.gs,
        &mut sregs.ss,
    ] {
        *segment = data;
    }
    // The PVH protocol asks for base 0 and limit 0x67.
    sregs.tr = kvm_segment {
        selector: TSS_SELECTOR,
        limit: 0x67,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
}

/// The table that the selectors of `sregs` name.
fn descriptor_table(sregs: &kvm_sregs) -> [[u8; 8]; 5] {
    let mut table = [[0; 8]; 5];
    for segment in [&sregs.cs, &sregs.ds, &sregs.tr] {
        if let Some(slot) = table.get_mut(usize::from(segment.selector / 8)) {
            *slot = descriptor(segment).to_le_bytes();
        }
    }
    table
}

/// A segment descriptor (Intel SDM volume 3A, section 3.4.5).
fn descriptor(segment: &kvm_segment) -> u64 {
    let base = segment.base;
    let limit = u64::from(if segment.g == 1 {
        segment.limit >> 12
    } else {
        segment.limit
    });
    let flags = u64::from(segment.type_ & 0xF)
        | (u64::from(segment.s) << 4)
        | (u64::from(segment.dpl) << 5)
        | (u64::from(segment.present) << 7)
        | (u64::from(segment.avl) << 12)
        | (u64::from(segment.l) << 13)
        | (u64::from(segment.db) << 14)
        | (u64::from(segment.g) << 15);
    (limit & 0xFFFF)
        | ((base & 0xFF_FFFF) << 16)
        | (flags << 40)
        | (((limit >> 16) & 0xF) << 48)
        | (((base >> 24) & 0xFF) << 56)
}

/// Maps the first 4 GiB onto themselves in pages of 2 MiB.
fn write_page_tables(memory: &GuestMemory) -> Result<(), KvmError> {
    const PAGE: u64 = 0x1000;
    const PRESENT_WRITABLE: u64 = 0b11;
    const LARGE: u64 = 1 << 7;
    const DIRECTORIES: u64 = 4;
    const ENTRIES: u64 = 512;
    let pml4 = boot::PAGE_TABLES;
    let pdpt = pml4 + PAGE;
    let first_directory = pdpt + PAGE;
    write(memory, pml4, &(pdpt | PRESENT_WRITABLE).to_le_bytes())?;
    let pointers: Vec<u8> = (0..DIRECTORIES)
        .flat_map(|index| ((first_directory + index * PAGE) | PRESENT_WRITABLE).to_le_bytes())
        .collect();
    write(memory, pdpt, &pointers)?;
    let pages: Vec<u8> = (0..DIRECTORIES * ENTRIES)
        .flat_map(|index| ((index << 21) | PRESENT_WRITABLE | LARGE).to_le_bytes())
        .collect();
    write(memory, first_directory, &pages)
}

fn write(memory: &GuestMemory, address: u64, bytes: &[u8]) -> Result<(), KvmError> {
    memory
        .write_slice(bytes, GuestAddress(address))
        .map_err(|error| KvmError::Request {
            action: "find memory for the entry state",
            source: std::io::Error::other(error),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{self, MemorySize};

    #[test]
    fn given_flat_segments_then_the_descriptors_are_the_classic_ones() {
        let mut sregs = kvm_sregs::default();
        set_segments(&mut sregs, Segments::LONG);
        let table = descriptor_table(&sregs).map(u64::from_le_bytes);
        assert_eq!(
            table,
            [
                0,
                0,
                0x00AF_9B00_0000_FFFF,
                0x00CF_9300_0000_FFFF,
                0x0000_8B00_0000_0067
            ]
        );
        set_segments(&mut sregs, Segments::PROTECTED);
        assert_eq!(
            descriptor_table(&sregs).map(u64::from_le_bytes)[2],
            0x00CF_9B00_0000_FFFF
        );
    }

    #[test]
    fn given_the_page_tables_then_a_walk_of_any_address_below_4_gib_ends_at_itself() {
        let memory = memory::create(MemorySize::MIN).unwrap();
        write_page_tables(&memory).unwrap();
        let entry = |table: u64, index: u64| {
            memory
                .read_obj::<u64>(GuestAddress((table & !0xFFF) + index * 8))
                .unwrap()
        };
        for address in [
            0_u64,
            0x10_0000,
            0x1FF_FFFF,
            0x4000_0000,
            0xBFFF_FFFF,
            0xD000_0000,
            0xFEE0_0000,
            0xFFFF_FFFF,
        ] {
            let pdpt = entry(boot::PAGE_TABLES, address >> 39);
            let directory = entry(pdpt, (address >> 30) & 511);
            let page = entry(directory, (address >> 21) & 511);
            assert_eq!(page & 0xFFF, 0x83, "{address:#x}");
            assert_eq!((page & !0xFFF) | (address & 0x1F_FFFF), address);
        }
    }
}

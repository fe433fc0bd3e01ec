// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every guest-physical address, port and interrupt number of the machine, each with its reason.
//!
//! ```text
//! 0x0000_0000  conventional memory; boot structures below 0x9_FC00 (free for the guest once it has read them)
//! 0x0009_FC00  reserved: where a BIOS data area would be, the VGA hole, the ACPI tables (0xE_0000), the reset vector (0xF_FFF0)
//! 0x0010_0000  memory, up to 3 GiB: kernel, initrd at its top
//! 0xC000_0000  the hole: virtio-mmio windows, I/O APIC, local APICs, KVM's own pages
//! 0x1_0000_0000  the rest of the memory
//! ```

/// Boot structures, all in the first 640 KiB, which every guest's memory map calls RAM: a kernel copies them early and then
/// owns the space.
pub mod boot {
    /// Global descriptor table for the entry state. Above the real-mode interrupt table and BIOS data area (0 to 0x500).
    pub const GDT: u64 = 0x500;
    /// `hvm_start_info` of a PVH entry.
    pub const PVH_START_INFO: u64 = 0x6000;
    /// The PVH module list: one entry, the initrd.
    pub const PVH_MODULES: u64 = 0x6040;
    /// The PVH memory map.
    pub const PVH_MEMORY_MAP: u64 = 0x6100;
    /// `struct boot_params`, one page, for a 64-bit entry.
    pub const ZERO_PAGE: u64 = 0x7000;
    /// Initial stack pointer of a 64-bit entry. Linux sets its own before it pushes; other programs may not.
    pub const STACK_TOP: u64 = 0x8ff0;
    /// Identity-mapping page tables of a 64-bit entry: one PML4, one PDPT and four directories of 2 MiB pages, so that
    /// everything below 4 GiB is mapped as the boot protocol asks.
    pub const PAGE_TABLES: u64 = 0x9000;
    /// The kernel command line.
    pub const COMMAND_LINE: u64 = 0x2_0000;
    /// Longest command line with its terminating zero: what x86 Linux keeps (`COMMAND_LINE_SIZE`).
    pub const COMMAND_LINE_SIZE: usize = 2048;
}

/// End of conventional memory: the kilobyte below 640 KiB is where a PC has its extended BIOS data area, and kernels expect
/// it to be reserved.
pub const LOW_RAM_END: u64 = 0x9_FC00;
/// The ACPI tables. The RSDP must lie on a 16-byte boundary in 0xE0000..0x100000 to be found by a scan (ACPI 6.5, section
/// 5.2.5.1), for kernels that get no pointer to it; the other tables follow it.
pub const ACPI_START: u64 = 0xE_0000;
/// End of the ACPI tables: where a PC's BIOS segment starts.
pub const ACPI_END: u64 = 0xF_0000;
/// F000:FFF0, where a real-mode guest jumps to have the BIOS restart the machine.
pub const RESET_VECTOR: u64 = 0xF_FFF0;
/// Memory above the first megabyte. No kernel loads lower.
pub const HIGH_RAM_START: u64 = 0x10_0000;
/// Start of the hole. A gigabyte leaves room for 32-bit windows (PCI, later) and keeps one large low region.
pub const HOLE_START: u64 = 0xC000_0000;
/// End of the hole: 4 GiB.
pub const HOLE_END: u64 = 0x1_0000_0000;

/// First virtio-mmio window.
pub const VIRTIO_MMIO_START: u64 = 0xD000_0000;
/// Bytes of each window: one page, so that windows can be mapped and protected apart.
pub const VIRTIO_MMIO_SIZE: u64 = 0x1000;
/// Windows on offer. Enough for a microVM, and their interrupts stay clear of the I/O APIC's pins 13 to 23.
pub const VIRTIO_MMIO_COUNT: u32 = 8;
/// Interrupt of the first window: above the timer, keyboard and serial lines. Edge-triggered, so none is shared.
pub const VIRTIO_MMIO_GSI: u32 = 5;
/// Offset of `QueueNotify` in a virtio-mmio window (virtio 1.4, section 4.2.2): where queue doorbells are caught.
pub const VIRTIO_MMIO_QUEUE_NOTIFY: u64 = 0x50;

/// The I/O APIC, at its customary address, which KVM's in-kernel model has too.
pub const IO_APIC: u32 = 0xFEC0_0000;
/// Local APICs (reset value of IA32_APIC_BASE).
pub const LOCAL_APIC: u32 = 0xFEE0_0000;
/// End of what the memory map reserves for interrupt controllers and KVM, to 4 GiB.
pub const CHIPSET_START: u64 = 0xFEC0_0000;
/// One page for KVM's identity map on Intel processors that cannot run real mode directly. Below the TSS.
pub const KVM_IDENTITY_MAP: u64 = 0xFFFB_C000;
/// Three pages for KVM's task state segment, for the same processors.
pub const KVM_TSS: u64 = 0xFFFB_D000;

/// COM1.
pub const SERIAL_PORT: u16 = 0x3F8;
/// COM1's interrupt.
pub const SERIAL_GSI: u32 = 4;
/// The keyboard controller's command port; its data port (0x60) is left unclaimed.
pub const I8042_PORT: u16 = 0x64;
/// The ACPI sleep and reset registers: in the range that PC chipsets use for power management, clear of ISA devices.
pub const POWER_PORT: u16 = 0x600;
/// GSI that carries ISA interrupt 0: KVM routes the PIT to the I/O APIC's pin 2, as PCs do.
pub const PIT_GSI: u32 = 2;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The FADT of a hardware-reduced machine (ACPI 6.5, section 5.2.9).

use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use rondo_devices::legacy::{RESET_OFFSET, RESET_VALUE, SLEEP_CONTROL_OFFSET, SLEEP_STATUS_OFFSET};

use super::{OEM_ID, OEM_REVISION, OEM_TABLE_ID, bytes_of};
use crate::layout;

/// IAPC_BOOT_ARCH (section 5.2.9.3): do not touch VGA registers.
const VGA_NOT_PRESENT: u16 = 1 << 2;
/// IAPC_BOOT_ARCH: there is no CMOS clock; guests take the time from KVM's. The 8042 bit stays clear too: Linux then skips
/// its keyboard probe, and still resets by port 0x64 when told to.
const CMOS_RTC_NOT_PRESENT: u16 = 1 << 5;

pub(super) fn build(dsdt: u64) -> Vec<u8> {
    let mut table = FADTBuilder::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::Wbinvd)
        // There are no fixed buttons.
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        .flag(Flags::Headless);
    table.iapc_boot_arch = (VGA_NOT_PRESENT | CMOS_RTC_NOT_PRESENT).into();
    table.reset_reg = register(RESET_OFFSET);
    table.reset_value = RESET_VALUE;
    table.sleep_control_reg = register(SLEEP_CONTROL_OFFSET);
    table.sleep_status_reg = register(SLEEP_STATUS_OFFSET);
    table.hypervisor_vendor_identity = u64::from_le_bytes(*b"RONDO\0\0\0").into();
    bytes_of(&table.finalize())
}

/// A byte-wide register of the power block.
fn register(offset: u64) -> GAS {
    let address = u64::from(layout::POWER_PORT) + offset;
    GAS::new(
        AddressSpace::SystemIo,
        8,
        0,
        AccessSize::ByteAccess,
        address,
    )
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The MADT: which processors and interrupt controllers there are (ACPI 6.5, section 5.2.12).

use acpi_tables::Aml;
use acpi_tables::madt::{EnabledStatus, IoApic, ProcessorLocalApic};
use acpi_tables::sdt::Sdt;

use super::{AcpiConfig, OEM_ID, OEM_REVISION, OEM_TABLE_ID, bytes_of};
use crate::layout;

const REVISION: u8 = 5;
const HEADER_SIZE: u32 = 36;
/// KVM's I/O APIC has id 0 and its pins start at GSI 0.
const IO_APIC_ID: u8 = 0;

pub(super) fn build(config: &AcpiConfig) -> Vec<u8> {
    let mut table = Sdt::new(
        *b"APIC",
        HEADER_SIZE,
        REVISION,
        OEM_ID,
        OEM_TABLE_ID,
        OEM_REVISION,
    );
    table.append_slice(&layout::LOCAL_APIC.to_le_bytes());
    // No flags: PCAT_COMPAT would announce the two PICs, which a hardware-reduced machine does not offer.
    table.append_slice(&0_u32.to_le_bytes());
    for cpu in 0..config.cpus {
        table.append_slice(&bytes_of(&ProcessorLocalApic::new(
            cpu,
            cpu,
            EnabledStatus::Enabled,
        )));
    }
    table.append_slice(&bytes_of(&IoApic::new(IO_APIC_ID, layout::IO_APIC, 0)));
    table.append_slice(&interrupt_override(0, layout::PIT_GSI));
    table.append_slice(&local_nmi());
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// An interrupt source override (section 5.2.12.5): ISA interrupt `isa` arrives on `gsi`, polarity and trigger as on ISA.
fn interrupt_override(isa: u8, gsi: u32) -> [u8; 10] {
    const TYPE: u8 = 2;
    const BUS_ISA: u8 = 0;
    let [a, b, c, d] = gsi.to_le_bytes();
    [TYPE, 10, BUS_ISA, isa, a, b, c, d, 0, 0]
}

/// A local APIC NMI (section 5.2.12.7): LINT1 of every processor.
fn local_nmi() -> [u8; 6] {
    const TYPE: u8 = 4;
    const ALL_PROCESSORS: u8 = 0xFF;
    [TYPE, 6, ALL_PROCESSORS, 0, 0, 1]
}

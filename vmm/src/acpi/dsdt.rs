// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The DSDT: the serial port, the virtio-mmio windows and the one sleep state (ACPI 6.5, chapters 6, 7 and 19).

use acpi_tables::aml::{
    Device, EISAName, IO, Interrupt, Memory32Fixed, Name, Package, ResourceTemplate,
};
use acpi_tables::sdt::Sdt;
use rondo_devices::legacy::{S5_SLEEP_TYPE, SERIAL_WINDOW_SIZE};

use super::{AcpiConfig, OEM_ID, OEM_REVISION, OEM_TABLE_ID, bytes_of};
use crate::layout;

/// Revision 2: integers have 64 bits.
const REVISION: u8 = 2;
const HEADER_SIZE: u32 = 36;
/// "Virtio over MMIO", the id that Linux's virtio_mmio driver matches.
const VIRTIO_MMIO_HID: &str = "LNRO0005";
/// "16550A-compatible COM port".
const SERIAL_HID: &str = "PNP0501";

pub(super) fn build(config: &AcpiConfig) -> Vec<u8> {
    let mut table = Sdt::new(
        *b"DSDT",
        HEADER_SIZE,
        REVISION,
        OEM_ID,
        OEM_TABLE_ID,
        OEM_REVISION,
    );
    if config.serial {
        table.append_slice(&serial());
    }
    for (uid, (address, gsi)) in (0..).zip(&config.virtio_mmio) {
        table.append_slice(&virtio_mmio(uid, *address, *gsi));
    }
    let sleep = Package::new(vec![&S5_SLEEP_TYPE, &0_u8, &0_u8, &0_u8]);
    table.append_slice(&bytes_of(&Name::new("_S5_".into(), &sleep)));
    bytes_of(&table)
}

/// An edge-triggered, active-high interrupt that nobody shares.
fn interrupt(gsi: u32) -> Interrupt {
    let (consumer, edge_triggered, active_low, shared) = (true, true, false, false);
    Interrupt::new(consumer, edge_triggered, active_low, shared, gsi)
}

fn serial() -> Vec<u8> {
    let size = u8::try_from(SERIAL_WINDOW_SIZE).unwrap_or(8);
    bytes_of(&Device::new(
        "_SB_.COM1".into(),
        vec![
            &Name::new("_HID".into(), &EISAName::new(SERIAL_HID)),
            &Name::new("_UID".into(), &0_u8),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &IO::new(layout::SERIAL_PORT, layout::SERIAL_PORT, 1, size),
                    &interrupt(layout::SERIAL_GSI),
                ]),
            ),
        ],
    ))
}

fn virtio_mmio(uid: u8, address: u64, gsi: u32) -> Vec<u8> {
    // Windows lie below 4 GiB.
    let base = u32::try_from(address).unwrap_or(0);
    let size = u32::try_from(layout::VIRTIO_MMIO_SIZE).unwrap_or(0);
    let path = format!("_SB_.VM{uid:02}");
    bytes_of(&Device::new(
        path.as_str().into(),
        vec![
            &Name::new("_HID".into(), &VIRTIO_MMIO_HID),
            &Name::new("_UID".into(), &uid),
            // DMA is coherent: the guest need not flush for it.
            &Name::new("_CCA".into(), &acpi_tables::aml::ONE),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &Memory32Fixed::new(true, base, size),
                    &interrupt(gsi),
                ]),
            ),
        ],
    ))
}

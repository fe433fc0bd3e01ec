// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The ACPI tables by which stock kernels find the machine: RSDP, XSDT, FADT, MADT and DSDT (ACPI 6.5, chapter 5).
//!
//! The machine is *hardware-reduced*: no fixed power-management hardware, no SCI, no legacy interrupt controllers or timers to
//! probe. Sleep control and status registers power it off, the reset register resets it. Linux 6.1 and 6.12 then
//! take the serial port's and the virtio-mmio windows' interrupts from the DSDT, which is why all of them are described there.

mod dsdt;
mod fadt;
mod madt;

use acpi_tables::Aml;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::xsdt::XSDT;
use thiserror::Error;
use vm_memory::{Bytes, GuestAddress};

use crate::layout;
use crate::memory::GuestMemory;

const OEM_ID: [u8; 6] = *b"RONDO ";
const OEM_TABLE_ID: [u8; 8] = *b"RONDOVM ";
const OEM_REVISION: u32 = 1;
/// Tables start on these boundaries; only the RSDP needs one (16).
const TABLE_ALIGNMENT: u64 = 64;

/// What can go wrong with the tables. Neither is the user's fault.
#[derive(Debug, Error)]
pub enum AcpiError {
    /// The tables outgrew their place.
    #[error("the ACPI tables need {bytes} bytes and have room for {room}: this is a bug in Rondo")]
    TooLarge {
        /// What they need.
        bytes: u64,
        /// The room.
        room: u64,
    },
    /// They could not be written.
    #[error("cannot write the ACPI tables into guest memory: {0}")]
    Write(vm_memory::GuestMemoryError),
}

/// What the tables describe.
#[derive(Clone, Debug)]
pub(crate) struct AcpiConfig {
    pub cpus: u8,
    /// Base address and GSI of each virtio-mmio window in use.
    pub virtio_mmio: Vec<(u64, u32)>,
    pub serial: bool,
}

/// The tables with their addresses.
#[derive(Debug)]
struct Tables {
    rsdp: u64,
    placed: Vec<(u64, Vec<u8>)>,
}

/// Writes the tables and returns the address of the RSDP.
pub(crate) fn write(config: &AcpiConfig, memory: &GuestMemory) -> Result<u64, AcpiError> {
    let tables = build(config)?;
    for (address, bytes) in &tables.placed {
        memory
            .write_slice(bytes, GuestAddress(*address))
            .map_err(AcpiError::Write)?;
    }
    Ok(tables.rsdp)
}

fn build(config: &AcpiConfig) -> Result<Tables, AcpiError> {
    // The RSDP comes first, for those who scan for it, but is made last, when it knows the XSDT's address.
    let rsdp = layout::ACPI_START;
    let mut next = (rsdp + Rsdp::len() as u64).next_multiple_of(TABLE_ALIGNMENT);
    let mut placed = Vec::new();
    let mut place = |bytes: Vec<u8>| {
        let address = next;
        next = (next + bytes.len() as u64).next_multiple_of(TABLE_ALIGNMENT);
        placed.push((address, bytes));
        address
    };
    let dsdt = place(dsdt::build(config));
    let fadt = place(fadt::build(dsdt));
    let madt = place(madt::build(config));
    let mut xsdt = XSDT::new(OEM_ID, OEM_TABLE_ID, OEM_REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = place(bytes_of(&xsdt));
    let (bytes, room) = (
        next - layout::ACPI_START,
        layout::ACPI_END - layout::ACPI_START,
    );
    if bytes > room {
        return Err(AcpiError::TooLarge { bytes, room });
    }
    placed.push((rsdp, bytes_of(&Rsdp::new(OEM_ID, xsdt))));
    Ok(Tables { rsdp, placed })
}

fn bytes_of(table: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;

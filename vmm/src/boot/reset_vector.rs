// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The instructions at F000:FFF0, where a PC's BIOS starts, which reset the machine.
//!
//! On a hardware-reduced ACPI machine Linux restarts by EFI (`efi_reboot_required` in `arch/x86/platform/efi/quirks.c`) and,
//! without EFI, by a jump to the BIOS in real mode; the ACPI reset register's turn never comes. There is no BIOS
//! here, but what it would do first is all that is wanted.

use rondo_devices::legacy::{RESET_OFFSET, RESET_VALUE};
use vm_memory::{Bytes, GuestAddress};

use super::BootError;
use crate::layout;
use crate::memory::GuestMemory;

pub(super) fn write(memory: &GuestMemory) -> Result<(), BootError> {
    memory
        .write_slice(&instructions(), GuestAddress(layout::RESET_VECTOR))
        .map_err(|source| BootError::Write {
            structure: "reset vector",
            source,
        })
}

/// 16-bit code: mov dx, port; mov al, value; out dx, al; again: hlt; jmp again
fn instructions() -> [u8; 9] {
    let [low, high] = (layout::POWER_PORT + u16::try_from(RESET_OFFSET).unwrap_or(0)).to_le_bytes();
    [0xBA, low, high, 0xB0, RESET_VALUE, 0xEE, 0xF4, 0xEB, 0xFD]
}

// It lies above the ACPI tables.
const _: () = assert!(layout::RESET_VECTOR >= layout::ACPI_END);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_the_reset_vector_then_it_writes_the_reset_value_to_the_reset_register_and_fits_below_1_mib()
     {
        assert_eq!(
            instructions(),
            [0xBA, 0x02, 0x06, 0xB0, 0x06, 0xEE, 0xF4, 0xEB, 0xFD]
        );
        assert!(layout::RESET_VECTOR + instructions().len() as u64 <= layout::HIGH_RAM_START);
    }
}

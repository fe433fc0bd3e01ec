// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Port I/O. IOPL is 3, so the instructions work at CPL 3.
#![allow(unsafe_code)]

use core::arch::asm;

/// Writes a byte to a port. Only for ports whose side effects cannot touch the guest's own memory: serial, i8042, ACPI.
pub fn write_u8(port: u16, value: u8) {
    // SAFETY: the instruction touches no memory; what devices behind the few ports used here do is described where they are used.
    unsafe {
        asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags))
    }
}

/// Reads a byte from a port.
#[must_use]
pub fn read_u8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: as in `write_u8`.
    unsafe {
        asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags))
    }
    value
}

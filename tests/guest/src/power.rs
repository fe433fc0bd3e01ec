// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How the guest ends: power-off, reset, triple fault, or stopping for ever.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::command_line::Exit;
use crate::{ports, report};

const I8042_COMMAND: u16 = 0x64;
/// Pulses the processor's reset line.
const I8042_PULSE_RESET: u8 = 0xfe;
/// The sleep control register of hardware-reduced ACPI: SLP_TYP 5 in bits 2 to 4, SLP_EN in bit 5 (ACPI 6.5 section 4.8.3.7).
const ACPI_S5: u8 = (5 << 2) | (1 << 5);
/// How long to wait for a reset to happen before the next, ruder way.
const PATIENCE: u32 = 20_000;

/// Says goodbye and ends the VM.
pub fn end(how: Exit) -> ! {
    report!("bye");
    match how {
        Exit::I8042 => ports::write_u8(I8042_COMMAND, I8042_PULSE_RESET),
        Exit::Acpi(port) => ports::write_u8(port, ACPI_S5),
        Exit::Triple => {}
        Exit::Halt => halt(),
    }
    for _ in 0..PATIENCE {
        core::hint::spin_loop();
    }
    triple_fault()
}

/// Polls for ever: HLT is not allowed at CPL 3.
pub fn halt() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// There is no interrupt descriptor table, so any exception is the last one.
fn triple_fault() -> ! {
    // SAFETY: the program ends here by intent.
    unsafe { asm!("ud2", options(noreturn, nostack)) }
}

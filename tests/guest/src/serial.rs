// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The line protocol on COM1: `rondo-guest: key=value ...`, one line an event.
//!
//! Each byte costs an exit to the VMM (about 16 us), so lines are few and short, and the transmitter is asked for room only once per 16-byte FIFO.

use core::fmt;

use crate::ports;

const COM1: u16 = 0x3f8;
const FIFO_CONTROL: u16 = COM1 + 2;
const LINE_STATUS: u16 = COM1 + 5;
/// FIFO control: enable both FIFOs.
const FIFO_ENABLE: u8 = 1;
/// Line status: the transmitter's FIFO is empty.
const TRANSMITTER_EMPTY: u8 = 0x20;
/// Depth of a 16550's transmit FIFO.
const FIFO_DEPTH: u32 = 16;
/// How often the status is asked before a stuck transmitter is ignored.
const PATIENCE: u32 = 100_000;

/// Writes to COM1.
#[derive(Debug, Default)]
pub struct Serial {
    room: u32,
    fifo_on: bool,
}

impl Serial {
    /// A writer that assumes nothing about the transmitter's state.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            room: 0,
            fifo_on: false,
        }
    }

    fn byte(&mut self, byte: u8) {
        if !self.fifo_on {
            ports::write_u8(FIFO_CONTROL, FIFO_ENABLE);
            self.fifo_on = true;
        }
        if self.room == 0 {
            for _ in 0..PATIENCE {
                if ports::read_u8(LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                    break;
                }
                core::hint::spin_loop();
            }
            self.room = FIFO_DEPTH;
        }
        self.room -= 1;
        ports::write_u8(COM1, byte);
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            self.byte(byte);
        }
        Ok(())
    }
}

/// Writes one line of the protocol: `rondo-guest: ` and the formatted text.
#[macro_export]
macro_rules! report {
    ($($argument:tt)*) => {{
        use ::core::fmt::Write as _;
        let mut serial = $crate::serial::Serial::new();
        // `Serial` never fails; only a `Display` implementation could, and then the line is cut short.
        let _ = ::core::write!(serial, "rondo-guest: ").and_then(|()| ::core::writeln!(serial, $($argument)*));
    }};
}

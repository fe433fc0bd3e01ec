// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The few pieces of PC furniture that a guest kernel expects around it: a serial port, the keyboard controller's reset
//! line, and the ACPI registers that power the machine off or reset it.
//!
//! Each is a [`BusDevice`](crate::bus::BusDevice) on a port window and knows nothing of the VMM: interrupts come in as an
//! [`InterruptLine`](crate::interrupt::InterruptLine), and a request to end the machine goes out through [`GuestExit`].

mod exit;
mod i8042;
mod power;
mod serial;

pub use exit::{ExitRequest, GuestExit};
pub use i8042::I8042;
pub use power::{
    AcpiPower, POWER_WINDOW_SIZE, RESET_OFFSET, RESET_VALUE, S5_SLEEP_TYPE, SLEEP_CONTROL_OFFSET,
    SLEEP_STATUS_OFFSET,
};
pub use serial::{SERIAL_WINDOW_SIZE, Serial, SerialError};

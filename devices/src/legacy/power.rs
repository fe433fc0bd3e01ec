// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The three registers by which a hardware-reduced ACPI guest ends its machine: sleep control, sleep status and reset.
//!
//! ACPI 6.5, section 4.8.3.7 "Sleep Control and Status Registers" and section 4.8.3.6 "Reset Register". The VMM puts the
//! addresses of the registers in its FADT (`SLEEP_CONTROL_REG`, `SLEEP_STATUS_REG`, `RESET_REG`, `RESET_VALUE`) and the
//! sleep type in the `\_S5` package of its DSDT; the constants here are what it must write there.

use std::sync::Arc;

use crate::bus::BusDevice;
use crate::legacy::{ExitRequest, GuestExit};

/// Bytes of the port window.
pub const POWER_WINDOW_SIZE: u64 = 4;
/// Offset of the sleep control register (8 bits, write only in effect).
pub const SLEEP_CONTROL_OFFSET: u64 = 0;
/// Offset of the sleep status register (8 bits; `WAK_STS` never sets, for nothing sleeps and wakes).
pub const SLEEP_STATUS_OFFSET: u64 = 1;
/// Offset of the reset register (8 bits).
pub const RESET_OFFSET: u64 = 2;
/// What the guest writes to the reset register. Any other value does nothing, so a stray zero does not reset a VM.
pub const RESET_VALUE: u8 = 0x06;
/// The SLP_TYP value that stands for S5, soft off.
pub const S5_SLEEP_TYPE: u8 = 5;

/// Bit 5 of the sleep control register: enter the state in SLP_TYP (bits 2 to 4).
const SLEEP_ENABLE: u8 = 1 << 5;
const SLEEP_TYPE_SHIFT: u8 = 2;
const SLEEP_TYPE_MASK: u8 = 0b111;

/// The power block of a hardware-reduced ACPI machine.
#[derive(Debug)]
pub struct AcpiPower {
    exit: Arc<dyn GuestExit>,
}

impl AcpiPower {
    /// A power block that reports to `exit`.
    #[must_use]
    pub fn new(exit: Arc<dyn GuestExit>) -> Self {
        Self { exit }
    }
}

impl BusDevice for AcpiPower {
    fn read(&self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        let Some(&value) = data.first() else { return };
        match offset {
            SLEEP_CONTROL_OFFSET if is_soft_off(value) => {
                self.exit.request_exit(ExitRequest::PowerOff)
            }
            RESET_OFFSET if value == RESET_VALUE => self.exit.request_exit(ExitRequest::Reset),
            _ => {}
        }
    }
}

/// Whether a sleep control value enters S5 now.
fn is_soft_off(value: u8) -> bool {
    value & SLEEP_ENABLE != 0 && (value >> SLEEP_TYPE_SHIFT) & SLEEP_TYPE_MASK == S5_SLEEP_TYPE
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Remembers every request.
    #[derive(Debug, Default)]
    pub(in crate::legacy) struct Ear(Mutex<Vec<ExitRequest>>);

    impl Ear {
        pub(in crate::legacy) fn heard(&self) -> Vec<ExitRequest> {
            self.0.lock().unwrap().clone()
        }
    }

    impl GuestExit for Ear {
        fn request_exit(&self, request: ExitRequest) {
            self.0.lock().unwrap().push(request);
        }
    }

    #[test]
    fn given_s5_with_sleep_enable_then_power_off_is_requested() {
        let ear = Arc::new(Ear::default());
        AcpiPower::new(ear.clone()).write(SLEEP_CONTROL_OFFSET, &[0x34]);
        assert_eq!(ear.heard(), [ExitRequest::PowerOff]);
    }

    #[test]
    fn given_every_other_sleep_control_value_then_nothing_happens() {
        let ear = Arc::new(Ear::default());
        let device = AcpiPower::new(ear.clone());
        for value in 0..=u8::MAX {
            if value & 0x3C != 0x34 {
                device.write(SLEEP_CONTROL_OFFSET, &[value]);
            }
        }
        assert_eq!(ear.heard(), []);
    }

    #[test]
    fn given_the_reset_value_in_the_reset_register_only_then_a_reset_is_requested() {
        let ear = Arc::new(Ear::default());
        let device = AcpiPower::new(ear.clone());
        device.write(RESET_OFFSET, &[0]);
        device.write(SLEEP_STATUS_OFFSET, &[RESET_VALUE]);
        device.write(RESET_OFFSET + 1, &[RESET_VALUE]);
        device.write(u64::MAX, &[]);
        assert_eq!(ear.heard(), []);
        device.write(RESET_OFFSET, &[RESET_VALUE]);
        assert_eq!(ear.heard(), [ExitRequest::Reset]);
    }

    #[test]
    fn given_a_status_read_of_any_width_then_it_is_zero() {
        let device = AcpiPower::new(Arc::new(Ear::default()));
        for width in [1, 2, 4, 8] {
            let mut data = vec![0xFF; width];
            device.read(SLEEP_STATUS_OFFSET, &mut data);
            assert_eq!(data, vec![0; width]);
        }
    }
}

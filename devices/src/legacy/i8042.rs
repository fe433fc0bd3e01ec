// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The keyboard controller's only job in a microVM: pulsing the reset line (Linux `reboot=k`).
//!
//! There is no keyboard. The status register reads as zero, so a driver that waits for the input buffer to drain goes on
//! at once. Give it the single port 0x64; port 0x60 may stay unclaimed.

use std::sync::Arc;

use crate::bus::BusDevice;
use crate::legacy::{ExitRequest, GuestExit};

/// "Pulse output line 0", which is wired to the processor's reset (IBM PC AT Technical Reference, 8042 commands F0-FF).
const PULSE_RESET: u8 = 0xFE;

/// The command and status port of an 8042 with nothing attached but the reset line.
#[derive(Debug)]
pub struct I8042 {
    exit: Arc<dyn GuestExit>,
}

impl I8042 {
    /// A controller that reports resets to `exit`.
    #[must_use]
    pub fn new(exit: Arc<dyn GuestExit>) -> Self {
        Self { exit }
    }
}

impl BusDevice for I8042 {
    fn read(&self, _offset: u64, data: &mut [u8]) {
        data.fill(0);
    }

    fn write(&self, offset: u64, data: &[u8]) {
        if offset == 0 && data.first() == Some(&PULSE_RESET) {
            self.exit.request_exit(ExitRequest::Reset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::legacy::power::tests::Ear;

    #[test]
    fn given_the_reset_pulse_then_a_reset_is_requested_and_other_commands_do_nothing() {
        let ear = Arc::new(Ear::default());
        let device = I8042::new(ear.clone());
        for command in 0..=u8::MAX {
            if command != PULSE_RESET {
                device.write(0, &[command]);
            }
        }
        device.write(1, &[PULSE_RESET]);
        assert_eq!(ear.heard(), []);
        device.write(0, &[PULSE_RESET]);
        assert_eq!(ear.heard(), [ExitRequest::Reset]);
    }

    #[test]
    fn given_a_status_read_then_the_input_buffer_is_empty() {
        let mut data = [0xAA; 4];
        I8042::new(Arc::new(Ear::default())).read(0, &mut data);
        assert_eq!(data, [0; 4]);
    }
}

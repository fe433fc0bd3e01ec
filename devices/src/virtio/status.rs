// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device status field (virtio 1.4, section 2.1).

/// Bits of the device status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceStatus(pub u32);

impl DeviceStatus {
    /// The guest noticed the device.
    pub const ACKNOWLEDGE: u32 = 1;
    /// The guest has a driver for it.
    pub const DRIVER: u32 = 2;
    /// The driver is ready; the device is live.
    pub const DRIVER_OK: u32 = 4;
    /// Features are agreed on.
    pub const FEATURES_OK: u32 = 8;
    /// The device met a fault that only a reset cures.
    pub const NEEDS_RESET: u32 = 64;
    /// The guest has given up.
    pub const FAILED: u32 = 128;

    /// What a driver may set.
    pub const OF_DRIVER: u32 =
        Self::ACKNOWLEDGE | Self::DRIVER | Self::DRIVER_OK | Self::FEATURES_OK | Self::FAILED;

    /// Whether all of `bits` are set.
    #[must_use]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits == bits
    }
}

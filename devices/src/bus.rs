// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between a VMM's address spaces and a device: reads and writes at an offset in the device's window.
//!
//! A VMM decodes the guest-physical address or port, finds the device that owns the window and hands over the offset
//! within it. The same trait serves MMIO and port I/O. Calls come from vCPU threads, several at once.

use std::fmt::Debug;

/// A device that answers accesses to one window of MMIO or port I/O.
///
/// Both calls are total: whatever offset, width or value a guest chooses, they return promptly and never panic. A read
/// that means nothing leaves `data` filled with zeroes or ones as the device's specification says.
pub trait BusDevice: Debug + Send + Sync {
    /// Fills `data` (1, 2, 4 or 8 bytes, little-endian) from the register at `offset` bytes into the window.
    fn read(&self, offset: u64, data: &mut [u8]);

    /// Writes `data` (1, 2, 4 or 8 bytes, little-endian) to the register at `offset` bytes into the window.
    fn write(&self, offset: u64, data: &[u8]);
}

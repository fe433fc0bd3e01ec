// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How a device reaches its driver: used buffers, configuration changes, "I need a reset".
//!
//! Lock-free: a device signals from any thread and under any lock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::interrupt::InterruptLine;

/// Bit of the interrupt status: the device used buffers.
pub(crate) const INT_USED: u32 = 1;
/// Bit of the interrupt status: the configuration or the device status changed.
pub(crate) const INT_CONFIG: u32 = 2;

/// A device's way to its driver. Clones reach the same driver.
#[derive(Clone, Debug)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    line: Arc<dyn InterruptLine>,
    status: AtomicU32,
    generation: AtomicU32,
    needs_reset: AtomicBool,
    /// A line that fails is reported once, not once per interrupt.
    line_failed: AtomicBool,
}

impl Interrupt {
    /// The way through `line`.
    #[must_use]
    pub fn new(line: Arc<dyn InterruptLine>) -> Self {
        Self {
            shared: Arc::new(Shared {
                line,
                status: AtomicU32::new(0),
                generation: AtomicU32::new(0),
                needs_reset: AtomicBool::new(false),
                line_failed: AtomicBool::new(false),
            }),
        }
    }

    /// The device used buffers.
    pub fn signal_used(&self) {
        self.raise(INT_USED);
    }

    /// The device configuration changed: the generation moves on, then the driver hears of it.
    pub fn signal_config(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        self.raise(INT_CONFIG);
    }

    /// The device cannot go on until it is reset (DEVICE_NEEDS_RESET).
    pub fn signal_needs_reset(&self) {
        if !self.shared.needs_reset.swap(true, Ordering::SeqCst) {
            self.raise(INT_CONFIG);
        }
    }

    fn raise(&self, bit: u32) {
        self.shared.status.fetch_or(bit, Ordering::SeqCst);
        if let Err(error) = self.shared.line.trigger()
            && !self.shared.line_failed.swap(true, Ordering::Relaxed)
        {
            log::error!("a virtio interrupt could not be delivered: {error}");
        }
    }

    /// Pending interrupts.
    pub(crate) fn status(&self) -> u32 {
        self.shared.status.load(Ordering::SeqCst)
    }

    /// The driver has handled these.
    pub(crate) fn acknowledge(&self, bits: u32) {
        self.shared.status.fetch_and(!bits, Ordering::SeqCst);
    }

    /// Counts changes of the configuration.
    pub(crate) fn generation(&self) -> u32 {
        self.shared.generation.load(Ordering::SeqCst)
    }

    /// Whether the device asked for a reset.
    pub(crate) fn needs_reset(&self) -> bool {
        self.shared.needs_reset.load(Ordering::SeqCst)
    }

    /// The device is as new. The generation goes on counting, since a driver may compare across a reset.
    pub(crate) fn reset(&self) {
        self.shared.needs_reset.store(false, Ordering::SeqCst);
        self.shared.status.store(0, Ordering::SeqCst);
    }
}

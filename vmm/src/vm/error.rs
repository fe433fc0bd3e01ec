// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What can go wrong before a VM runs.

use std::io;

use thiserror::Error;

use crate::acpi::AcpiError;
use crate::boot::BootError;
use crate::bus::BusError;
use crate::kvm::KvmError;
use crate::layout;
use crate::memory::MemoryError;
use rondo_devices::legacy::SerialError;

/// Why a VM could not be built or started. Each is one sentence for the person who asked for the VM.
#[derive(Debug, Error)]
pub enum VmError {
    /// Not 1 to 32.
    #[error("cpus = {count} is out of range: a VM may have 1 to 32 vCPUs")]
    CpuCount {
        /// What was asked for.
        count: u32,
    },
    /// All virtio-mmio windows are taken.
    #[error(
        "a VM has room for {} virtio-mmio devices, and all of them are taken",
        layout::VIRTIO_MMIO_COUNT
    )]
    NoWindow,
    /// More doorbells than a queue selector can name.
    #[error("a virtio device with {count} queues is not possible: queue indices have 16 bits")]
    TooManyQueues {
        /// What was asked for.
        count: usize,
    },
    /// The host is out of something.
    #[error("cannot {action}: {source}")]
    Host {
        /// What was being done, in the infinitive.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// KVM.
    #[error(transparent)]
    Kvm(#[from] KvmError),
    /// Guest memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// Kernel, initrd or command line.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// ACPI tables.
    #[error(transparent)]
    Acpi(#[from] AcpiError),
    /// A device's window.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The serial port.
    #[error(transparent)]
    Serial(#[from] SerialError),
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! virtio: the seam between a device and its transport ([`VirtioDevice`]), and the MMIO transport ([`VirtioMmio`]).
//!
//! The transport knows nothing of the device behind it, and a device nothing of its transport: registers, feature
//! negotiation, device status and queue set-up are the transport's; the device gets ready queues and an
//! [`Interrupt`] when the driver says DRIVER_OK, and gives them back at reset. Section numbers are those of virtio 1.4.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod device;
mod features;
mod interrupt;
mod mmio;
mod queue_setup;
pub mod registers;
mod status;

pub use device::{ActivateError, Activation, ActiveQueue, ShmRegion, VirtioDevice};
pub use features::{
    VIRTIO_F_EVENT_IDX, VIRTIO_F_INDIRECT_DESC, VIRTIO_F_RING_RESET, VIRTIO_F_VERSION_1,
};
pub use interrupt::Interrupt;
pub use mmio::VirtioMmio;
pub use status::DeviceStatus;

/// A VM's memory as a device sees it: a handle to a snapshot of the memory map that a VMM may replace.
pub type MemoryHandle = vm_memory::GuestMemoryAtomic<vm_memory::GuestMemoryMmap>;

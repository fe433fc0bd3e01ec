// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between a virtio device and its transport.

use std::fmt::Debug;
use std::sync::Arc;

use thiserror::Error;
use virtio_queue::Queue;
use vmm_sys_util::eventfd::EventFd;

use super::{Interrupt, MemoryHandle};

/// What a transport needs of a device. A transport serialises [`activate`](Self::activate), [`reset`](Self::reset),
/// [`stop_queue`](Self::stop_queue) and [`start_queue`](Self::start_queue); the rest may come from any thread at any time.
///
/// Every call is total: no argument that a guest chose makes it panic or wait for the guest.
pub trait VirtioDevice: Debug + Send + Sync {
    /// Device id (section 5).
    fn device_type(&self) -> u32;

    /// The largest size of each queue; powers of two.
    fn queue_sizes(&self) -> &[u16];

    /// Features offered. The transport insists on `VIRTIO_F_VERSION_1`.
    fn features(&self) -> u64;

    /// Whether the device can work with these, a subset of [`features`](Self::features): dependencies between bits.
    fn accepts(&self, features: u64) -> bool;

    /// Fills `data` from `offset` of the configuration space; what lies beyond its end reads as 0.
    fn read_config(&self, offset: u64, data: &mut [u8]);

    /// Writes `data` at `offset` of the configuration space; what is read-only stays.
    fn write_config(&self, offset: u64, data: &[u8]);

    /// The shared memory region with this id, if there is one (section 2.10).
    fn shm_region(&self, _id: u8) -> Option<ShmRegion> {
        None
    }

    /// The driver is ready (DRIVER_OK). From now on the device serves its queues.
    ///
    /// # Errors
    /// The device cannot start; the transport tells the driver by DEVICE_NEEDS_RESET.
    fn activate(&self, activation: Activation) -> Result<(), ActivateError>;

    /// Back to the state before [`activate`](Self::activate), whatever is under way. When it returns, the device touches
    /// neither queues nor guest memory and raises no interrupt. Harmless on a device that is not active.
    fn reset(&self);

    /// Stops one queue. When it returns, the device does not touch it any more.
    fn stop_queue(&self, index: u16);

    /// Takes a queue that was stopped into use again. Only called if the device offers `VIRTIO_F_RING_RESET`.
    ///
    /// # Errors
    /// As for [`activate`](Self::activate).
    fn start_queue(&self, _index: u16, _queue: ActiveQueue) -> Result<(), ActivateError> {
        Err(ActivateError::QueueMissing)
    }
}

/// What a device gets when its driver is ready.
#[derive(Debug)]
pub struct Activation {
    /// The features agreed on.
    pub features: u64,
    /// The queues by index; `None` for one that the driver does not use.
    pub queues: Vec<Option<ActiveQueue>>,
    /// The way to the driver.
    pub interrupt: Interrupt,
    /// The VM's memory.
    pub memory: MemoryHandle,
}

/// A queue whose rings lie in guest memory.
#[derive(Debug)]
pub struct ActiveQueue {
    /// The rings.
    pub queue: Queue,
    /// The eventfd that becomes readable when the driver notifies the queue; shared with the transport and with KVM.
    pub notify: Arc<EventFd>,
}

/// A range of guest-physical addresses that device and driver share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShmRegion {
    /// Guest-physical address of the first byte.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// Why a device did not start.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ActivateError {
    /// A queue that the device cannot do without was not set up.
    #[error("a queue that the device needs was not set up")]
    QueueMissing,
    /// The host side refused; the number is the host's.
    #[error("the host refused to start the device (status {0:#x})")]
    Host(u32),
    /// The device is active already.
    #[error("the device is active already")]
    AlreadyActive,
}

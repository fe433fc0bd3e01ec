// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a driver has written about one queue, until it becomes a queue in use.
//!
//! The driver writes halves of addresses in any order and may write nonsense; only [`QueueSetup::build`] judges.

use virtio_queue::{Queue, QueueT};
use vm_memory::{GuestAddress, GuestMemory, GuestMemoryMmap, Permissions};

/// Bytes of a descriptor.
const DESCRIPTOR_LEN: u64 = 16;
/// Flags, index and event index of the available ring.
const AVAIL_META_LEN: u64 = 6;
/// Bytes of an entry of the available ring.
const AVAIL_ENTRY_LEN: u64 = 2;
/// Flags, index and event index of the used ring.
const USED_META_LEN: u64 = 6;
/// Bytes of an entry of the used ring.
const USED_ENTRY_LEN: u64 = 8;

/// The registers of one queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueSetup {
    max_size: u16,
    size: u16,
    pub(crate) ready: bool,
    pub(crate) descriptors: Address,
    pub(crate) driver: Address,
    pub(crate) device: Address,
}

/// A guest-physical address that is written by halves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Address {
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl Address {
    const fn get(self) -> GuestAddress {
        GuestAddress((self.high as u64) << 32 | self.low as u64)
    }
}

impl QueueSetup {
    pub(crate) fn new(max_size: u16) -> Self {
        Self {
            max_size,
            size: max_size,
            ready: false,
            descriptors: Address::default(),
            driver: Address::default(),
            device: Address::default(),
        }
    }

    /// As after a reset of the device or of this queue.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.max_size);
    }

    pub(crate) const fn max_size(&self) -> u16 {
        self.max_size
    }

    /// A size that is no power of two up to the maximum changes nothing.
    pub(crate) fn set_size(&mut self, size: u32) {
        if let Ok(size) = u16::try_from(size)
            && size.is_power_of_two()
            && size <= self.max_size
        {
            self.size = size;
        }
    }

    /// The queue, if its rings are aligned and lie wholly in guest memory.
    pub(crate) fn build(&self, memory: &GuestMemoryMmap, event_idx: bool) -> Option<Queue> {
        let size = u64::from(self.size);
        let parts = [
            (self.descriptors, DESCRIPTOR_LEN, 0, Permissions::Read),
            (
                self.driver,
                AVAIL_ENTRY_LEN,
                AVAIL_META_LEN,
                Permissions::Read,
            ),
            (
                self.device,
                USED_ENTRY_LEN,
                USED_META_LEN,
                Permissions::Write,
            ),
        ];
        for (address, entry, meta, access) in parts {
            let bytes = size.checked_mul(entry)?.checked_add(meta)?;
            if !GuestMemory::check_range(
                memory,
                address.get(),
                usize::try_from(bytes).ok()?,
                access,
            ) {
                return None;
            }
        }
        let mut queue = Queue::new(self.max_size).ok()?;
        queue.try_set_size(self.size).ok()?;
        queue
            .try_set_desc_table_address(self.descriptors.get())
            .ok()?;
        queue.try_set_avail_ring_address(self.driver.get()).ok()?;
        queue.try_set_used_ring_address(self.device.get()).ok()?;
        queue.set_event_idx(event_idx);
        queue.set_ready(true);
        Some(queue)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One virtqueue in use: taking chains off it, giving them back, and whether the driver wants to hear of it.

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use virtio_bindings::bindings::virtio_ring::VRING_AVAIL_F_NO_INTERRUPT;
use virtio_queue::{DescriptorChain, Queue, QueueOwnedT, QueueT};
use vm_memory::{Bytes, GuestAddress};
use vmm_sys_util::eventfd::EventFd;

use super::ring_memory::RingMemory;
use crate::virtio::ActiveQueue;

/// The two queues of the device (virtio 1.4, section 5.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingId {
    /// controlq.
    Control,
    /// cursorq.
    Cursor,
}

/// The driver broke the rules of the ring itself; nothing on it can be believed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RingBroken;

/// A virtqueue in use.
#[derive(Debug)]
pub(crate) struct Ring {
    queue: Queue,
    notify: Arc<EventFd>,
    /// Chains taken off and not given back.
    in_flight: u16,
    /// Chains were given back since the driver was last told.
    used: bool,
}

impl Ring {
    pub(crate) fn new(active: ActiveQueue) -> Self {
        Self {
            queue: active.queue,
            notify: active.notify,
            in_flight: 0,
            used: false,
        }
    }

    /// Whether every descriptor the driver has could be in flight. More chains than descriptors are a driver's mistake;
    /// they wait until others are given back.
    pub(crate) fn is_full(&self) -> bool {
        self.in_flight >= self.queue.size()
    }

    /// Takes the next chain off the ring.
    pub(crate) fn pop<'m>(
        &mut self,
        memory: &'m RingMemory<'m>,
    ) -> Result<Option<DescriptorChain<&'m RingMemory<'m>>>, RingBroken> {
        let Some(chain) = self.queue.iter(memory).map_err(|_| RingBroken)?.next() else {
            return Ok(None);
        };
        if chain.head_index() >= self.queue.size() {
            return Err(RingBroken);
        }
        self.in_flight = self.in_flight.saturating_add(1);
        Ok(Some(chain))
    }

    /// Gives a chain back with `len` bytes written.
    pub(crate) fn give_back(
        &mut self,
        memory: &RingMemory<'_>,
        head: u16,
        len: u32,
    ) -> Result<(), RingBroken> {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.used = true;
        self.queue
            .add_used(memory, head, len)
            .map_err(|_| RingBroken)
    }

    /// The index up to which the driver has made chains available.
    pub(crate) fn available(&self, memory: &RingMemory<'_>) -> Result<u16, RingBroken> {
        let index = self
            .queue
            .avail_idx(memory, Ordering::Acquire)
            .map_err(|_| RingBroken)?
            .0;
        if index.wrapping_sub(self.queue.next_avail()) > self.queue.size() {
            return Err(RingBroken);
        }
        Ok(index)
    }

    /// Whether chains up to index `target` have been taken off.
    pub(crate) fn has_reached(&self, target: u16) -> bool {
        // Indices wrap; a distance in the upper half is a negative one.
        self.queue.next_avail().wrapping_sub(target) < 0x8000
    }

    /// The driver need not notify: the ring is being served.
    pub(crate) fn disable_notification(
        &mut self,
        memory: &RingMemory<'_>,
    ) -> Result<(), RingBroken> {
        self.queue
            .disable_notification(memory)
            .map_err(|_| RingBroken)
    }

    /// The driver must notify again. `true` if chains came meanwhile, which it has not notified of.
    pub(crate) fn enable_notification(
        &mut self,
        memory: &RingMemory<'_>,
    ) -> Result<bool, RingBroken> {
        self.queue
            .enable_notification(memory)
            .map_err(|_| RingBroken)
    }

    /// Whether an interrupt is due for what was given back since this was last asked.
    pub(crate) fn take_interrupt(&mut self, memory: &RingMemory<'_>) -> bool {
        if !std::mem::take(&mut self.used) {
            return false;
        }
        if self.queue.event_idx_enabled() {
            return self.queue.needs_notification(memory).unwrap_or(true);
        }
        // The used index is written before the flags are read (virtio 1.4, section 2.7.7.1), which no weaker order
        // gives: a driver that clears the flag and then looks for used buffers would find none and not be told.
        fence(Ordering::SeqCst);
        let flags: u16 = memory
            .load(GuestAddress(self.queue.avail_ring()), Ordering::Acquire)
            .unwrap_or(0);
        u32::from(u16::from_le(flags)) & VRING_AVAIL_F_NO_INTERRUPT == 0
    }

    /// Makes the event loop come back to this ring.
    pub(crate) fn wake(&self) {
        // A full counter means that it is readable already.
        let _ = self.notify.write(1);
    }
}

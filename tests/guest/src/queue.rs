// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A split virtqueue (virtio 1.4 section 2.7), the driver's side, polled.
//!
//! A *slot* is a place for one command: its request and response buffers, and its descriptors. With INDIRECT_DESC each slot takes one descriptor of the
//! ring and has a table of its own; without, it takes two. The driver polls the used ring, so it asks the device for no interrupts.
#![allow(unsafe_code)]

use core::fmt;
use core::sync::atomic::{Ordering, fence};

use crate::memory::{FreeMemory, OutOfMemory, Pages};
use crate::mmio::{QueueAddresses, Transport, TransportError};

/// Most slots of a queue.
pub const MAX_SLOTS: usize = 256;

/// Layout of a slot's memory: the indirect table, the request, the response.
const SLOT_BYTES: u64 = 2048;
const REQUEST_OFFSET: u64 = 64;
const REQUEST_BYTES: usize = 448;
const RESPONSE_OFFSET: u64 = 512;
/// Bytes of a slot's response buffer.
pub const RESPONSE_BYTES: u32 = 1536;

const DESC_NEXT: u16 = 1;
const DESC_WRITE: u16 = 2;
const DESC_INDIRECT: u16 = 4;
const AVAIL_NO_INTERRUPT: u16 = 1;
const USED_NO_NOTIFY: u16 = 1;

#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Descriptor {
    address: u64,
    len: u32,
    flags: u16,
    next: u16,
}

const DESCRIPTOR_BYTES: u64 = size_of::<Descriptor>() as u64;

/// What the queue may use of the negotiated features.
#[derive(Debug, Clone, Copy)]
pub struct QueueFeatures {
    /// VIRTIO_F_INDIRECT_DESC.
    pub indirect: bool,
    /// VIRTIO_F_EVENT_IDX.
    pub event_idx: bool,
}

/// A device that breaks the rules of the used ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedRingError {
    /// No slot has this descriptor as its head.
    BadHead(u32),
    /// The slot was not in flight.
    NotInFlight(u32),
    /// More bytes than the response buffer has.
    TooLong(u32),
}

impl fmt::Display for UsedRingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadHead(id) => write!(f, "used-ring-bad-head id={id}"),
            Self::NotInFlight(slot) => write!(f, "used-ring-not-in-flight slot={slot}"),
            Self::TooLong(len) => write!(f, "used-ring-too-long len={len}"),
        }
    }
}

/// Why a queue could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueSetupError {
    /// The transport said no.
    Transport(TransportError),
    /// No memory for rings and slots.
    Memory(OutOfMemory),
}

impl From<TransportError> for QueueSetupError {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl From<OutOfMemory> for QueueSetupError {
    fn from(error: OutOfMemory) -> Self {
        Self::Memory(error)
    }
}

/// A place for one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u16);

impl Slot {
    /// The slot's number, below [`MAX_SLOTS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One virtqueue and its slots.
#[derive(Debug)]
pub struct Queue {
    index: u32,
    size: u16,
    features: QueueFeatures,
    rings: QueueAddresses,
    slots: Pages,
    slot_count: u16,
    free: [Slot; MAX_SLOTS],
    free_len: usize,
    in_flight: [bool; MAX_SLOTS],
    avail: u16,
    notified: u16,
    used: u16,
}

impl Queue {
    /// Sets up queue `index` of a device that is between FEATURES_OK and DRIVER_OK.
    ///
    /// # Errors
    /// [`QueueSetupError`].
    pub fn new(
        transport: Transport,
        index: u32,
        features: QueueFeatures,
        memory: &mut FreeMemory,
    ) -> Result<Self, QueueSetupError> {
        let largest = transport.queue_size_max(index)?.min(MAX_SLOTS as u32) as u16;
        // A split ring's size is a power of two; a device may name a maximum that is none.
        let size = 1 << largest.ilog2();
        let rings = QueueAddresses {
            descriptors: zeroed(memory, u64::from(size) * DESCRIPTOR_BYTES)?,
            driver: zeroed(memory, 6 + u64::from(size) * 2)?,
            device: zeroed(memory, 6 + u64::from(size) * 8)?,
        };
        let slot_count = if features.indirect { size } else { size / 2 };
        let mut queue = Self {
            index,
            size,
            features,
            rings,
            slots: memory.take(u64::from(slot_count) * SLOT_BYTES)?,
            slot_count,
            free: [Slot(0); MAX_SLOTS],
            free_len: usize::from(slot_count),
            in_flight: [false; MAX_SLOTS],
            avail: 0,
            notified: 0,
            used: 0,
        };
        // The lowest slot is taken first: a shallow load stays in few pages.
        for (slot, place) in (0..slot_count).rev().zip(&mut queue.free) {
            *place = Slot(slot);
        }
        if features.event_idx {
            queue.never_interrupt();
        } else {
            queue.write(rings.driver, AVAIL_NO_INTERRUPT);
        }
        transport.enable_queue(index, size, &rings);
        Ok(queue)
    }

    /// How many commands fit.
    #[must_use]
    pub const fn slot_count(&self) -> u16 {
        self.slot_count
    }

    /// How many commands the device has.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        usize::from(self.slot_count) - self.free_len
    }

    /// The size of the ring.
    #[must_use]
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Takes a free slot.
    pub fn take_slot(&mut self) -> Option<Slot> {
        self.free_len = self.free_len.checked_sub(1)?;
        self.free.get(self.free_len).copied()
    }

    /// Gives a slot back whose response has been read.
    pub fn give_slot(&mut self, slot: Slot) {
        if let Some(place) = self.free.get_mut(self.free_len) {
            *place = slot;
            self.free_len += 1;
        }
    }

    const fn slot_address(&self, slot: Slot) -> u64 {
        self.slots.address + slot.0 as u64 * SLOT_BYTES
    }

    /// Where a slot's request buffer is.
    #[must_use]
    pub const fn request_address(&self, slot: Slot) -> u64 {
        self.slot_address(slot) + REQUEST_OFFSET
    }

    /// The request buffer of a slot that was taken and not yet submitted.
    pub fn request(&mut self, slot: Slot) -> &mut [u8] {
        let start = core::ptr::with_exposed_provenance_mut(self.request_address(slot) as usize);
        // SAFETY: inside the slot's memory, which nobody else touches: the device gets it with `submit`, which ends this borrow.
        unsafe { core::slice::from_raw_parts_mut(start, REQUEST_BYTES) }
    }

    /// The response of a slot that the device returned and that is not yet given back.
    #[must_use]
    pub fn response(&self, slot: Slot, len: u32) -> &[u8] {
        let start = core::ptr::with_exposed_provenance(
            (self.slot_address(slot) + RESPONSE_OFFSET) as usize,
        );
        // SAFETY: inside the slot's memory, which the device has given back.
        unsafe { core::slice::from_raw_parts(start, len.min(RESPONSE_BYTES) as usize) }
    }

    /// Submits a slot: a request at any address, and room for `response_len` bytes (0: a command without response).
    pub fn submit(&mut self, slot: Slot, request: u64, request_len: u32, response_len: u32) {
        let response = self.slot_address(slot) + RESPONSE_OFFSET;
        let parts = if response_len == 0 { 1 } else { 2 };
        let (table, first) = if self.features.indirect {
            (self.slot_address(slot), 0)
        } else {
            (self.rings.descriptors, slot.0 * 2)
        };
        let at = |i: u16| table + u64::from(i) * DESCRIPTOR_BYTES;
        let flags = if parts == 2 { DESC_NEXT } else { 0 };
        self.write(
            at(first),
            Descriptor {
                address: request,
                len: request_len,
                flags,
                next: first + 1,
            },
        );
        if parts == 2 {
            self.write(
                at(first + 1),
                Descriptor {
                    address: response,
                    len: response_len,
                    flags: DESC_WRITE,
                    next: 0,
                },
            );
        }
        let head = if self.features.indirect {
            let len = parts * DESCRIPTOR_BYTES as u32;
            let descriptor = Descriptor {
                address: table,
                len,
                flags: DESC_INDIRECT,
                next: 0,
            };
            self.write(
                self.rings.descriptors + u64::from(slot.0) * DESCRIPTOR_BYTES,
                descriptor,
            );
            slot.0
        } else {
            first
        };
        self.in_flight[slot.index()] = true;
        self.write(
            self.rings.driver + 4 + u64::from(self.avail % self.size) * 2,
            head,
        );
        self.avail = self.avail.wrapping_add(1);
        // The device must see descriptors and ring entry before the index.
        fence(Ordering::Release);
        self.write(self.rings.driver + 2, self.avail);
    }

    /// How many submitted commands the device was not notified of.
    #[must_use]
    pub const fn unnotified(&self) -> u16 {
        self.avail.wrapping_sub(self.notified)
    }

    /// Notifies the device of everything submitted, if it wants to be.
    pub fn notify(&mut self, transport: Transport) {
        let (old, new) = (self.notified, self.avail);
        if old == new {
            return;
        }
        self.notified = new;
        // The index must be visible before the device's wish is read: store, then load.
        fence(Ordering::SeqCst);
        let wanted = if self.features.event_idx {
            let event: u16 = self.read(self.rings.device + 4 + u64::from(self.size) * 8);
            crossed(event, new, old)
        } else {
            self.read::<u16>(self.rings.device) & USED_NO_NOTIFY == 0
        };
        if wanted {
            transport.notify(self.index);
        }
    }

    /// Takes one command that the device is done with: its slot and how many bytes it wrote.
    ///
    /// # Errors
    /// [`UsedRingError`].
    pub fn poll(&mut self) -> Result<Option<(Slot, u32)>, UsedRingError> {
        if self.read::<u16>(self.rings.device + 2) == self.used {
            return Ok(None);
        }
        // The index first, then what it says is there.
        fence(Ordering::Acquire);
        let element = self.rings.device + 4 + u64::from(self.used % self.size) * 8;
        let (id, len): (u32, u32) = (self.read(element), self.read(element + 4));
        self.used = self.used.wrapping_add(1);
        if self.features.event_idx {
            self.never_interrupt();
        }
        let slot = if self.features.indirect { id } else { id / 2 };
        if slot >= u32::from(self.slot_count) || (!self.features.indirect && id % 2 != 0) {
            return Err(UsedRingError::BadHead(id));
        }
        let slot = Slot(slot as u16);
        if !core::mem::take(&mut self.in_flight[slot.index()]) {
            return Err(UsedRingError::NotInFlight(u32::from(slot.0)));
        }
        if len > RESPONSE_BYTES {
            return Err(UsedRingError::TooLong(len));
        }
        Ok(Some((slot, len)))
    }

    /// With EVENT_IDX: asks for an interrupt at the index that was just passed, so for none.
    fn never_interrupt(&mut self) {
        self.write(
            self.rings.driver + 4 + u64::from(self.size) * 2,
            self.used.wrapping_sub(1),
        );
    }

    fn write<T: Copy>(&mut self, address: u64, value: T) {
        // SAFETY: every address comes from this queue's own pages and is aligned for its type; volatile, since the device reads it.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<T>(address as usize).write_volatile(value)
        }
    }

    fn read<T: Copy>(&self, address: u64) -> T {
        // SAFETY: as in `write`; only integers are read.
        unsafe { core::ptr::with_exposed_provenance::<T>(address as usize).read_volatile() }
    }
}

/// `vring_need_event`: whether `event` lies in (old, new] minus one, modulo 2^16.
const fn crossed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Takes memory and clears it; rings begin at zero whatever the memory was used for before.
fn zeroed(memory: &mut FreeMemory, bytes: u64) -> Result<u64, OutOfMemory> {
    let pages = memory.take(bytes)?;
    // SAFETY: the pages were just handed out to this caller alone.
    unsafe {
        core::ptr::with_exposed_provenance_mut::<u8>(pages.address as usize)
            .write_bytes(0, pages.len as usize)
    };
    Ok(pages.address)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;

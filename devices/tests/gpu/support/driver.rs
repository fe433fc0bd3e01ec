// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The driver's side of a split virtqueue, written from the specification (virtio 1.4, section 2.7).

use rondo_adapter::ddi::VmMemory;
use std::collections::HashMap;
use std::sync::atomic::{Ordering, fence};
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace};

/// Descriptors of a queue.
pub const SIZE: u16 = 256;
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// Longest indirect table.
const TABLE: u64 = 448 * 16;
/// Where indirect tables lie: one per head.
const TABLES: u64 = 8 << 20;

/// Descriptor table, available ring and used ring of a queue at `base`.
pub fn layout(base: u64) -> (u64, u64, u64) {
    (base, base + 0x1000, base + 0x2000)
}

#[derive(Debug)]
pub struct DriverQueue {
    memory: VmMemory,
    base: u64,
    free: Vec<u16>,
    /// Descriptors of each chain in flight, by head.
    chains: HashMap<u16, Vec<u16>>,
    avail: u16,
    used: u16,
}

impl DriverQueue {
    pub fn new(memory: VmMemory, base: u64) -> Self {
        let zeros = vec![0; 0x3000];
        memory
            .memory()
            .write_slice(&zeros, GuestAddress(base))
            .unwrap();
        Self {
            memory,
            base,
            free: (0..SIZE).rev().collect(),
            chains: HashMap::new(),
            avail: 0,
            used: 0,
        }
    }

    pub fn base(&self) -> u64 {
        self.base
    }

    pub fn has_room(&self) -> bool {
        self.free.len() >= 8
    }

    fn write<T: vm_memory::ByteValued>(&self, addr: u64, value: T) {
        self.memory
            .memory()
            .write_obj(value, GuestAddress(addr))
            .unwrap();
    }

    fn read<T: vm_memory::ByteValued>(&self, addr: u64) -> T {
        self.memory.memory().read_obj(GuestAddress(addr)).unwrap()
    }

    fn descriptor(&self, table: u64, index: u16, addr: u64, len: u32, flags: u16, next: u16) {
        let at = table + u64::from(index) * 16;
        self.write(at, addr.to_le());
        self.write(at + 8, len.to_le());
        self.write(at + 12, flags.to_le());
        self.write(at + 14, next.to_le());
    }

    /// Makes a chain of (address, length, device may write) available and returns its head.
    pub fn push(&mut self, chain: &[(u64, u32, bool)], indirect: bool) -> u16 {
        let (table, count) = if indirect || chain.is_empty() {
            (None, 1)
        } else {
            (Some(self.base), chain.len())
        };
        let slots: Vec<u16> = (0..count)
            .map(|_| self.free.pop().expect("ring full"))
            .collect();
        let head = slots[0];
        // Each head of each queue has a place of its own for an indirect table.
        let first = if self.base > 0x4000 {
            u64::from(SIZE)
        } else {
            0
        };
        let own = TABLES + (first + u64::from(head)) * TABLE;
        let at = table.unwrap_or(own);
        for (place, (addr, len, writable)) in chain.iter().enumerate() {
            let more = place + 1 < chain.len();
            let index = if table.is_some() {
                slots[place]
            } else {
                place as u16
            };
            let next = match (more, table.is_some()) {
                (false, _) => 0,
                (true, true) => slots[place + 1],
                (true, false) => place as u16 + 1,
            };
            let flags = if *writable { WRITE } else { 0 } | if more { NEXT } else { 0 };
            self.descriptor(at, index, *addr, *len, flags, next);
        }
        if table.is_none() {
            assert!((chain.len() as u64) * 16 <= TABLE);
            self.descriptor(self.base, head, own, chain.len() as u32 * 16, INDIRECT, 0);
        }
        self.chains.insert(head, slots);
        self.offer(head);
        head
    }

    /// Makes any head available, legal or not.
    pub fn offer(&mut self, head: u16) {
        let (_, ring, _) = layout(self.base);
        self.write(ring + 4 + u64::from(self.avail % SIZE) * 2, head.to_le());
        fence(Ordering::SeqCst);
        self.avail = self.avail.wrapping_add(1);
        self.set_avail(self.avail);
    }

    pub fn set_avail(&mut self, index: u16) {
        let (_, ring, _) = layout(self.base);
        self.avail = index;
        self.write(ring + 2, index.to_le());
    }

    /// The chains given back since the last time, in order: head and used length.
    pub fn pop_used(&mut self) -> Vec<(u16, u32)> {
        let (_, avail, ring) = layout(self.base);
        let mut used = Vec::new();
        let index = u16::from_le(self.read(ring + 2));
        fence(Ordering::SeqCst);
        while self.used != index {
            let at = ring + 4 + u64::from(self.used % SIZE) * 8;
            let head = u32::from_le(self.read(at)) as u16;
            let len = u32::from_le(self.read(at + 4));
            let slots = self.chains.remove(&head);
            self.free
                .extend(slots.unwrap_or_else(|| panic!("head {head} was not in flight")));
            used.push((head, len));
            self.used = self.used.wrapping_add(1);
        }
        // used_event: an interrupt for the next one, please.
        self.write(avail + 4 + u64::from(SIZE) * 2, self.used.to_le());
        used
    }
}

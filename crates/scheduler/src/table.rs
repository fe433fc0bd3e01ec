// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The VMs that are here, or a VM's processes and contexts: from the caller's names to dense slots.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use crate::VmId;

/// A member's place in every table of the scheduler, as long as it is here; reused after it has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) u32);

impl Slot {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names are chosen by the host, not by guests, so mixing them is enough; the table is never walked in hash order.
#[derive(Clone, Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.write_u64(u64::from(id));
    }

    fn write_u64(&mut self, id: u64) {
        // Fibonacci hashing: the odd number nearest to 2^64 divided by the golden ratio.
        self.0 = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }
}

/// Values by slot, and slots by name.
#[derive(Clone, Debug)]
pub(crate) struct Table<T, K = VmId> {
    entries: Vec<Option<T>>,
    free: Vec<Slot>,
    slots: HashMap<K, Slot, BuildHasherDefault<IdHasher>>,
}

impl<T, K: Copy + Eq + Hash> Table<T, K> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            slots: HashMap::default(),
        }
    }

    pub(crate) fn slot(&self, name: K) -> Option<Slot> {
        self.slots.get(&name).copied()
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        self.entries.get(slot.index())?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        self.entries.get_mut(slot.index())?.as_mut()
    }

    /// Puts a VM in; `None` if there are 2^32 - 1 of them already (slots are dense, so that is the only limit).
    pub(crate) fn insert(&mut self, name: K, value: T) -> Option<Slot> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = Slot(u32::try_from(self.entries.len()).ok()?);
                self.entries.push(None);
                // Leaving must not allocate.
                self.free
                    .reserve(self.entries.len().saturating_sub(self.free.len()));
                slot
            }
        };
        self.entries[slot.index()] = Some(value);
        self.slots.insert(name, slot);
        Some(slot)
    }

    pub(crate) fn remove(&mut self, name: K) {
        if let Some(slot) = self.slots.remove(&name) {
            self.entries[slot.index()] = None;
            self.free.push(slot);
        }
    }

    /// One more than the highest slot that was ever used.
    pub(crate) fn slots(&self) -> usize {
        self.entries.len()
    }

    /// How many VMs are here.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }
}

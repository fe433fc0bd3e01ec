// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A binary min-heap of VMs from which any one can be taken out, in logarithmic time and without allocation.
//!
//! Keys are `(tag, turn)`: equal tags leave in the order of their turns, so that no decision depends on what a VM is called.

use crate::table::Slot;

const ABSENT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u128,
    turn: u64,
    slot: Slot,
}

impl Entry {
    fn before(&self, other: &Self) -> bool {
        (self.tag, self.turn) < (other.tag, other.turn)
    }
}

/// The heap; a VM is in it once or not at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap {
    entries: Vec<Entry>,
    /// Where each slot's entry is, or `ABSENT`.
    places: Vec<u32>,
}

impl Heap {
    /// Makes room for the slots `0..slots`, so that no later call allocates.
    pub(crate) fn reserve(&mut self, slots: usize) {
        self.reserve_for(slots, slots);
    }

    /// Makes room for `members` of the slots `0..slots`.
    pub(crate) fn reserve_for(&mut self, slots: usize, members: usize) {
        if self.places.len() < slots {
            self.places.resize(slots, ABSENT);
        }
        self.entries
            .reserve(members.saturating_sub(self.entries.len()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The smallest key's tag and slot.
    pub(crate) fn first(&self) -> Option<(u128, Slot)> {
        self.entries.first().map(|entry| (entry.tag, entry.slot))
    }

    /// Puts `slot` in, which must not be in it.
    pub(crate) fn insert(&mut self, tag: u128, turn: u64, slot: Slot) {
        debug_assert!(!self.contains(slot), "a VM is queued once");
        let at = self.entries.len();
        self.entries.push(Entry { tag, turn, slot });
        self.rise(at);
    }

    /// Takes the smallest out.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        let slot = self.entries.first()?.slot;
        self.remove(slot);
        Some(slot)
    }

    pub(crate) fn contains(&self, slot: Slot) -> bool {
        self.places
            .get(slot.index())
            .is_some_and(|&at| at != ABSENT)
    }

    /// Takes `slot` out; whether it was in.
    pub(crate) fn remove(&mut self, slot: Slot) -> bool {
        if !self.contains(slot) {
            return false;
        }
        let at = self.places[slot.index()] as usize;
        self.places[slot.index()] = ABSENT;
        let last = self.entries.len() - 1;
        self.entries.swap_remove(at);
        if at < last {
            // The former last entry may belong above or below its new place.
            let settled = self.sink(at);
            self.rise(settled);
        }
        true
    }

    fn rise(&mut self, mut at: usize) {
        let entry = self.entries[at];
        while at > 0 {
            let parent = (at - 1) / 2;
            if !entry.before(&self.entries[parent]) {
                break;
            }
            self.set(at, self.entries[parent]);
            at = parent;
        }
        self.set(at, entry);
    }

    fn sink(&mut self, mut at: usize) -> usize {
        let entry = self.entries[at];
        loop {
            let mut child = 2 * at + 1;
            if child >= self.entries.len() {
                break;
            }
            if child + 1 < self.entries.len()
                && self.entries[child + 1].before(&self.entries[child])
            {
                child += 1;
            }
            if !self.entries[child].before(&entry) {
                break;
            }
            self.set(at, self.entries[child]);
            at = child;
        }
        self.set(at, entry);
        at
    }

    fn set(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        // Slots are u32, so the heap never holds more than u32::MAX of them.
        self.places[entry.slot.index()] = u32::try_from(at).unwrap_or(ABSENT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_random_inserts_and_removals_when_popped_then_the_order_is_that_of_a_sorted_list() {
        let mut random = 0x9e37_79b9_u64;
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        for round in 0..200 {
            let mut heap = Heap::default();
            heap.reserve(64);
            let mut list = Vec::new();
            for slot in 0..64_u32 {
                let tag = u128::from(next() % 8);
                heap.insert(tag, u64::from(slot), Slot(slot));
                list.push((tag, slot));
            }
            for _ in 0..next() % 40 {
                let victim = Slot(u32::try_from(next() % 64).unwrap());
                assert_eq!(
                    heap.remove(victim),
                    list.iter().any(|&(_, slot)| slot == victim.0),
                    "round {round}"
                );
                list.retain(|&(_, slot)| slot != victim.0);
            }
            list.sort_unstable();
            for (_, slot) in list {
                assert_eq!(heap.pop(), Some(Slot(slot)), "round {round}");
            }
            assert_eq!(heap.pop(), None);
        }
    }
}

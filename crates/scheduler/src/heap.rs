// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A min-heap of VMs from which any one can be taken out, in logarithmic time and without allocation.
//!
//! Keys are `(tag, turn)`: equal tags leave in the order of their turns, so that no decision depends on what a VM is called.
//! What a decision costs with thousands of VMs is cache lines, so the heap is shallow (each entry has four below it) and its
//! entries are small. Which of the four is the smallest cannot be foretold, so it is found without a branch.

use crate::table::{Slot, make_room};

const ABSENT: u32 = u32::MAX;

/// How many entries are below one.
const ARITY: usize = 4;

/// A tag's bits: a million times as many nanoseconds as a `u64` holds, a million times over.
const TAG_BITS: u32 = 104;
/// A turn's: a century of turns every 40 ns.
const TURN_BITS: u32 = 56;

/// The last tag, and what all after it count as: the end of time.
const LAST_TAG: u128 = (1 << TAG_BITS) - 1;

/// From the highest bit to the lowest: tag, turn, slot. So entries are compared as if they were numbers.
#[derive(Clone, Copy, Debug)]
struct Entry {
    high: u64,
    middle: u64,
    low: u64,
}

impl Entry {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "words are cut out of longer numbers"
    )]
    fn new(tag: u128, turn: u64, slot: Slot) -> Self {
        let turn = u128::from(turn) & ((1 << TURN_BITS) - 1);
        // The upper two words have the tag and the turn but for its last 32 bits.
        let upper = (tag.min(LAST_TAG) << (128 - TAG_BITS)) | (turn >> 32);
        Self {
            high: (upper >> 64) as u64,
            middle: upper as u64,
            low: ((turn as u64) << 32) | u64::from(slot.0),
        }
    }

    fn upper(&self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.middle)
    }

    fn tag(&self) -> u128 {
        match self.upper() >> (128 - TAG_BITS) {
            LAST_TAG => u128::MAX,
            tag => tag,
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half of a word")]
    fn slot(&self) -> Slot {
        Slot(self.low as u32)
    }

    /// Without a branch.
    fn before(&self, other: &Self) -> bool {
        let (mine, its) = (self.upper(), other.upper());
        (mine < its) | ((mine == its) & (self.low < other.low))
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
            make_room(&mut self.places, slots);
            self.places.resize(slots, ABSENT);
        }
        make_room(&mut self.entries, members);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The smallest key's tag and slot. A tag so late that it counts as the end of time is `u128::MAX`.
    pub(crate) fn first(&self) -> Option<(u128, Slot)> {
        self.entries
            .first()
            .map(|entry| (entry.tag(), entry.slot()))
    }

    /// Puts `slot` in, which must not be in it.
    pub(crate) fn insert(&mut self, tag: u128, turn: u64, slot: Slot) {
        debug_assert!(!self.contains(slot), "a VM is queued once");
        let at = self.entries.len();
        self.entries.push(Entry::new(tag, turn, slot));
        self.rise(at);
    }

    /// Takes the smallest out.
    pub(crate) fn pop(&mut self) -> Option<Slot> {
        let slot = self.entries.first()?.slot();
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
            let parent = (at - 1) / ARITY;
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
            let first = ARITY * at + 1;
            let end = (first + ARITY).min(self.entries.len());
            if first >= end {
                break;
            }
            let mut child = first;
            for other in first + 1..end {
                let smaller = self.entries[other].before(&self.entries[child]);
                child = std::hint::select_unpredictable(smaller, other, child);
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
        self.places[entry.slot().index()] = u32::try_from(at).unwrap_or(ABSENT);
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

    #[test]
    fn given_keys_at_the_edges_of_their_words_then_tags_come_first_and_then_turns_and_the_end_of_time_is_last()
     {
        let edges = [
            0,
            1,
            (1 << 40) - 1,
            1 << 40,
            u128::from(u64::MAX),
            1 << 64,
            u128::from(u64::MAX) * 1_000_000,
            LAST_TAG - 1,
        ];
        let turns = [
            0,
            1,
            u64::from(u32::MAX),
            1 << 32,
            (1 << 40) + 3,
            (1 << TURN_BITS) - 1,
        ];
        let mut keys = Vec::new();
        keys.extend(edges.iter().flat_map(|&tag| turns.map(|turn| (tag, turn))));
        keys.extend(turns.map(|turn| (u128::MAX, turn)));
        let mut heap = Heap::default();
        heap.reserve(keys.len());
        // The later a key, the smaller the slot: names decide nothing.
        for (&(tag, turn), slot) in keys.iter().rev().zip(0..) {
            heap.insert(tag, turn, Slot(slot));
        }
        for (&(tag, _), slot) in keys
            .iter()
            .zip((0..u32::try_from(keys.len()).unwrap()).rev())
        {
            assert_eq!(heap.first(), Some((tag, Slot(slot))));
            assert_eq!(heap.pop(), Some(Slot(slot)));
        }
        // What lies beyond the last tag is the end of time too, and not something that has been reached.
        heap.insert(LAST_TAG + 7, 1, Slot(0));
        assert_eq!(heap.first(), Some((u128::MAX, Slot(0))));
    }
}

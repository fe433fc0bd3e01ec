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

/// How many names are found by looking at each of them: fewer cache lines than a hash table has, and no room taken by one.
const FEW: usize = 16;

/// Makes room for `entries` of them in all, an eighth more at a time: tables of thousands of VMs are nearly full, and one that
/// grows copies each entry nine times on average.
pub(crate) fn make_room<T>(list: &mut Vec<T>, entries: usize) {
    let room = list.capacity();
    if room < entries {
        let room = room.saturating_add(room / 8).max(entries);
        list.reserve_exact(room.saturating_sub(list.len()));
    }
}

/// Makes room for one more.
pub(crate) fn grow<T>(list: &mut Vec<T>) {
    make_room(list, list.len().saturating_add(1));
}

#[derive(Clone, Debug)]
enum Entry<T, K> {
    Used(K, T),
    /// The next free slot, if there is one.
    Free(Option<NextFree>),
}

/// A slot that is free: one more than its number.
type NextFree = std::num::NonZeroU32;

/// Values by slot, and slots by name.
#[expect(
    clippy::box_collection,
    reason = "an empty hash table takes 32 bytes, and each VM has three that are"
)]
#[derive(Clone, Debug)]
pub(crate) struct Table<T, K = VmId> {
    entries: Vec<Entry<T, K>>,
    free: Option<NextFree>,
    used: u32,
    /// From the first time on that there were more than a few.
    slots: Option<Box<HashMap<K, Slot, BuildHasherDefault<IdHasher>>>>,
}

impl<T, K: Copy + Eq + Hash> Table<T, K> {
    pub(crate) const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: None,
            used: 0,
            slots: None,
        }
    }

    pub(crate) fn slot(&self, name: K) -> Option<Slot> {
        if let Some(slots) = &self.slots {
            return slots.get(&name).copied();
        }
        let mut named = self.named();
        named
            .find(|&(other, _)| other == name)
            .map(|(_, slot)| slot)
    }

    fn named(&self) -> impl Iterator<Item = (K, Slot)> + '_ {
        let slots = self.entries.iter().zip(0..);
        slots.filter_map(|(entry, slot)| match entry {
            Entry::Used(name, _) => Some((*name, Slot(slot))),
            Entry::Free(_) => None,
        })
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&T> {
        match self.entries.get(slot.index())? {
            Entry::Used(_, value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut T> {
        match self.entries.get_mut(slot.index())? {
            Entry::Used(_, value) => Some(value),
            Entry::Free(_) => None,
        }
    }

    /// Puts one in; `None` if there are 2^32 - 1 of them already (slots are dense, so that is the only limit).
    pub(crate) fn insert(&mut self, name: K, value: T) -> Option<Slot> {
        let slot = match self.free {
            Some(free) => {
                let slot = Slot(free.get() - 1);
                let entry = self.entries.get_mut(slot.index())?;
                if let Entry::Free(next) = *entry {
                    self.free = next;
                }
                *entry = Entry::Used(name, value);
                slot
            }
            None => {
                let slot = u32::try_from(self.entries.len()).ok()?;
                // Each slot has a number to be free by.
                slot.checked_add(1)?;
                grow(&mut self.entries);
                self.entries.push(Entry::Used(name, value));
                Slot(slot)
            }
        };
        self.used += 1;
        if let Some(slots) = &mut self.slots {
            slots.insert(name, slot);
        } else if self.entries.len() > FEW {
            self.slots = Some(Box::new(self.named().collect()));
        }
        Some(slot)
    }

    pub(crate) fn remove(&mut self, name: K) {
        let slot = match &mut self.slots {
            Some(slots) => slots.remove(&name),
            None => self.slot(name),
        };
        let Some(slot) = slot else { return };
        self.entries[slot.index()] = Entry::Free(self.free);
        self.free = NextFree::new(slot.0 + 1);
        self.used -= 1;
    }

    /// One more than the highest slot that was ever used.
    pub(crate) fn slots(&self) -> usize {
        self.entries.len()
    }

    /// How many are here.
    pub(crate) fn len(&self) -> usize {
        self.used as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn names_find_what_was_put_in_under_them_whether_few_or_many(steps in proptest::collection::vec((0_u32..40, any::<bool>()), 0..400)) {
            let mut table: Table<u32, u32> = Table::new();
            let mut model = HashMap::new();
            for (step, (name, there)) in (0..).zip(steps) {
                if there && !model.contains_key(&name) {
                    let slot = table.insert(name, step).unwrap();
                    prop_assert!(model.values().all(|&(other, _)| other != slot.0));
                    model.insert(name, (slot.0, step));
                } else if !there {
                    table.remove(name);
                    model.remove(&name);
                }
                prop_assert_eq!(table.len(), model.len());
                for name in 0..40 {
                    let found = table.slot(name).map(|slot| (slot.0, *table.get(slot).unwrap()));
                    prop_assert_eq!(found, model.get(&name).copied());
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Many priority queues over one set of nodes: pairing heaps, of which each node is in one at most.
//!
//! A node is named by its slot in the owner's table, and its links lie in a table of the same length: queues come and go
//! and nodes move between them without an allocation. The least key comes first. Insertion takes constant time, removal
//! `O(log n)` amortised (Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, 1986). Both loops walk a list once.

use crate::table::Slot;

/// No node.
const NONE: u32 = u32::MAX;

/// One queue: the node that comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root(u32);

impl Default for Root {
    fn default() -> Self {
        Self(NONE)
    }
}

impl Root {
    /// Who comes first.
    pub(super) fn first(self) -> Option<Slot> {
        (self.0 != NONE).then_some(Slot(self.0))
    }
}

#[derive(Clone, Copy, Debug)]
struct Node<K> {
    key: K,
    child: u32,
    next: u32,
    /// The sibling before, or the parent of a first child.
    before: u32,
    queued: bool,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Forest<K> {
    nodes: Vec<Node<K>>,
}

impl<K: Copy + Default + Ord> Forest<K> {
    pub(super) const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// Bytes that a node takes.
    pub(super) const NODE_BYTES: usize = size_of::<Node<K>>();

    /// Makes room for the nodes of `slots` slots.
    pub(super) fn make_room(&mut self, slots: usize) {
        if self.nodes.len() < slots {
            let unused = Node {
                key: K::default(),
                child: NONE,
                next: NONE,
                before: NONE,
                queued: false,
            };
            if self.nodes.capacity() < slots {
                // An eighth more than is needed, as tables grow.
                let more = slots.saturating_sub(self.nodes.len());
                self.nodes.reserve_exact(more.max(slots / 8));
            }
            self.nodes.resize(slots, unused);
        }
    }

    /// Whether the node is in a queue.
    pub(super) fn is_queued(&self, slot: Slot) -> bool {
        self.nodes[slot.index()].queued
    }

    /// Puts a node that is in no queue into one.
    pub(super) fn insert(&mut self, root: &mut Root, slot: Slot, key: K) {
        debug_assert!(!self.is_queued(slot), "queued twice");
        self.nodes[slot.index()] = Node {
            key,
            child: NONE,
            next: NONE,
            before: NONE,
            queued: true,
        };
        root.0 = self.meld(root.0, slot.0);
    }

    /// Takes a node out of the queue that it is in.
    pub(super) fn remove(&mut self, root: &mut Root, slot: Slot) {
        let node = self.nodes[slot.index()];
        debug_assert!(node.queued, "not queued");
        let children = self.meld_all(node.child);
        if root.0 == slot.0 {
            root.0 = children;
        } else {
            let before = self.at(node.before);
            if before.child == slot.0 {
                before.child = node.next;
            } else {
                before.next = node.next;
            }
            if node.next != NONE {
                self.at(node.next).before = node.before;
            }
            root.0 = self.meld(root.0, children);
        }
        self.nodes[slot.index()].queued = false;
    }

    /// Gives a queued node another key.
    pub(super) fn change_key(&mut self, root: &mut Root, slot: Slot, key: K) {
        self.remove(root, slot);
        self.insert(root, slot, key);
    }

    fn at(&mut self, node: u32) -> &mut Node<K> {
        &mut self.nodes[Slot(node).index()]
    }

    /// One heap of two, either of which may be empty. Neither root has siblings.
    fn meld(&mut self, one: u32, other: u32) -> u32 {
        if one == NONE {
            return other;
        }
        if other == NONE {
            return one;
        }
        let key = self.at(one).key;
        let other_is_first = self.at(other).key < key;
        let (first, second) = if other_is_first {
            (other, one)
        } else {
            (one, other)
        };
        let eldest = self.at(first).child;
        if eldest != NONE {
            self.at(eldest).before = second;
        }
        let node = self.at(second);
        node.next = eldest;
        node.before = first;
        self.at(first).child = second;
        first
    }

    /// One heap of a list of siblings: pairs from the left, then all pairs from the right.
    fn meld_all(&mut self, mut sibling: u32) -> u32 {
        let mut pairs = NONE;
        while sibling != NONE {
            let one = self.detach(sibling);
            let other = if one.1 == NONE {
                (NONE, NONE)
            } else {
                self.detach(one.1)
            };
            let pair = self.meld(one.0, other.0);
            self.at(pair).next = pairs;
            pairs = pair;
            sibling = other.1;
        }
        let mut root = NONE;
        while pairs != NONE {
            let (pair, rest) = self.detach(pairs);
            root = self.meld(root, pair);
            pairs = rest;
        }
        root
    }

    /// Cuts a node from its siblings; returns it and the next of them.
    fn detach(&mut self, node: u32) -> (u32, u32) {
        let links = self.at(node);
        let next = std::mem::replace(&mut links.next, NONE);
        links.before = NONE;
        (node, next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn the_least_key_comes_first_whatever_went_in_and_out_before(
            steps in proptest::collection::vec((0_u32..24, 0_u32..8, any::<bool>()), 0..300),
        ) {
            let mut forest = Forest::new();
            forest.make_room(24);
            let mut roots = [Root::default(); 2];
            let mut model = [BTreeSet::new(), BTreeSet::new()];
            // A key that no queue holds.
            let mut keys = [(u32::MAX, u32::MAX); 24];
            for (slot, key, second) in steps {
                let index = slot as usize;
                let queue = (0..2).find(|&queue| model[queue].contains(&keys[index]));
                prop_assert_eq!(forest.is_queued(Slot(slot)), queue.is_some());
                match queue {
                    Some(queue) if second => {
                        forest.remove(&mut roots[queue], Slot(slot));
                        model[queue].remove(&keys[index]);
                        keys[index] = (u32::MAX, u32::MAX);
                    }
                    Some(queue) => {
                        forest.change_key(&mut roots[queue], Slot(slot), (key, slot));
                        model[queue].remove(&keys[index]);
                        keys[index] = (key, slot);
                        model[queue].insert(keys[index]);
                    }
                    None => {
                        let queue = usize::from(second);
                        keys[index] = (key, slot);
                        forest.insert(&mut roots[queue], Slot(slot), keys[index]);
                        model[queue].insert(keys[index]);
                    }
                }
                for queue in 0..2 {
                    let first = model[queue].first().map(|&(_, slot)| Slot(slot));
                    prop_assert_eq!(roots[queue].first(), first);
                }
            }
        }
    }
}

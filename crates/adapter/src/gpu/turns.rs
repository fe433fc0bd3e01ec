// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Whose turn it is among equals: round robin, in constant time.
//!
//! The queues of a context are served so, unit by unit. The order of contexts is the scheduler's inside the VM.

use std::collections::VecDeque;

/// The members that have work, the next one first.
#[derive(Debug)]
pub(super) struct Turns<T> {
    ring: VecDeque<T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self {
            ring: VecDeque::new(),
        }
    }
}

impl<T: Copy + PartialEq> Turns<T> {
    /// A member has work now. It waits for all that have work already. It must not be in already.
    pub(super) fn enter(&mut self, member: T) {
        debug_assert!(!self.ring.contains(&member), "entered twice");
        self.ring.push_back(member);
    }

    /// A member leaves, with or without work; no change if it is not in.
    pub(super) fn leave(&mut self, member: T) {
        self.ring.retain(|&other| other != member);
    }

    /// Who is next.
    pub(super) fn next(&self) -> Option<T> {
        self.ring.front().copied()
    }

    /// The member that was next has had its turn; it stays in, behind the others, if it has more work.
    pub(super) fn served(&mut self, member: T, more: bool) {
        if self.ring.front() == Some(&member) {
            self.ring.pop_front();
            if more {
                self.ring.push_back(member);
            }
        }
    }

    /// Whether nobody has work.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_with_work_take_turns_in_the_order_of_their_arrival() {
        let mut turns = Turns::default();
        for member in [1, 2, 3] {
            turns.enter(member);
        }
        let mut order = Vec::new();
        for _ in 0..7 {
            let member = turns.next().expect("somebody has work");
            order.push(member);
            turns.served(member, true);
        }
        assert_eq!(order, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn a_member_without_work_leaves_the_ring() {
        let mut turns = Turns::default();
        turns.enter(1);
        turns.enter(2);
        turns.served(1, false);
        assert_eq!(turns.next(), Some(2));
        turns.leave(2);
        assert!(turns.is_empty());
        turns.leave(2);
        assert_eq!(turns.next(), None);
    }

    #[test]
    fn a_member_that_left_during_its_turn_does_not_come_back() {
        let mut turns = Turns::default();
        turns.enter(1);
        turns.enter(2);
        turns.leave(1);
        turns.served(1, true);
        assert_eq!(turns.next(), Some(2));
    }
}

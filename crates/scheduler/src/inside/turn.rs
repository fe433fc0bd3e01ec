// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Turns among equals: what each has had, and how long the turn of the one whose it is lasts.
//!
//! A *tag* is what a member has had, in a unit that makes members equal: nanoseconds for processes of a band, parts of
//! its own quantum for contexts. Where nobody's turn is under way, the least tag is next; among equal tags, who came first.
//! The *start* of a group of members is the largest tag with which a turn began: a member that comes back starts there at
//! least, so that it has not saved up time while it slept, and above it if it had more before.

/// Parts of a quantum in a context's tag. Tags of 64 bits then last for 57 years of the shortest quantum, 100 ns.
pub(super) const QUANTUM_PARTS: u64 = 1 << 10;

/// A member's place among its equals. The first part is true unless its turn is under way.
pub(super) type Place = (bool, u64, u64);

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    tag: u64,
    /// Order of arrival at this tag.
    arrival: u64,
    /// Of its quantum, if the turn is under way.
    used: u64,
    under_way: bool,
    /// Whether it has been among equals before.
    known: bool,
}

impl Turn {
    /// Where it stands.
    pub(super) const fn place(&self) -> Place {
        (!self.under_way, self.tag, self.arrival)
    }

    /// It comes to a group that starts at `start`; `quantum` in the unit of tags.
    pub(super) fn enter(&mut self, start: u64, quantum: u64, arrival: u64) {
        self.tag = if self.known {
            self.tag.max(start)
        } else {
            start.saturating_add(quantum)
        };
        self.known = true;
        self.arrival = arrival;
    }

    /// It goes from a group that starts at `from` to one that starts at `to`; `worth` turns what it was ahead into the
    /// unit of tags there.
    pub(super) fn carry(
        &mut self,
        from: u64,
        to: u64,
        arrival: u64,
        worth: impl FnOnce(u64) -> u64,
    ) {
        self.end();
        if self.known {
            self.tag = to.saturating_add(worth(self.tag.saturating_sub(from)));
        }
        self.arrival = arrival;
    }

    /// Its turn begins, unless it is under way. Returns whether it was not.
    pub(super) const fn begin(&mut self) -> bool {
        !std::mem::replace(&mut self.under_way, true)
    }

    /// Its turn ends, if it is under way.
    pub(super) const fn end(&mut self) {
        self.under_way = false;
        self.used = 0;
    }

    /// It ran for `ran` nanoseconds, `parts` in the unit of tags. Returns whether that ended its turn of `quantum`.
    pub(super) fn charge(&mut self, ran: u64, parts: u64, quantum: u64) -> bool {
        self.tag = self.tag.saturating_add(parts);
        if !self.under_way {
            return false;
        }
        self.used = self.used.saturating_add(ran);
        if self.used < quantum {
            return false;
        }
        self.end();
        true
    }

    /// What it has had.
    pub(super) const fn tag(&self) -> u64 {
        self.tag
    }

    /// Whether its turn is under way.
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// A later place among equal tags.
    pub(super) const fn arrive(&mut self, arrival: u64) {
        self.arrival = arrival;
    }
}

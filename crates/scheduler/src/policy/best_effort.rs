// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `best-effort`: VMs with work take turns.
//!
//! # Promise
//! - *Turns.* Between two turns of a VM that has work, each other VM of its priority has at most one. Who has a higher priority
//!   goes first: after the unit that runs, and for as long as it has work.
//! - *No waste.* The engine is never idle while a VM has work (and is under its limit).
//! - No share is promised: guarantees do not count, who runs longer units gets more, and what was used is charged for the
//!   statistics only. Nobody comes to owe or to be owed anything here.
//! - *No amnesty.* What a VM owed when it came from another policy it goes on owing, and takes along to the next one: it
//!   melts at the rate of the VM's share, as if it had slept there. It changes nothing about its turns.
//!
//! # Formula
//! One queue for each priority. A VM that wakes, or whose turn ends with work left, goes to its end; the engine goes to the
//! front of the highest one. A turn ends when another unit might make it longer than the VM's slice (`used + e > slice`,
//! `e` being the longest unit expected of it), or when somebody of a higher priority has work; it is one unit at least. Only
//! for a higher priority is anybody asked to end a unit early.
//!
//! # Bound
//! A VM with work waits at most the sum, over the other VMs of its priority, of the longer of slice and unit:
//! `sum(max(slice, L))`, as long as units are no longer than declared or learned; and longer by what those above it run
//! meanwhile, and by one unit of somebody below.
//!
//! # Why it holds
//! Whoever of its priority comes, or comes back, goes behind the VM. So of each other VM at most one turn lies before it: that which runs, or
//! the one for which it waits. A turn beyond its first unit is never begun unless it fits into the slice.
//!
//! # Tests
//! In `tests/scheduler/`: `best_effort.rs` (turns, the bound, what is not promised), `priority.rs`, `every_policy.rs` (books, no waste,
//! limits, joining and leaving, determinism, names, the end of the clock). And `tests/steady_state.rs`: no allocation.

use super::leavers::{Leaver, Leavers};
use super::tags::weight_of;
use super::virtual_time::{Virtual, Weight};
use super::{Discipline, Left, Standing};
use crate::estimate::Estimate;
use crate::heap::Heap;
use crate::table::{Slot, make_room};
use crate::{Nanos, Ppm, Priority, VmId, VmProfile};

/// One VM's turn.
#[derive(Clone, Debug)]
struct Turn {
    vm: VmId,
    guarantee: Ppm,
    priority: Priority,
    /// When what it brought along is paid.
    paid: Virtual,
    slice: u64,
    estimate: Estimate,
    /// Nanoseconds of the turn that have run.
    used: u64,
}

impl Turn {
    fn weight(&self) -> Weight {
        weight_of(self.guarantee)
    }

    /// The first is served first.
    fn rank(&self) -> u128 {
        match self.priority {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        }
    }

    fn debt(&self, now: Virtual) -> u64 {
        self.weight().work_in_up(self.paid.saturating_sub(now))
    }
}

/// The state of the policy on one engine.
#[derive(Debug)]
pub(super) struct BestEffort {
    vms: Vec<Option<Turn>>,
    /// The tag is the rank of the priority, and equal tags leave in turn: a queue from which any VM can be taken out.
    queue: Heap,
    holder: Option<Slot>,
    /// Counts what is queued.
    turn: u64,
    /// Gone in debt.
    leavers: Leavers,
    /// Real time, on which debts melt.
    now: Virtual,
}

impl Default for BestEffort {
    fn default() -> Self {
        Self {
            vms: Vec::new(),
            queue: Heap::default(),
            holder: None,
            turn: 0,
            leavers: Leavers::new(),
            now: 0,
        }
    }
}

impl BestEffort {
    fn turn(&self, slot: Slot) -> Option<&Turn> {
        self.vms.get(slot.index())?.as_ref()
    }

    fn turn_mut(&mut self, slot: Slot) -> Option<&mut Turn> {
        self.vms.get_mut(slot.index())?.as_mut()
    }

    /// Queues a VM behind all others of its priority.
    fn enqueue(&mut self, slot: Slot) {
        let Some(turn) = self.turn_mut(slot) else {
            return;
        };
        turn.used = 0;
        let rank = turn.rank();
        self.turn = self.turn.wrapping_add(1);
        self.queue.insert(rank, self.turn, slot);
    }

    fn release(&mut self, slot: Slot) {
        if self.holder == Some(slot) {
            self.holder = None;
        }
    }
}

impl Discipline for BestEffort {
    fn advance(&mut self, now: u64) {
        self.now = Virtual::from(now);
    }

    fn join(&mut self, slot: Slot, vm: VmId, profile: &VmProfile, standing: Standing) {
        if self.vms.len() <= slot.index() {
            make_room(&mut self.vms, slot.index() + 1);
            self.vms.resize(slot.index() + 1, None);
            self.queue.reserve(slot.index() + 1);
        }
        let weight = weight_of(profile.guarantee);
        let own = self.leavers.take_place(&[self.now], vm, weight, 0, 0);
        let debt = own.max(weight.stretch_up(standing.debt.0));
        self.vms[slot.index()] = Some(Turn {
            vm,
            guarantee: profile.guarantee,
            priority: profile.priority,
            paid: self.now.saturating_add(debt),
            slice: profile.slice.0,
            estimate: Estimate::new(profile),
            used: 0,
        });
    }

    fn leave(&mut self, slot: Slot) {
        self.sleep(slot);
        if let Some(turn) = self.vms.get_mut(slot.index()).and_then(Option::take) {
            let leaver = Leaver {
                vm: turn.vm,
                class: 0,
                until: turn.paid,
                weight: turn.weight(),
                guarantee: turn.guarantee,
                part: 0,
            };
            self.leavers.add(&[self.now], leaver);
        }
    }

    fn set_profile(&mut self, slot: Slot, profile: &VmProfile) {
        let now = self.now;
        if let Some(turn) = self.turn_mut(slot) {
            let debt = turn
                .weight()
                .convert(turn.paid.saturating_sub(now), weight_of(profile.guarantee));
            turn.paid = now.saturating_add(debt);
            turn.guarantee = profile.guarantee;
            turn.slice = profile.slice.0;
            turn.estimate.set_profile(profile);
            if turn.priority != profile.priority {
                turn.priority = profile.priority;
                if self.queue.remove(slot) {
                    self.enqueue(slot);
                }
            }
        }
    }

    fn set_unit_bound(&mut self, slot: Slot, at_most: Option<Nanos>) {
        if let Some(turn) = self.turn_mut(slot) {
            turn.estimate.set_bound(at_most);
        }
    }

    fn wake(&mut self, slot: Slot, _resumed: bool) {
        self.enqueue(slot);
    }

    fn sleep(&mut self, slot: Slot) {
        self.queue.remove(slot);
        self.release(slot);
    }

    fn charge(&mut self, slot: Slot, ran: Nanos) {
        if let Some(turn) = self.turn_mut(slot) {
            turn.estimate.record(ran.0);
            // A unit of length zero counts: an endless row of them must not be one turn.
            turn.used = turn.used.saturating_add(ran.0.max(1));
        }
    }

    fn keeps(&self, slot: Slot) -> bool {
        self.turn(slot)
            .is_some_and(|turn| turn.used.saturating_add(turn.estimate.longest()) <= turn.slice)
    }

    fn put_back(&mut self, slot: Slot, _ends: bool) {
        self.release(slot);
        self.enqueue(slot);
    }

    fn pick(&mut self) -> Option<Slot> {
        self.holder = self.queue.pop();
        self.holder
    }

    fn adopt(&mut self, slot: Slot) {
        self.queue.remove(slot);
        self.holder = Some(slot);
    }

    fn outranked(&mut self) -> bool {
        let holder = self.holder.and_then(|slot| self.turn(slot));
        let first = self.queue.first();
        first.is_some_and(|(rank, _)| holder.is_none_or(|holder| rank < holder.rank()))
    }

    fn has_queued(&self) -> bool {
        self.queue.first().is_some()
    }

    fn lendable(&mut self) -> Option<Slot> {
        self.queue.first().map(|(_, slot)| slot)
    }

    fn standing(&self, slot: Slot) -> Standing {
        let debt = self.turn(slot).map_or(0, |turn| turn.debt(self.now));
        Standing { debt: Nanos(debt) }
    }

    fn left(&self) -> Vec<Left> {
        self.leavers.left(&[self.now])
    }

    fn remember(&mut self, left: Left) {
        let leaver = Leaver::of(left, 0, self.now, 0);
        self.leavers.add(&[self.now], leaver);
    }

    fn lag(&self, slot: Slot) -> i64 {
        let debt = self.turn(slot).map_or(0, |turn| turn.debt(self.now));
        i64::try_from(debt).map_or(i64::MIN, |debt| -debt)
    }
}

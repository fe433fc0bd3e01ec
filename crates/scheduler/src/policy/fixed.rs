// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `fixed`: each VM has its slot in every frame of a table, and nothing else.
//!
//! # Promise
//! - *The same whatever others do.* While units fit their slots, the instants at which a VM may run depend on the table
//!   alone: its units start and end at the same nanosecond whether its neighbours work, sleep or are not there.
//! - *Exactly the slot.* A VM never gets more than its slot; a slot that its owner does not use stays idle.
//! - *Every overrun is paid by its owner.* A unit that runs past its slot makes the table late, and no neighbour's slot
//!   shorter; the owner's next slots are left out until the table is on time again.
//! - *A late driver takes nobody's slot.* Where a timer or the end of a unit is told late, the table waits. What it waited is
//!   made up for out of time that nobody can use, so each VM gets its guarantee of the time that passes as long as there is
//!   enough of that, and otherwise all lose in proportion.
//! - A VM without a guarantee has no slot: it is admitted, and its work waits until it gets one. Slices and priorities do not
//!   count. A limit is kept as with any policy, but never reached: it is not below the guarantee.
//!
//! # Formula
//! - A *frame* is 16 ms of *table time*, one picture at about 60 Hz: 16 ns for each millionth of the engine, so slots are
//!   whole nanoseconds and a full table has no gap. A VM's slot is `16 ns * guarantee in ppm`, in one piece.
//! - A VM that joins gets the first gap that is long enough, and keeps that place. Only if there is room but no such gap, the
//!   table is packed: the slots move together in their order, from the next decision on.
//! - In its slot a VM may start a unit if that fits into what is left (`e`, the longest unit expected), or if it would
//!   not fit into a whole slot either: then it could never run otherwise, and it overruns and pays.
//! - Table time goes with real time, but stands still while a unit runs past its slot by `x`: `x` is its VM's debt. When table
//!   time comes to the slot of a VM in debt, it jumps over as much of the slot as the debt is, which is paid by that.
//! - Table time stands still, too, at the beginning of a slot whose owner waits for it, until that is granted; and at the end
//!   of a unit (where `ran` says that it was) until that is told, in each slot for as long as the slot in all: an endless row of
//!   units of no length must not hold the engine. By so much the table is *behind*. Where the engine would idle, table time
//!   jumps ahead instead, to the next slot that somebody waits for at most, until it is not behind any more.
//!
//! # Bound
//! A slot begins at most one unit late for each VM whose units do not fit (`x < L`), and is never shortened. From
//! one frame to any later one, a VM that is always busy, in units that fill its slot, gets its guarantee of the table's time; real time
//! differs from that by the debts and by what the table is behind. A request that fits the rest of its VM's slot is never
//! interrupted.
//!
//! The end of a slot into which no unit fits stays idle: less than one unit in each frame. A table that is full cannot give it
//! back, whatever the rule: slots that begin at the same instants whatever others do are windows that do not move, there
//! is nothing between them, and what does not fit into its window could only run in somebody else's. So a VM whose units do
//! not divide its slot gets up to `e` less in each frame.
//!
//! # Why it holds
//! 1. Slots do not overlap, as admission keeps the sum of the guarantees within the engine. A unit that fits ends within its
//!    slot, so each slot finds the engine free, and nothing but table time says when it begins.
//! 2. Without debts table time is real time. An overrun stops it for `x`; the debt `x` makes it jump by `x` in all, over slots
//!    of the debtor alone. So the others' slots are late by the debts that are outstanding, and exact again when they are paid.
//! 3. A VM in debt starts nothing before it has paid, so it has one overrun outstanding, less than its longest unit.
//! 4. A driver that is never late finds the table never behind: then 1 to 3 are all there is. Otherwise only the driver moved the
//!    table, by less than a timer and the reports of one slot are late in each slot; and catching up leaves out only time in which
//!    nobody could have begun a unit. Table time never overtakes what it would be under a driver that is never late, so
//!    nobody's slot is gone before its time.
//! 5. What a VM owed when it left is kept by name, and shrinks as if it had stayed: [`super::leavers`].
//!
//! # Tests
//! In `tests/scheduler/`: `fixed.rs` (the table, byte-equal traces, overruns, gaps), `late.rs` (a driver that is late), `every_policy.rs` (books,
//! limits, joining and leaving, determinism, names, the end of the clock). And `tests/steady_state.rs`: no allocation.

use super::leavers::{Leaver, Leavers};
use super::tags::weight_of;
use super::virtual_time::Weight;
use super::{Discipline, Left, Standing};
use crate::estimate::Estimate;
use crate::heap::Heap;
use crate::table::{Slot, make_room};
use crate::{Nanos, Ppm, VmId, VmProfile};

/// Nanoseconds of a frame for each millionth of the engine.
const PER_PART: u64 = 16;
/// The length of a frame: 16 ms.
const FRAME: u64 = PER_PART * Ppm::WHOLE.get() as u64;

/// One VM's slot.
#[derive(Clone, Debug)]
struct Place {
    vm: VmId,
    guarantee: Ppm,
    estimate: Estimate,
    /// Where in the frame it begins.
    start: u64,
    length: u64,
    /// How much of its coming slots is left out.
    debt: u64,
    /// The end of the slot for which `forgiven` counts.
    forgiven_until: u64,
    /// For how long the table has waited in that slot for reports that came late.
    forgiven: u64,
}

impl Place {
    fn weight(&self) -> Weight {
        weight_of(self.guarantee)
    }

    fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// Table time at which the slot begins next, after `time`; at the end of time if there is none.
    fn opening(&self, time: u64) -> u64 {
        if self.length == 0 {
            return u64::MAX;
        }
        let this = (time - time % FRAME).saturating_add(self.start);
        if this > time {
            this
        } else {
            this.saturating_add(FRAME)
        }
    }

    /// Table time at which the slot ends, if `time` is in it. The whole table is a slot without an end.
    fn closing(&self, time: u64) -> Option<u64> {
        let within = time % FRAME;
        if self.length == FRAME {
            Some(u64::MAX)
        } else if self.start <= within && within < self.end() {
            Some((time - within).saturating_add(self.end()))
        } else {
            None
        }
    }

    /// The end of the slot, if the VM may start a unit at `time`.
    fn open_until(&self, time: u64) -> Option<u64> {
        let unit = self.estimate.longest();
        self.closing(time)
            .filter(|end| self.debt == 0 && (unit <= end - time || unit > self.length))
    }
}

/// The VM that has the engine.
#[derive(Clone, Copy, Debug)]
struct Holder {
    slot: Slot,
    /// Table time at which its slot ends.
    until: u64,
    /// Table time at which its unit began.
    began: u64,
    /// How long ago that is.
    passed: u64,
}

/// The state of the policy on one engine.
#[derive(Debug)]
pub(super) struct Fixed {
    vms: Vec<Option<Place>>,
    /// Who is in the table, in order.
    order: Vec<Slot>,
    /// Who owes, by the table time at which its slot begins next.
    owing: Heap,
    /// Queued, by the table time at which they may run next.
    waiting: Heap,
    leavers: Leavers,
    holder: Option<Holder>,
    /// Table time.
    time: u64,
    /// By how much the driver has made the table late.
    behind: u64,
    clock: u64,
    turn: u64,
}

impl Default for Fixed {
    fn default() -> Self {
        Self {
            vms: Vec::new(),
            order: Vec::new(),
            owing: Heap::default(),
            waiting: Heap::default(),
            leavers: Leavers::new(),
            holder: None,
            time: 0,
            behind: 0,
            clock: 0,
            turn: 0,
        }
    }
}

impl Fixed {
    fn place(&self, slot: Slot) -> Option<&Place> {
        self.vms.get(slot.index())?.as_ref()
    }

    fn place_mut(&mut self, slot: Slot) -> Option<&mut Place> {
        self.vms.get_mut(slot.index())?.as_mut()
    }

    fn enqueue(&mut self, slot: Slot) {
        let Some(place) = self.place(slot) else {
            return;
        };
        let at = match place.open_until(self.time) {
            Some(_) => self.time,
            None => place.opening(self.time),
        };
        self.turn = self.turn.wrapping_add(1);
        self.waiting.insert(u128::from(at), self.turn, slot);
    }

    /// Looks again at when a VM may run, and when it pays.
    fn requeue(&mut self, slot: Slot) {
        if self.waiting.remove(slot) {
            self.enqueue(slot);
        }
        if self.owing.remove(slot) {
            self.let_owe(slot);
        }
    }

    /// Remembers a VM until its debt is paid.
    fn let_owe(&mut self, slot: Slot) {
        if let Some(place) = self.place(slot)
            && place.debt > 0
        {
            let opening = u128::from(place.opening(self.time));
            self.turn = self.turn.wrapping_add(1);
            self.owing.insert(opening, self.turn, slot);
        }
    }

    /// Gives a VM that is not in the table a slot of `length`, unless that is nothing.
    fn lay(&mut self, slot: Slot, length: u64) {
        if length == 0 {
            if let Some(place) = self.place_mut(slot) {
                place.length = 0;
            }
            return;
        }
        let mut free = 0;
        let mut at = self.order.len();
        for (n, &other) in self.order.iter().enumerate() {
            let Some(place) = self.place(other) else {
                continue;
            };
            if place.start - free >= length {
                at = n;
                break;
            }
            free = place.end();
        }
        let fits = at < self.order.len() || FRAME.saturating_sub(free) >= length;
        if !fits {
            free = self.pack();
        }
        self.order.insert(at, slot);
        if let Some(place) = self.place_mut(slot) {
            place.start = free;
            place.length = length;
        }
        if !fits {
            for n in 0..self.order.len() {
                self.requeue(self.order[n]);
            }
        }
    }

    /// Moves all slots together; where the last one ends.
    fn pack(&mut self) -> u64 {
        let mut free = 0;
        for n in 0..self.order.len() {
            if let Some(place) = self.place_mut(self.order[n]) {
                place.start = free;
                free = place.end();
            }
        }
        free
    }

    fn take_out(&mut self, slot: Slot) {
        self.order.retain(|&other| other != slot);
    }

    fn owe(&mut self, slot: Slot, debt: u64) {
        if let Some(place) = self.place_mut(slot) {
            place.debt = place.debt.saturating_add(debt);
        }
        if !self.owing.contains(slot) {
            self.let_owe(slot);
        }
    }

    /// The next slot of a VM that owes.
    fn next_payment(&self) -> Option<u64> {
        let (at, _) = self.owing.first()?;
        Some(u64::try_from(at).unwrap_or(u64::MAX))
    }

    /// Jumps over what is owed of the slots that begin now.
    fn settle(&mut self) {
        while self.next_payment().is_some_and(|at| at <= self.time) {
            let Some(slot) = self.owing.pop() else { return };
            if let Some(place) = self.place_mut(slot) {
                let paid = place.debt.min(place.length);
                place.debt -= paid;
                self.time = self.time.saturating_add(paid);
            }
            self.let_owe(slot);
        }
    }

    /// Table time at which the first of those who wait may run; `None` if nobody of them has a slot.
    fn next_opening(&self) -> Option<u64> {
        let (at, _) = self.waiting.first()?;
        u64::try_from(at).ok().filter(|&at| at < u64::MAX)
    }

    /// Lets `passed` real nanoseconds pass while the engine is free. The table goes no further than to a slot that somebody
    /// waits for, until it is granted; and it makes up for what it is late.
    fn walk(&mut self, passed: u64) {
        let mut left = passed.saturating_add(self.behind);
        self.settle();
        while left > 0 {
            let opening = self.next_opening();
            let payment = self.next_payment();
            if opening.is_none() && payment.is_some() && left >= FRAME {
                left -= self.skip_frames(left);
            }
            let next = opening.into_iter().chain(self.next_payment()).min();
            let away = next.map_or(left, |at| at.saturating_sub(self.time));
            if away == 0 {
                break;
            }
            let step = away.min(left);
            self.time = self.time.saturating_add(step);
            left -= step;
            self.settle();
        }
        self.behind = left;
    }

    /// Whole frames in which every debtor leaves out its whole slot, all at once; how much of `passed` they take.
    fn skip_frames(&mut self, passed: u64) -> u64 {
        let (mut frames, mut left_out) = (u64::MAX, 0);
        let debtors = self.order.iter().filter_map(|&slot| self.place(slot));
        for place in debtors.filter(|place| place.debt > 0) {
            frames = frames.min(place.debt / place.length.max(1));
            left_out += place.length;
        }
        let rest = FRAME.saturating_sub(left_out);
        frames = frames.min(passed.checked_div(rest).unwrap_or(0));
        if frames > 0 {
            self.time = self.time.saturating_add(frames.saturating_mul(FRAME));
            for n in 0..self.order.len() {
                let slot = self.order[n];
                if let Some(place) = self.place_mut(slot)
                    && place.debt > 0
                {
                    place.debt -= frames * place.length;
                }
                self.requeue(slot);
            }
        }
        frames * rest
    }

    /// How much of `late` nanoseconds, by which the end of a unit was told late, the table waits for in the slot that ends at
    /// `until`: as much in all as the slot is long, so that nobody keeps the engine with units of no length.
    fn forgive(&mut self, slot: Slot, until: u64, late: u64) -> u64 {
        let Some(place) = self.place_mut(slot) else {
            return 0;
        };
        if place.forgiven_until != until {
            place.forgiven_until = until;
            place.forgiven = 0;
        }
        let late = late.min(place.length.saturating_sub(place.forgiven));
        place.forgiven += late;
        late
    }

    fn hold(&mut self, slot: Slot, until: u64) {
        self.holder = Some(Holder {
            slot,
            until,
            began: self.time,
            passed: 0,
        });
    }

    fn release(&mut self, slot: Slot) {
        if self.holder.is_some_and(|holder| holder.slot == slot) {
            self.holder = None;
        }
    }
}

impl Discipline for Fixed {
    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.clock);
        self.clock = now;
        match &mut self.holder {
            Some(holder) => {
                // What the unit really took is known when it ends; until then this is the best view of it.
                let within = passed.min(holder.until.saturating_sub(self.time));
                holder.passed = holder.passed.saturating_add(passed);
                self.time = self.time.saturating_add(within);
            }
            None => self.walk(passed),
        }
    }

    fn join(&mut self, slot: Slot, vm: VmId, profile: &VmProfile, standing: Standing) {
        if self.vms.len() <= slot.index() {
            let slots = slot.index() + 1;
            make_room(&mut self.vms, slots);
            self.vms.resize(slots, None);
            self.waiting.reserve(slots);
            make_room(&mut self.order, slots);
            self.owing.reserve(slots);
        }
        let weight = weight_of(profile.guarantee);
        let now = u128::from(self.clock);
        let own = self.leavers.take_place(&[now], vm, weight, 0, 0);
        self.vms[slot.index()] = Some(Place {
            vm,
            guarantee: profile.guarantee,
            estimate: Estimate::new(profile),
            start: 0,
            length: 0,
            debt: 0,
            forgiven_until: 0,
            forgiven: 0,
        });
        self.lay(slot, PER_PART * u64::from(profile.guarantee.get()));
        let own = weight.work_in_up(own);
        self.owe(slot, own.max(standing.debt.0));
    }

    fn leave(&mut self, slot: Slot) {
        self.sleep(slot);
        self.take_out(slot);
        self.owing.remove(slot);
        if let Some(place) = self.vms.get_mut(slot.index()).and_then(Option::take) {
            let now = u128::from(self.clock);
            let leaver = Leaver {
                vm: place.vm,
                class: 0,
                until: now.saturating_add(place.weight().stretch_up(place.debt)),
                weight: place.weight(),
                guarantee: place.guarantee,
                part: 0,
            };
            self.leavers.add(&[now], leaver);
        }
    }

    fn set_profile(&mut self, slot: Slot, profile: &VmProfile) {
        let length = PER_PART * u64::from(profile.guarantee.get());
        let Some(place) = self.place_mut(slot) else {
            return;
        };
        place.estimate.set_profile(profile);
        place.guarantee = profile.guarantee;
        if (1..place.length).contains(&length) {
            place.length = length;
        } else if length != place.length {
            self.take_out(slot);
            self.lay(slot, length);
        }
        self.requeue(slot);
    }

    fn set_unit_bound(&mut self, slot: Slot, at_most: Option<Nanos>) {
        if let Some(place) = self.place_mut(slot) {
            place.estimate.set_bound(at_most);
            self.requeue(slot);
        }
    }

    fn wake(&mut self, slot: Slot, _resumed: bool) {
        self.enqueue(slot);
    }

    fn sleep(&mut self, slot: Slot) {
        self.waiting.remove(slot);
        self.release(slot);
    }

    fn charge(&mut self, slot: Slot, ran: Nanos) {
        if let Some(place) = self.place_mut(slot) {
            place.estimate.record(ran.0);
        }
        let Some(holder) = self.holder.filter(|holder| holder.slot == slot) else {
            return;
        };
        let late = self.forgive(slot, holder.until, holder.passed.saturating_sub(ran.0));
        let took = holder.passed - late;
        let within = took.min(holder.until.saturating_sub(holder.began));
        self.time = holder.began.saturating_add(within);
        self.behind = self.behind.saturating_add(late);
        self.owe(slot, took - within);
        self.holder = Some(Holder {
            began: self.time,
            passed: 0,
            ..holder
        });
    }

    fn keeps(&self, slot: Slot) -> bool {
        self.place(slot)
            .is_some_and(|place| place.open_until(self.time).is_some())
    }

    fn put_back(&mut self, slot: Slot, _ends: bool) {
        self.release(slot);
        self.enqueue(slot);
    }

    fn pick(&mut self) -> Option<Slot> {
        self.walk(0);
        while let Some((at, slot)) = self.waiting.first()
            && at <= u128::from(self.time)
        {
            self.waiting.pop();
            let until = self.place(slot)?.open_until(self.time);
            if let Some(until) = until {
                self.hold(slot, until);
                return Some(slot);
            }
            self.enqueue(slot);
            self.walk(0);
        }
        None
    }

    fn adopt(&mut self, slot: Slot) {
        self.waiting.remove(slot);
        let until = self.place(slot).and_then(|place| place.closing(self.time));
        // What runs outside its slot is an overrun.
        self.hold(slot, until.unwrap_or(self.time));
    }

    /// The holder's slot is over, and somebody waits: not necessarily for the next slot, but nobody is served by a longer overrun.
    fn outranked(&mut self) -> bool {
        let over = self.holder.is_some_and(|holder| holder.until <= self.time);
        over && self.waiting.first().is_some()
    }

    fn has_queued(&self) -> bool {
        self.waiting.first().is_some()
    }

    /// What others do not use stays idle.
    fn lendable(&mut self) -> Option<Slot> {
        None
    }

    fn standing(&self, slot: Slot) -> Standing {
        let debt = self.place(slot).map_or(0, |place| place.debt);
        Standing { debt: Nanos(debt) }
    }

    fn left(&self) -> Vec<Left> {
        self.leavers.left(&[u128::from(self.clock)])
    }

    fn remember(&mut self, left: Left) {
        let now = u128::from(self.clock);
        self.leavers.add(&[now], Leaver::of(left, 0, now, 0));
    }

    fn lag(&self, slot: Slot) -> i64 {
        let debt = self.place(slot).map_or(0, |place| place.debt);
        i64::try_from(debt).map_or(i64::MIN, |debt| -debt)
    }

    fn wake_at(&self) -> Option<u64> {
        let (first, _) = self.waiting.first()?;
        if let Some(holder) = self.holder {
            // The slot ends: the unit may have to be cut short.
            let over = holder.until <= self.time || holder.until == u64::MAX;
            return (!over).then(|| self.clock.saturating_add(holder.until - self.time));
        }
        let first = u64::try_from(first).unwrap_or(u64::MAX);
        // Table time jumps where somebody pays: look again there.
        let next = first.min(self.next_payment().unwrap_or(first));
        let away = next.saturating_sub(self.time);
        (next != u64::MAX).then(|| self.clock.saturating_add(away.max(1)))
    }
}

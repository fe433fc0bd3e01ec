// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `fair`: the engine is divided by weight among the VMs that have work.
//!
//! # Promise
//! - *Share.* While a set of VMs is busy, each gets its weight's part of the engine, to within a request and one unit of
//!   somebody else (the bound below). The weight is the guarantee; a VM without one counts as 1 %.
//! - *No waste.* The engine is never idle while a VM has work (and is under its limit).
//! - *Every nanosecond is paid.* What a unit really took is charged. A VM that overran waits until the others have had their
//!   part, and a sleep, a new profile, or leaving and coming back do not change what it owes.
//! - Priorities do not count.
//! - Nothing is kept for a VM that sleeps: what it does not use is gone, and no part of the engine waits for it.
//!
//! # Formula
//! WF2Q+ on the clock of the *active* VMs; rulers, requests and tags are those of `guaranteed.rs`.
//! - Virtual time `V` advances by `1/W` for each nanosecond that the engine works. `W` is the sum of the weights of the
//!   active: of those with work, and of those who sleep or have left *in debt*, until `V` has reached their tag (their
//!   zero-lag time, as with the deferred dequeue of Linux's EEVDF). Otherwise a sleeper's debt would melt on a clock
//!   that runs faster because it sleeps.
//! - On wake `S = max(V, reached)`: debt stays, credit does not.
//! - The engine goes to the smallest `F = S + r/w` among those with `S <= V`; equal ones in turn. It is looked at again
//!   after each unit, and a VM that wakes with a smaller `F` asks for the unit that runs to be cut short.
//! - If everyone with work is ahead, `V` jumps to the smallest `S`. While nobody has work, `V` advances by one for each
//!   nanosecond, as if all of the engine were active.
//!
//! # Bound
//! With `r = max(slice, e)` and `L` the longest unit of any VM: a VM with work is at most `r + L w/W` behind its part and at
//! most `r` ahead of it; at the end of a request it is at most `L w/W`, that is less than `L`, behind. Two VMs that are
//! busy in a window differ by no more than both of these bounds, in work per weight, however long the window is.
//!
//! # Why it holds
//! 1. *Ahead:* a request starts with `S <= V` and takes at most `r`, and `V` never goes back.
//! 2. *Behind:* as in `guaranteed.rs`, step 2, with `W` in the place of 1. Look at a request with finish tag `F` and at
//!    the last moment `t0` before its end at which nobody due had a finish tag up to `F`. What runs from then on, after at
//!    most one unit, lies on the rulers between `V(t0)` and `F`. A VM has at most `w` for each unit of length there, and only where
//!    it was counted in `W`: while it has work, or owes. So all of it is no more than the engine does while `V` moves from
//!    `V(t0)` to `F`, but for that one unit: done when `V <= F + L/W`.
//! 3. *Edges.* `V` is moved by the time that a unit has run so far, and put right by what it took; the remainder of its
//!    divisions is carried while `W` stays. Where `W` changes it is dropped: `V` is late by less than a virtual
//!    nanosecond, which makes nobody due too early, and which the next jump makes up for.
//!
//! # Tests
//! In `tests/scheduler/`: `fair.rs` (shares, lag, debts of sleepers and leavers, weights), `every_policy.rs` (books, no
//! waste, limits, joining and leaving, determinism, names, the end of the clock). And `tests/steady_state.rs`: no
//! allocation.

use super::claims::ClaimQueue;
use super::leavers::{Leaver, Leavers};
use super::tags::{Tags, weight_of};
use super::virtual_time::{Virtual, Weight};
use super::{Discipline, Left, Standing};
use crate::heap::Heap;
use crate::table::Slot;
use crate::{Nanos, VmId, VmProfile};

/// The state of the policy on one engine.
#[derive(Debug)]
pub(super) struct Fair {
    /// All of one class: priorities do not count.
    claims: ClaimQueue<1>,
    /// Asleep in debt, by start tag.
    paying: Heap,
    /// Gone in debt.
    leavers: Leavers,
    /// Sum of the weights of those with work and those asleep in debt.
    active: u32,
    /// Remainder of the divisions that led to the virtual time.
    carried: u32,
    /// The sum of weights by which it was divided.
    divisor: u32,
    clock: u64,
    /// By how much of the unit that runs virtual time has been moved.
    counted: u64,
    /// By how much more than units took in the end.
    surplus: u64,
}

impl Default for Fair {
    fn default() -> Self {
        Self {
            claims: ClaimQueue::default(),
            paying: Heap::default(),
            leavers: Leavers::new(),
            active: 0,
            carried: 0,
            divisor: 0,
            clock: 0,
            counted: 0,
            surplus: 0,
        }
    }
}

impl Fair {
    fn parts(&self, slot: Slot) -> u32 {
        self.claims.tags(slot).map_or(0, |tags| tags.weight.parts())
    }

    fn has_work(&self, slot: Slot) -> bool {
        self.claims.holder() == Some(slot) || self.claims.is_queued(slot)
    }

    /// Begins to count a VM that sleeps in debt until it is paid.
    fn let_pay(&mut self, slot: Slot) {
        if let Some(tags) = self.claims.tags(slot)
            && tags.start > self.claims.now()
        {
            let (start, turn, parts) = (tags.start, tags.turn, tags.weight.parts());
            self.paying.insert(start, turn, slot);
            self.active = self.active.saturating_add(parts);
        }
    }

    /// Stops counting it; whether it was.
    fn end_paying(&mut self, slot: Slot) -> bool {
        let paid = self.paying.remove(slot);
        if paid {
            self.active = self.active.saturating_sub(self.parts(slot));
        }
        paid
    }

    /// Moves virtual time to `to`, and lets go those whose debts end by then.
    fn go(&mut self, to: Virtual) {
        self.claims.advance_to(to);
        let now = self.claims.now();
        while let Some((end, slot)) = self.paying.first()
            && end <= now
        {
            self.end_paying(slot);
        }
        self.leavers.expire(&[now]);
    }

    /// The engine works for `work` ns. Each turn of the loop ends it, or somebody's debt.
    fn serve(&mut self, work: u64) {
        let over = work.min(self.surplus);
        self.surplus -= over;
        let mut left = work - over;
        while left > 0 {
            let parts = self.active.saturating_add(self.leavers.parts());
            let now = self.claims.now();
            let Some(weight) = Weight::of_sum(parts) else {
                return self.go(now.saturating_add(u128::from(left)));
            };
            if self.divisor != parts {
                self.divisor = parts;
                self.carried = 0;
            }
            let (length, carried) = weight.stretch(left, self.carried);
            let to = now.saturating_add(length);
            let paying = self.paying.first().map(|(end, _)| end);
            match paying.into_iter().chain(self.leavers.first_end()).min() {
                Some(end) if end <= to => {
                    left -= weight.work_in(end.saturating_sub(now)).min(left);
                    self.carried = 0;
                    self.go(end);
                }
                _ => {
                    self.carried = carried;
                    return self.go(to);
                }
            }
        }
    }

    fn hold(&mut self, slot: Slot) -> Option<Slot> {
        self.claims.hold(slot);
        self.counted = 0;
        Some(slot)
    }
}

impl Discipline for Fair {
    fn advance(&mut self, now: u64) {
        let passed = now.saturating_sub(self.clock);
        self.clock = now;
        if self.claims.holder().is_some() {
            self.counted = self.counted.saturating_add(passed);
            self.serve(passed);
        } else if passed > 0 {
            self.go(self.claims.now().saturating_add(u128::from(passed)));
        }
    }

    fn join(&mut self, slot: Slot, vm: VmId, profile: &VmProfile, standing: Standing) {
        // Nobody's place is reserved here, so it asks for none: what it gets is its own debt.
        let weight = weight_of(profile.guarantee);
        let now = self.claims.now();
        let own = self.leavers.take_place(&[now], vm, weight, 0, 0);
        let debt = own.max(weight.stretch_up(standing.debt.0));
        let start = now.saturating_add(debt);
        self.claims.join(slot, Tags::new(vm, profile, 0, start));
        self.paying.reserve(slot.index() + 1);
        self.let_pay(slot);
    }

    fn leave(&mut self, slot: Slot) {
        self.sleep(slot);
        self.end_paying(slot);
        if let Some(tags) = self.claims.leave(slot) {
            let leaver = Leaver {
                vm: tags.vm,
                class: 0,
                until: tags.start,
                weight: tags.weight,
                guarantee: tags.guarantee(),
                part: tags.weight.parts(),
            };
            self.leavers.add(&[self.claims.now()], leaver);
        }
    }

    fn set_profile(&mut self, slot: Slot, profile: &VmProfile) {
        let queued = self.claims.dequeue(slot);
        let paying = self.end_paying(slot);
        let (now, old) = (self.claims.now(), self.parts(slot));
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.set_profile(now, profile, true);
        }
        if queued {
            self.claims.place(slot);
        }
        if paying {
            self.let_pay(slot);
        } else if self.has_work(slot) {
            let others = self.active.saturating_sub(old);
            self.active = others.saturating_add(self.parts(slot));
        }
    }

    fn set_unit_bound(&mut self, slot: Slot, at_most: Option<Nanos>) {
        let queued = self.claims.dequeue(slot);
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.estimate.set_bound(at_most);
            if queued {
                tags.begin_request(tags.used.saturating_add(tags.estimate.longest()));
            }
        }
        if queued {
            self.claims.place(slot);
        }
    }

    fn wake(&mut self, slot: Slot, resumed: bool) {
        self.end_paying(slot);
        let now = self.claims.now();
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.wake(now, resumed);
            self.active = self.active.saturating_add(self.parts(slot));
            self.claims.enqueue(slot);
        }
    }

    fn sleep(&mut self, slot: Slot) {
        if !self.has_work(slot) {
            return;
        }
        self.claims.dequeue(slot);
        self.claims.release(slot);
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.end_request();
        }
        self.active = self.active.saturating_sub(self.parts(slot));
        self.let_pay(slot);
    }

    fn charge(&mut self, slot: Slot, ran: Nanos) {
        let more = ran.0.saturating_sub(self.counted);
        self.serve(more);
        let less = self.counted.saturating_sub(ran.0);
        self.surplus = self.surplus.saturating_add(less);
        self.counted = 0;
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.charge(ran.0);
        }
    }

    fn keeps(&self, slot: Slot) -> bool {
        self.claims.tags(slot).is_some_and(|tags| !tags.exhausted())
    }

    fn put_back(&mut self, slot: Slot, ends: bool) {
        self.claims.release(slot);
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.renew(ends);
        }
        self.claims.enqueue(slot);
    }

    fn pick(&mut self) -> Option<Slot> {
        self.claims.let_due();
        if !self.claims.has_due() {
            let (start, _) = self.claims.first_ahead(0)?;
            self.carried = 0;
            self.go(start);
            self.claims.let_due();
        }
        let slot = self.claims.pop_due()?;
        self.hold(slot)
    }

    fn adopt(&mut self, slot: Slot) {
        self.claims.dequeue(slot);
        self.hold(slot);
    }

    fn outranked(&mut self) -> bool {
        self.claims.let_due();
        self.claims.has_earlier_finish()
    }

    fn has_queued(&self) -> bool {
        !self.claims.is_empty()
    }

    fn lendable(&mut self) -> Option<Slot> {
        self.claims.let_due();
        let ahead = || self.claims.first_ahead(0).map(|(_, slot)| slot);
        self.claims.just_due().or_else(ahead)
    }

    fn standing(&self, slot: Slot) -> Standing {
        let now = self.claims.now();
        self.claims
            .tags(slot)
            .map_or_else(Standing::default, |tags| tags.standing(now))
    }

    fn left(&self) -> Vec<Left> {
        self.leavers.left(&[self.claims.now()])
    }

    fn remember(&mut self, left: Left) {
        let now = self.claims.now();
        let parts = weight_of(left.guarantee).parts();
        self.leavers.add(&[now], Leaver::of(left, 0, now, parts));
    }

    fn lag(&self, slot: Slot) -> i64 {
        let lag = self
            .claims
            .tags(slot)
            .map_or(0, |tags| tags.lag(self.claims.now()));
        if lag < 0 || self.has_work(slot) {
            lag
        } else {
            0
        }
    }
}

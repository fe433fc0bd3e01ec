// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `guaranteed`: each VM gets its guarantee whenever it has work, and nothing is left idle for it.
//!
//! # Promise
//! - *Guarantee.* A VM with the share `f` of the engine is served as if it had an engine of its own that is `f` times as
//!   fast, but for one request of somebody else (the bound below). What others do cannot change that.
//! - *No waste.* The engine is never idle while a VM has work (and is under its limit). Time that its owner does not want
//!   is lent, in proportion to the shares of those who want it; a loan is not held against the borrower, and costs the
//!   owner who comes back at most one unit.
//! - *Every nanosecond is paid.* What a unit really took is charged, not what it was expected to take. A VM that overran
//!   waits until the others have had their part; sleeping, leaving and coming back, or a new profile change nothing about it.
//! - A VM without a guarantee gets what is lent, as if it had 1 %; it never delays another by more than one unit.
//! - *Priorities* say to whom time is lent first, and nothing else: a VM of a higher priority gets all of it while it has work,
//!   those of one priority share it, and whoever is below still gets its guarantee, to the nanosecond the same.
//!
//! # In one picture
//! Give every VM a ruler on which its work is laid end to end, each nanosecond of work as long as `1/f`: a VM with a
//! quarter needs four ruler nanoseconds for one of its own. *Virtual time* `V` moves along all rulers at once, as fast as
//! the engine works. A VM whose next work begins behind `V` is *due*: an engine of its own would have begun it by now. A
//! VM whose work begins beyond `V` is *ahead*: it has had more than its guarantee, by that much. Among those who are due,
//! run the one whose work would end first. That is all; the rest is care with the edges.
//!
//! # Formula
//! (WF2Q+ of Bennett and Zhang, on a clock that runs with *reserved* and not with *active* shares.)
//! - A VM's work is cut into *requests* of at most `r` ns: start tag `S`, finish tag `F = S + r/f`.
//! - On wake `S = max(V, reached)`, where `reached = S + used/f` of its last request: debt (`reached > V`) stays.
//! - The engine goes to the smallest `F` among those with `S <= V`; equal ones in turn. It is looked at again after each
//!   unit, and a VM that becomes due in its first request since it woke, with a smaller `F` than the holder's, *asks* for the
//!   engine (whoever else is due): the unit that runs is the holder's last, or the last one that begins within the holder's
//!   `grace`. A VM that never slept and only became due because `V` moved on waits for the end of the holder's request.
//! - A request ends when another unit might not fit (`used + e > r`, `e` being the longest unit expected of the VM); the
//!   next one starts at `reached`, with the true work charged.
//! - `V` advances by one for each nanosecond that the engine works or idles. What is lost around a unit (a change of hands, a
//!   late report) counts too, as far as what nobody was promised pays for it: up to `u/P` in all for a unit of `u`, `P` being
//!   the sum of all shares. If everyone is ahead, `V` jumps to the smallest `S`: time is being lent. So `V` moves at least as
//!   fast as the engine.
//! - Best effort: queued by `S` as with a share of 1 %, and looked at only when nobody with a guarantee is due.
//! - Each priority has a `V` of its own. All of them advance together, but only that of the highest priority that has
//!   work jumps, and those above it along with it. Across priorities, tags are compared by what is left until then. With one
//!   priority that is one `V`.
//! - Another engine may take a VM that waits and is owed nothing (`S >= V`): here it sleeps, and wakes when it comes back.
//! - A request may be ended early: the next one starts at `reached` and is no longer than the one that ended.
//!
//! # Requests and slices
//! The first request after a wake is one unit, `r = e`; each next is twice as long, up to `max(slice, e)`. So an interactive
//! VM has the early finish tag of a small request, and a VM that stays busy keeps the engine for a slice at a time against
//! others with an equal claim, instead of changing hands after each unit. A slice is **not** a non-preemptible stretch: a VM
//! that wakes with the earliest finish tag takes over after the unit that runs, and the holder's request goes on later with its
//! old tags. VMs that are always busy let each other finish: otherwise they would cut each other's slices to pieces, at 75 to 25
//! in three changes of hands where one does. With `slice = 0` each unit is a request, and the rule decides after each.
//!
//! # Bound
//! `L` is the longest *request* of any VM: its longest unit, or its slice if that is longer; with `slice = 0` it is the longest
//! unit. Against a VM that wakes and asks, it is the holder's `grace` and its longest unit. A piece of work of `c` ns that
//! arrives when the VM's own slower engine would be done with what came before (or else queues behind that) ends within
//! **`c'/f + L` of engine time**, where `c'` is `c` with its last request counted whole:
//! - `c' = c` with `slice = 0`, if units are as long as announced (`max_unit`, [`crate::Event::UnitBound`]);
//! - `c' <= c + max(slice, e)` always;
//! - `c' <= 2c + e` too for work that finds the VM idle and out of debt, in units of `e`.
//!
//! That `e` counts, and not the true length, is no weakness of this rule: who does not know how long a unit is cannot
//! promise `c/f + L` for a short one (ten VMs whose units may be long or short, run first, break the bound of the
//! others if they turn out long; run last, their own if they turn out short). "Engine time" excludes the gaps between units
//! while the engine changes hands, as far as they are more than what nobody was promised: `u (1/P - 1)` for each unit `u`.
//! Those slow everybody down alike and move no tag. With smaller gaps the bound holds in real time, with one gap more. A VM with a limit is promised that
//! limit first; the bound holds for VMs without one. Lag while busy: at most `r + f L` behind and `(1 - f) r` ahead.
//!
//! # Why it holds
//! 1. *The tags do not promise too late.* `V` moves at least as fast as time. Let `D` be the time at which the VM's own slower
//!    engine ends the request: `D = max(arrival, D before) + r/f`. By induction on `S = max(V, reached)`, `V(D) >= F`.
//! 2. *What is due by `F` is done by `F + L`.* Look at a request with finish tag `F`, and at the last moment `t0` before its
//!    end at which nobody due had a finish tag of at most `F`. From then on only requests with finish tags up to `F`
//!    run, after at most one request that was running already: `L`. (A request that is cut by a VM that asks goes back to the
//!    queue, and who gets the engine next has the smallest tag of all: there is no second one. Those who are due before the
//!    VM that asks have smaller tags than it and count below.) Those requests start at or after `V(t0)`: they were ahead at
//!    `t0`, or woke later. One VM's requests do not overlap on its ruler, so it has at most `f (F - V(t0))` of them, and all
//!    together at most `P (F - V(t0))`, and admission keeps `P`, the sum of all `f`, at or below 1. Meanwhile somebody is due, so
//!    no `V` jumps and all move at least as fast as the engine works and at most `1/P` times as fast: all of it is done when
//!    `V <= F + L`, a gap after that `L` aside. A request that is
//!    ended early is followed by one that starts where it ended, so requests still do not overlap; and as the next one is
//!    no longer, `c' <= 2c + e` stays.
//! 3. From 1 and 2: the request ends at most `L` after `D`.
//! 4. Priorities only choose whose `V` jumps, and all that step 2 needs of a jump is that nobody is due: then whatever ran
//!    before is forgotten, and forgiving debts down to `V`, of some VMs or of all, puts no more than `f` of anybody between
//!    `V(t0)` and `F`. Step 1 holds for each `V` by itself. A VM that another engine has taken sleeps here; and
//!    while a VM of another engine runs here, this one is idle as far as `V` goes, until an owner wakes: `L` for it.
//! 5. Nobody can get around 2 by leaving and joining: [`super::leavers`]. By a new profile: `reached - V` is converted so
//!    that the *work* owed stays the same, and the reservations in use still add up to at most 1 at every point of the ruler
//!    (a VM whose share grows into the place of one that just left in debt may cost others that one request, once).
//! 6. Rounding: finish tags are rounded up, start tags are exact (the remainder is carried), debts are rounded up. All of it
//!    moves the bound by less than 2 ns.
//!
//! Sleep loses a VM nothing but lateness: what it was owed when it went to sleep is at most what the bound allows
//! to be late (`L`), and its reservation waits for it. Keeping more would let sleepers wake together and be late with others' work.
//!
//! # Tests
//! In `tests/scheduler/`: `guarantee.rs` (the bound, cold start, non-interference, bursts, sleepers, slices), `shares.rs`
//! (shares, slices, lag, no waste, best effort, limits), `debt.rs` (sleep, profiles, leaving), `order.rs` (determinism,
//! names, the end of the clock), `asking.rs` (who may cut a slice), `priority.rs` (the bound under any priorities, who
//! gets what is lent), `contract.rs` (actions and refusals). And `tests/steady_state.rs`: no allocation.

use super::claims::ClaimQueue;
use super::leavers::{Leaver, Leavers};
use super::tags::{Tags, weight_of};
use super::virtual_time::{Virtual, Weight};
use super::{Discipline, Left, Standing};
use crate::heap::Heap;
use crate::table::Slot;
use crate::{Nanos, Ppm, Priority, VmId, VmProfile};

/// How many priorities there are.
const CLASSES: usize = 3;

/// The class of a priority, the highest first.
fn class_of(priority: Priority) -> usize {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

/// The class of a VM that left under another policy, whose priority nobody knows any more.
const UNKNOWN: usize = 1;

/// The state of the policy on one engine.
#[derive(Debug)]
pub(super) struct Guaranteed {
    /// Those with a guarantee are queued here.
    claims: ClaimQueue<CLASSES>,
    /// Those without one are queued here by class, by start tag.
    lent: [Heap; CLASSES],
    /// How many without a guarantee there are in each class.
    lodgers: [usize; CLASSES],
    /// Sum of the guarantees of those who are here, in ppm.
    taken: u32,
    leavers: Leavers,
    /// Virtual time as far as it is certain: work done and idle time.
    served: Virtual,
    /// What of the engine is promised, leavers included. Too much does no harm, but that lost time is made up for more slowly.
    promised: Weight,
    /// Real time of the last event, and of the start of the unit that runs.
    clock: u64,
    unit_began: u64,
}

impl Default for Guaranteed {
    fn default() -> Self {
        Self {
            claims: ClaimQueue::default(),
            lent: std::array::from_fn(|_| Heap::default()),
            lodgers: [0; CLASSES],
            taken: 0,
            leavers: Leavers::new(),
            served: 0,
            promised: Weight::from_parts(Ppm::WHOLE.get()),
            clock: 0,
            unit_began: 0,
        }
    }
}

impl Guaranteed {
    /// Makes room in the queue of those without a guarantee for one more.
    fn lodge(&mut self, slot: Slot, class: usize) {
        self.lodgers[class] += 1;
        self.lent[class].reserve_for(slot.index() + 1, self.lodgers[class]);
    }

    /// The queue in which a VM without a guarantee waits; `None` for one with a guarantee.
    fn lent_to(&mut self, slot: Slot) -> Option<&mut Heap> {
        let tags = self.claims.tags(slot)?;
        (!tags.guaranteed).then_some(&mut self.lent[tags.class()])
    }

    /// Queues a VM behind all others with an equal claim.
    fn enqueue(&mut self, slot: Slot) {
        let turn = self.claims.next_turn();
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.turn = turn;
        }
        self.place(slot);
    }

    /// Queues a VM where it belongs, in the turn it has.
    fn place(&mut self, slot: Slot) {
        match self.claims.tags(slot) {
            Some(tags) if !tags.guaranteed => {
                self.lent[tags.class()].insert(tags.start, tags.turn, slot);
            }
            Some(_) => self.claims.place(slot),
            None => {}
        }
    }

    /// Whether it was queued.
    fn dequeue(&mut self, slot: Slot) -> bool {
        match self.lent_to(slot) {
            Some(lent) => lent.remove(slot),
            None => self.claims.dequeue(slot),
        }
    }

    /// Who of a class the time is lent to while nobody is due, and its start tag.
    fn borrower(&self, class: usize) -> Option<(Virtual, Slot)> {
        let owner = self.claims.first_ahead(class);
        match self.lent[class].first() {
            Some(lent) if owner.is_none_or(|owner| lent.0 < owner.0) => Some(lent),
            _ => owner,
        }
    }

    /// Looks at what is promised, after a change.
    fn look_at_promises(&mut self) {
        let parts = self.taken.saturating_add(self.leavers.parts());
        let parts = if parts == 0 { Ppm::WHOLE.get() } else { parts };
        let promised = Weight::of_sum(parts.min(Ppm::WHOLE.get()));
        if let Some(promised) = promised.filter(|&promised| promised != self.promised) {
            self.promised = promised;
        }
    }

    fn hold(&mut self, slot: Slot) -> Option<Slot> {
        self.claims.hold(slot);
        self.unit_began = self.clock;
        Some(slot)
    }

    /// Lends the engine: nobody is due.
    fn lend(&mut self) -> Option<Slot> {
        let (class, (start, slot)) =
            (0..CLASSES).find_map(|class| Some((class, self.borrower(class)?)))?;
        if start > self.claims.clock(class) {
            self.claims.lend(class, start);
            // What was seen of virtual time is certain now: nobody's claim lies before.
            self.served = self.claims.now();
        }
        self.claims.let_due();
        if let Some(owner) = self.claims.pop_due() {
            return self.hold(owner);
        }
        self.dequeue(slot);
        let now = self.claims.clock(class);
        if let Some(tags) = self.claims.tags_mut(slot)
            && tags.start < now
            && tags.used == 0
        {
            // What is lent cannot be saved up.
            tags.start = now;
            tags.carried = 0;
        }
        self.hold(slot)
    }
}

impl Discipline for Guaranteed {
    fn advance(&mut self, now: u64) {
        let seen = if self.claims.holder().is_some() {
            // What the unit really took is known when it ends; until then this is the best view of it.
            let so_far = now.saturating_sub(self.unit_began);
            self.served.saturating_add(u128::from(so_far))
        } else {
            let idle = now.saturating_sub(self.clock);
            self.served = self.served.saturating_add(u128::from(idle));
            self.served
        };
        self.claims.advance_to(seen);
        self.clock = now;
    }

    fn join(&mut self, slot: Slot, vm: VmId, profile: &VmProfile, standing: Standing) {
        let class = class_of(profile.priority);
        let part = profile.guarantee.get();
        let weight = weight_of(profile.guarantee);
        let clocks = self.claims.clocks();
        let place = self
            .leavers
            .take_place(&clocks, vm, weight, part, self.taken);
        let wait = place.max(weight.stretch_up(standing.debt.0));
        self.taken = self.taken.saturating_add(part);
        let start = clocks[class].saturating_add(wait);
        self.claims.join(slot, Tags::new(vm, profile, class, start));
        if part == 0 {
            self.lodge(slot, class);
        }
        self.look_at_promises();
    }

    fn leave(&mut self, slot: Slot) {
        self.sleep(slot);
        let Some(tags) = self.claims.leave(slot) else {
            return;
        };
        if !tags.guaranteed {
            self.lodgers[tags.class()] -= 1;
        }
        let part = tags.guarantee().get();
        self.taken = self.taken.saturating_sub(part);
        let leaver = Leaver {
            vm: tags.vm,
            class: tags.class(),
            until: tags.start,
            weight: tags.weight,
            guarantee: tags.guarantee(),
            part,
        };
        self.leavers.add(&self.claims.clocks(), leaver);
        self.look_at_promises();
    }

    fn set_profile(&mut self, slot: Slot, profile: &VmProfile) {
        let queued = self.dequeue(slot);
        let Some(tags) = self.claims.tags(slot) else {
            return;
        };
        let old_part = tags.guarantee().get();
        if old_part == 0 {
            self.lodgers[tags.class()] -= 1;
        }
        let class = class_of(profile.priority);
        self.claims.change_class(slot, class);
        let now = self.claims.clock(class);
        if let Some(tags) = self.claims.tags_mut(slot) {
            // A VM that only now gets a guarantee is owed nothing.
            tags.set_profile(now, profile, old_part > 0);
        }
        let part = profile.guarantee.get();
        self.taken = self.taken.saturating_sub(old_part).saturating_add(part);
        if part == 0 {
            self.lodge(slot, class);
        }
        if queued {
            self.place(slot);
        }
        self.look_at_promises();
    }

    fn set_unit_bound(&mut self, slot: Slot, at_most: Option<Nanos>) {
        let queued = self.dequeue(slot);
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.estimate.set_bound(at_most);
            if queued {
                // The request that waits has to be long enough for the unit that will start it, or go on with it.
                tags.begin_request(tags.used.saturating_add(tags.estimate.longest()));
            }
        }
        if queued {
            self.place(slot);
        }
    }

    fn wake(&mut self, slot: Slot, resumed: bool) {
        let now = self.claims.clock_of(slot);
        let Some(tags) = self.claims.tags_mut(slot) else {
            return;
        };
        tags.wake(now, resumed);
        self.enqueue(slot);
    }

    fn sleep(&mut self, slot: Slot) {
        self.dequeue(slot);
        self.claims.release(slot);
        if let Some(tags) = self.claims.tags_mut(slot) {
            tags.end_request();
        }
    }

    fn charge(&mut self, slot: Slot, ran: Nanos) {
        // What was lost around the unit counts too, as far as what nobody was promised pays for it.
        let passed = u128::from(self.clock.saturating_sub(self.unit_began));
        let (most, _) = self.promised.stretch(ran.0, 0);
        let length = passed.min(most).max(u128::from(ran.0));
        self.served = self.served.saturating_add(length);
        self.claims.advance_to(self.served);
        self.unit_began = self.clock;
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
        self.enqueue(slot);
    }

    fn pick(&mut self) -> Option<Slot> {
        self.claims.let_due();
        match self.claims.pop_due() {
            Some(slot) => self.hold(slot),
            None => self.lend(),
        }
    }

    fn adopt(&mut self, slot: Slot) {
        self.dequeue(slot);
        self.hold(slot);
    }

    fn outranked(&mut self) -> bool {
        self.claims.let_due();
        let holder = self.claims.holder().and_then(|slot| self.claims.tags(slot));
        match holder {
            Some(tags) if tags.guaranteed => self.claims.is_asked_for(),
            // It has no claim at all: whoever has one goes first, and so does who comes first when time is lent.
            Some(tags) => {
                self.claims.has_due()
                    || (0..tags.class()).any(|class| self.borrower(class).is_some())
            }
            None => self.claims.has_due(),
        }
    }

    fn has_queued(&self) -> bool {
        !self.claims.is_empty() || self.lent.iter().any(|lent| !lent.is_empty())
    }

    fn lendable(&mut self) -> Option<Slot> {
        self.claims.let_due();
        self.claims.just_due().or_else(|| {
            let (_, slot) = (0..CLASSES).find_map(|class| self.borrower(class))?;
            Some(slot)
        })
    }

    fn standing(&self, slot: Slot) -> Standing {
        let now = self.claims.clock_of(slot);
        self.claims
            .tags(slot)
            .map_or_else(Standing::default, |tags| tags.standing(now))
    }

    fn left(&self) -> Vec<Left> {
        self.leavers.left(&self.claims.clocks())
    }

    fn remember(&mut self, left: Left) {
        let clocks = self.claims.clocks();
        let leaver = Leaver::of(left, UNKNOWN, clocks[UNKNOWN], left.guarantee.get());
        self.leavers.add(&clocks, leaver);
        self.look_at_promises();
    }

    fn lag(&self, slot: Slot) -> i64 {
        let Some(tags) = self.claims.tags(slot) else {
            return 0;
        };
        let lag = tags.lag(self.claims.clock(tags.class()));
        let has_work = self.claims.is_queued(slot) || self.claims.holder() == Some(slot);
        if lag < 0 || (tags.guaranteed && has_work) {
            lag
        } else {
            0
        }
    }
}

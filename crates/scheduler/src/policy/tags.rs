// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One VM on its ruler: where its next request starts and would finish, on the virtual time of the policy that asks.
//!
//! The requests, how they grow, and what the tags are for: the head of `guaranteed.rs`. `fair` cuts work in the same way
//! and lets another clock run beside it.

use super::virtual_time::{Virtual, Weight};
use crate::estimate::Estimate;
use crate::{Nanos, Ppm, VmId, VmProfile};

use super::Standing;

/// The divisor of a VM without a guarantee: as if it had 1 % of the engine.
const WITHOUT_GUARANTEE: Weight = Weight::from_parts(10_000);

/// What a VM counts as: its guarantee, or a small weight instead of none.
pub(super) fn weight_of(guarantee: Ppm) -> Weight {
    Weight::of(guarantee).unwrap_or(WITHOUT_GUARANTEE)
}

/// The number of a class; there are three at most.
fn small(class: usize) -> u8 {
    debug_assert!(class < 256, "class {class}");
    u8::try_from(class).unwrap_or(u8::MAX)
}

/// One VM's tags.
#[derive(Clone, Debug)]
pub(super) struct Tags {
    pub(super) vm: VmId,
    pub(super) weight: Weight,
    /// Whether it has a guarantee. Without one `guaranteed` serves it from what is lent.
    pub(super) guaranteed: bool,
    pub(super) slice: u64,
    pub(super) estimate: Estimate,
    /// Virtual start of the request that is being served or is next.
    pub(super) start: Virtual,
    /// Remainder of the divisions that led to `start`.
    pub(super) carried: u32,
    /// Virtual finish of that request, if it takes as long as it may.
    pub(super) finish: Virtual,
    /// Nanoseconds that the request may take.
    pub(super) request: u64,
    /// Nanoseconds of it that have run.
    pub(super) used: u64,
    /// Its place among equal claims.
    pub(super) turn: u64,
    /// Whether this is the first request after a wake.
    pub(super) fresh: bool,
    /// On whose clock the tags are: see `claims.rs`.
    class: u8,
    /// The grant whose holder it asks for the engine; 0: it does not.
    pub(super) asks_in: u64,
    /// The list of those just due that it is on; 0: none.
    pub(super) level_in: u64,
}

impl Tags {
    /// A VM of `class` that has not run yet and whose first request starts at `start`, or later.
    pub(super) fn new(vm: VmId, profile: &VmProfile, class: usize, start: Virtual) -> Self {
        Self {
            vm,
            weight: weight_of(profile.guarantee),
            guaranteed: profile.guarantee.get() > 0,
            slice: profile.slice.0,
            estimate: Estimate::new(profile),
            start,
            carried: 0,
            finish: start,
            request: 0,
            used: 0,
            turn: 0,
            fresh: true,
            class: small(class),
            asks_in: 0,
            level_in: 0,
        }
    }

    /// On whose clock the tags are.
    pub(super) fn class(&self) -> usize {
        usize::from(self.class)
    }

    /// Puts the tags, as they are, on the clock of another class; on whose they were.
    pub(super) fn replace_class(&mut self, class: usize) -> usize {
        usize::from(std::mem::replace(&mut self.class, small(class)))
    }

    /// Takes over a new profile at the virtual time `now`. With another weight the same work is owed as before, and with
    /// `keeps_credit` the VM is owed the same too.
    pub(super) fn set_profile(&mut self, now: Virtual, profile: &VmProfile, keeps_credit: bool) {
        let (old, new) = (self.weight, weight_of(profile.guarantee));
        self.slice = profile.slice.0;
        self.estimate.set_profile(profile);
        self.guaranteed = profile.guarantee.get() > 0;
        if old == new {
            return;
        }
        self.end_request();
        self.start = if self.start > now {
            now.saturating_add(old.convert(self.start - now, new))
        } else {
            let credit = if keeps_credit {
                old.convert(now - self.start, new)
            } else {
                0
            };
            now.saturating_sub(credit)
        };
        self.carried = 0;
        self.weight = new;
        self.begin_request(self.estimate.longest());
    }

    /// Charges a unit. One of length zero costs one nanosecond of claim: an endless row of them must not hold the engine.
    pub(super) fn charge(&mut self, ran: u64) {
        self.estimate.record(ran);
        self.used = self.used.saturating_add(ran.max(1));
    }

    /// Begins the first request after a sleep at `now` at the earliest: debt stays, and what was not used is not saved.
    pub(super) fn wake(&mut self, now: Virtual, resumed: bool) {
        if self.start < now {
            self.start = now;
            self.carried = 0;
        }
        if resumed {
            self.begin_next_request();
        } else {
            self.begin_request(self.estimate.longest());
        }
        self.fresh = !resumed;
    }

    /// Ends the request if another unit might not fit, or if it `ends` all the same, and begins the next one.
    pub(super) fn renew(&mut self, ends: bool) {
        if self.exhausted() {
            self.end_request();
            self.begin_next_request();
            self.fresh = false;
        } else if ends {
            self.end_request();
            // It was not served whole, so it has not earned a longer one.
            let length = self.request.max(self.estimate.longest());
            self.begin_request(length.min(self.longest_request()));
            self.fresh = false;
        }
    }

    /// The guarantee; none for a VM that only counts as if it had one.
    pub(super) fn guarantee(&self) -> Ppm {
        let parts = if self.guaranteed {
            self.weight.parts()
        } else {
            0
        };
        Ppm::new(parts).unwrap_or(Ppm::WHOLE)
    }

    /// What the VM owes at `now`.
    pub(super) fn standing(&self, now: Virtual) -> Standing {
        let (reached, _) = self.reached();
        Standing {
            debt: Nanos(self.weight.work_in_up(reached.saturating_sub(now))),
        }
    }

    /// Work that is owed to the VM at `now` (positive) or that it owes.
    pub(super) fn lag(&self, now: Virtual) -> i64 {
        let (reached, _) = self.reached();
        let work = |length| i64::try_from(self.weight.work_in(length)).unwrap_or(i64::MAX);
        if reached > now {
            -work(reached - now)
        } else {
            work(now - reached)
        }
    }

    /// Where the VM would start if its request ended here.
    pub(super) fn reached(&self) -> (Virtual, u32) {
        let (length, carried) = self.weight.stretch(self.used, self.carried);
        (self.start.saturating_add(length), carried)
    }

    /// Ends the request where it is: the true work is charged to the tag.
    pub(super) fn end_request(&mut self) {
        (self.start, self.carried) = self.reached();
        self.used = 0;
    }

    pub(super) fn begin_request(&mut self, length: u64) {
        self.request = length;
        self.finish = self.start.saturating_add(self.weight.stretch_up(length));
    }

    /// Twice as long as the last one, as long as a slice and a unit allow.
    pub(super) fn begin_next_request(&mut self) {
        let unit = self.estimate.longest();
        let twice = self.request.saturating_mul(2).max(unit);
        self.begin_request(twice.min(self.longest_request()));
    }

    /// The most that one request may ever take.
    pub(super) fn longest_request(&self) -> u64 {
        self.slice.max(self.estimate.longest())
    }

    /// Whether another unit might not fit into the request.
    pub(super) fn exhausted(&self) -> bool {
        let room = self.request.min(self.longest_request());
        self.used.saturating_add(self.estimate.longest()) > room
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What VMs owed when they left, so that leaving and coming back is not a way out of debt.
//!
//! A VM that leaves ahead of its guarantee has used time of its reservation that is yet to come. If its place were given away
//! at once, the reservations in use would for a while add up to more than the engine, and the bound of everybody else would
//! fall. So the place stays taken until virtual time has reached the leaver's tag (its *zero-lag time*, as Linux's
//! `SCHED_DEADLINE` has it). Nobody is refused for that: a VM that needs such a place joins with its first start tag put
//! off to that time.

use super::tags::weight_of;
use super::virtual_time::{Virtual, Weight};
use super::{Left, Standing};
use crate::{Nanos, Ppm, VmId};

/// A VM that left in debt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaver {
    pub(super) vm: VmId,
    /// Whose clock its tag is on.
    pub(super) class: usize,
    /// Where its tag is: when virtual time gets there, its debt is paid.
    pub(super) until: Virtual,
    pub(super) weight: Weight,
    /// What it was guaranteed.
    pub(super) guarantee: Ppm,
    /// The part of the engine that is still taken.
    pub(super) part: u32,
}

impl Leaver {
    /// One that left under another policy: the same debt, on the clock of `class`, which is at `now`.
    pub(super) fn of(left: Left, class: usize, now: Virtual, part: u32) -> Self {
        let weight = weight_of(left.guarantee);
        Self {
            vm: left.vm,
            class,
            until: now.saturating_add(weight.stretch_up(left.standing.debt.0)),
            weight,
            guarantee: left.guarantee,
            part,
        }
    }

    /// How much virtual time it takes until its debt is paid.
    fn remains(&self, clocks: &[Virtual]) -> Virtual {
        let now = clocks.get(self.class).copied().unwrap_or(self.until);
        self.until.saturating_sub(now)
    }

    fn left(&self, clocks: &[Virtual]) -> Left {
        // With those that were merged the guarantee is more than the weight. The place must not become free too early.
        let weight = Weight::of(self.guarantee)
            .filter(|guarantee| guarantee.parts() > self.weight.parts())
            .unwrap_or(self.weight);
        let debt = weight.work_in_up(self.remains(clocks));
        Left {
            vm: self.vm,
            guarantee: self.guarantee,
            standing: Standing { debt: Nanos(debt) },
        }
    }
}

/// The last VMs that left in debt.
#[derive(Clone, Debug)]
pub(super) struct Leavers {
    list: Vec<Leaver>,
}

impl Leavers {
    /// How many are told apart. With more, the two whose debts end first are merged: later than needed, never too early.
    const ROOM: usize = 64;

    pub(super) fn new() -> Self {
        Self {
            list: Vec::with_capacity(Self::ROOM),
        }
    }

    /// Remembers a VM that left, if it owes anything.
    pub(super) fn add(&mut self, clocks: &[Virtual], leaver: Leaver) {
        self.expire(clocks);
        if leaver.remains(clocks) == 0 {
            return;
        }
        if self.list.len() == Self::ROOM {
            self.sort(clocks);
            let first = self.list.remove(0);
            if let Some(second) = self.list.first_mut() {
                second.part = second.part.saturating_add(first.part);
                let sum = second.guarantee.get().saturating_add(first.guarantee.get());
                second.guarantee = Ppm::new(sum).unwrap_or(Ppm::WHOLE);
            }
        }
        self.list.push(leaver);
    }

    /// By when their debts are paid.
    fn sort(&mut self, clocks: &[Virtual]) {
        self.list
            .sort_unstable_by_key(|leaver| leaver.remains(clocks));
    }

    /// What they owe.
    pub(super) fn left(&self, clocks: &[Virtual]) -> Vec<Left> {
        let in_debt = self.list.iter().filter(|leaver| leaver.remains(clocks) > 0);
        in_debt.map(|leaver| leaver.left(clocks)).collect()
    }

    /// Forgets those whose debt is paid.
    pub(super) fn expire(&mut self, clocks: &[Virtual]) {
        self.list.retain(|leaver| leaver.remains(clocks) > 0);
    }

    /// The parts that are still taken.
    pub(super) fn parts(&self) -> u32 {
        self.list
            .iter()
            .fold(0, |sum, leaver| sum.saturating_add(leaver.part))
    }

    /// When the first of them has paid, if they are all of one class.
    pub(super) fn first_end(&self) -> Option<Virtual> {
        self.list.iter().map(|leaver| leaver.until).min()
    }

    /// How much later than now the start tag of `vm` is at least, which joins with `weight` and the guarantee `part`, when
    /// those who are here hold `taken` parts without it.
    pub(super) fn take_place(
        &mut self,
        clocks: &[Virtual],
        vm: VmId,
        weight: Weight,
        part: u32,
        taken: u32,
    ) -> Virtual {
        self.expire(clocks);
        let mut wait = 0;
        // Its own debt first: the same work, at the new share.
        if let Some(at) = self.list.iter().position(|leaver| leaver.vm == vm) {
            let own = self.list.swap_remove(at);
            wait = own.weight.convert(own.remains(clocks), weight);
        }
        let mut missing = taken
            .saturating_add(part)
            .saturating_add(self.parts())
            .saturating_sub(Ppm::WHOLE.get());
        if missing > 0 && part > 0 {
            self.sort(clocks);
        }
        for leaver in &mut self.list {
            if missing == 0 || part == 0 {
                break;
            }
            let got = missing.min(leaver.part);
            if got > 0 {
                leaver.part -= got;
                // Another policy must not give it back what somebody waits for already.
                let kept = leaver.guarantee.get().saturating_sub(got);
                leaver.guarantee = Ppm::new(kept).unwrap_or(leaver.guarantee);
                missing -= got;
                wait = wait.max(leaver.remains(clocks));
            }
        }
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u32 = 500_000;

    fn half() -> Weight {
        Weight::from_parts(HALF)
    }

    fn leaver(vm: u32, until: Virtual, part: u32) -> Leaver {
        Leaver {
            vm: VmId(vm),
            class: 0,
            until,
            weight: Weight::from_parts(part),
            guarantee: Ppm::new(part).unwrap(),
            part,
        }
    }

    #[test]
    fn given_a_leaver_in_debt_when_its_place_is_needed_then_the_new_vm_starts_after_the_debt() {
        let mut leavers = Leavers::new();
        leavers.add(&[100], leaver(1, 900, HALF));
        assert_eq!(leavers.take_place(&[100], VmId(2), half(), HALF, HALF), 800);
    }

    #[test]
    fn given_a_leaver_in_debt_when_there_is_room_beside_it_then_the_new_vm_starts_now() {
        let mut leavers = Leavers::new();
        leavers.add(&[100], leaver(1, 900, HALF));
        assert_eq!(leavers.take_place(&[100], VmId(2), half(), HALF, 0), 0);
    }

    #[test]
    fn given_a_leaver_in_debt_when_it_comes_back_then_it_owes_the_same_work() {
        let mut leavers = Leavers::new();
        leavers.add(&[100], leaver(1, 900, HALF));
        // 800 virtual ns at one half are 400 ns of work, and 1,600 virtual ns at a quarter.
        let quarter = Weight::from_parts(250_000);
        assert_eq!(
            leavers.take_place(&[100], VmId(1), quarter, 250_000, 0),
            1_600
        );
    }

    #[test]
    fn given_more_leavers_than_are_told_apart_then_no_part_becomes_free_early() {
        let mut leavers = Leavers::new();
        for vm in 0..1_000 {
            leavers.add(&[0], leaver(vm, 1_000 + u128::from(vm), 1_000));
        }
        // All of the engine is still taken, so a VM that needs all of it waits for the last debt.
        let whole = Weight::from_parts(1_000_000);
        assert_eq!(
            leavers.take_place(&[0], VmId(5_000), whole, 1_000_000, 0),
            1_999
        );
    }

    #[test]
    fn given_leavers_when_another_policy_remembers_them_then_they_owe_the_same_work() {
        let mut leavers = Leavers::new();
        leavers.add(&[100], leaver(1, 901, HALF));
        leavers.add(&[100], leaver(2, 150, 250_000));
        let left = leavers.left(&[150]);
        // 751 virtual ns at one half, rounded up; the other one has paid.
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].standing.debt, Nanos(376));
        let mut others = Leavers::new();
        others.add(&[7_000], Leaver::of(left[0], 0, 7_000, HALF));
        assert_eq!(
            others.take_place(&[7_000], VmId(2), half(), HALF, HALF),
            752
        );
    }

    #[test]
    fn given_merged_leavers_when_another_policy_remembers_them_then_no_place_becomes_free_early() {
        let mut leavers = Leavers::new();
        for vm in 0..100 {
            leavers.add(&[0], leaver(vm, 1_000_000 + u128::from(vm), 10_000));
        }
        let mut others = Leavers::new();
        for left in leavers.left(&[0]) {
            others.add(&[0], Leaver::of(left, 0, 0, left.guarantee.get()));
        }
        let whole = Weight::from_parts(1_000_000);
        assert_eq!(others.parts(), 1_000_000);
        assert!(others.take_place(&[0], VmId(500), whole, 1_000_000, 0) >= 1_000_099);
    }

    #[test]
    fn given_leavers_of_two_classes_when_one_clock_is_ahead_then_each_pays_on_its_own() {
        let mut leavers = Leavers::new();
        leavers.add(&[100, 600], leaver(1, 900, HALF));
        let other = Leaver {
            class: 1,
            ..leaver(2, 900, HALF)
        };
        leavers.add(&[100, 600], other);
        // The second one's place is free first.
        assert_eq!(
            leavers.take_place(&[100, 600], VmId(3), half(), HALF, 0),
            300
        );
        leavers.expire(&[900, 1_400]);
        assert_eq!(leavers.parts(), 0);
    }
}

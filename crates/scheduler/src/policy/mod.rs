// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between the mechanism (who is here, what they hold, what they used) and a rule that says who is next.

mod best_effort;
mod claims;
mod fair;
mod fixed;
mod guaranteed;
mod leavers;
mod tags;
mod virtual_time;

use std::fmt;

use crate::table::Slot;
use crate::{Nanos, Ppm, VmId, VmProfile};

use best_effort::BestEffort;
use fair::Fair;
use fixed::Fixed;
use guaranteed::Guaranteed;

/// How VMs share an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Each VM gets at least its guarantee whenever it has work, and what others do not use is lent. The promise, the
    /// rule, the bound and its proof open `policy/guaranteed.rs`.
    #[default]
    Guaranteed,
    /// Each VM has its slot in every frame of a table, and nothing else: what others do changes neither when it may run nor
    /// for how long, and a slot that its owner does not use stays idle. A VM without a guarantee has no slot, and waits until it
    /// gets one. `policy/fixed.rs`.
    Fixed,
    /// The engine is divided by weight among the VMs that have work; nothing is kept for those who sleep.
    /// `policy/fair.rs`.
    Fair,
    /// VMs with work take turns of a slice each. No share is promised, no debt is kept. `policy/best_effort.rs`.
    BestEffort,
}

impl Policy {
    /// A fresh instance for one engine.
    pub(crate) fn discipline(self) -> Box<dyn Discipline> {
        match self {
            Self::Guaranteed => Box::new(Guaranteed::default()),
            Self::Fixed => Box::new(Fixed::default()),
            Self::Fair => Box::new(Fair::default()),
            Self::BestEffort => Box::new(BestEffort::default()),
        }
    }
}

/// What a VM brings along when it comes to an engine, or to another policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// GPU nanoseconds that it owes.
    pub(crate) debt: Nanos,
}

/// A VM that left in debt: its place stays taken until the debt is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) vm: VmId,
    pub(crate) guarantee: Ppm,
    pub(crate) standing: Standing,
}

/// A queueing discipline: the order in which VMs with work get one engine.
///
/// The scheduler calls [`Discipline::advance`] before anything else with the time of each event, and never names a slot
/// that has not joined. A slot is asleep, queued, or the holder of the engine. A VM that another engine has taken for a while
/// is asleep here; the engine that took it has it in no slot, and is held by nobody as far as its discipline knows.
pub(crate) trait Discipline: fmt::Debug + Send {
    /// Time (since the first event, in nanoseconds) has come to `now`.
    fn advance(&mut self, now: u64);
    /// A VM joins, asleep.
    fn join(&mut self, slot: Slot, vm: VmId, profile: &VmProfile, standing: Standing);
    /// A VM leaves, whatever it was doing; what it owes is remembered as long as it matters.
    fn leave(&mut self, slot: Slot);
    /// What a VM was promised changes; what it owes does not.
    fn set_profile(&mut self, slot: Slot, profile: &VmProfile);
    /// The units of a VM that start from now on are at most so long.
    fn set_unit_bound(&mut self, slot: Slot, at_most: Option<Nanos>);
    /// A sleeping VM has work: it is queued. `resumed`: it had work all the time, and its limit or a loan kept it away.
    fn wake(&mut self, slot: Slot, resumed: bool);
    /// A VM, queued or holder, has no work, or may not run for now, or runs elsewhere: it sleeps.
    fn sleep(&mut self, slot: Slot);
    /// The holder ran for `ran`.
    fn charge(&mut self, slot: Slot, ran: Nanos);
    /// Whether the holder should run another unit without any decision being due, whoever waits.
    fn keeps(&self, slot: Slot) -> bool;
    /// The holder has more work, but a decision is due: it is queued. `ends`: its request ends here, though another unit
    /// might fit.
    fn put_back(&mut self, slot: Slot, ends: bool);
    /// Takes the VM that is next out of the queue and makes it the holder; `None` if none is queued.
    fn pick(&mut self) -> Option<Slot>;
    /// A queued VM, no other than this one, is the holder without having been picked: it has been running when the policy came.
    fn adopt(&mut self, slot: Slot);
    /// Whether a queued VM has a better claim than the holder.
    fn outranked(&mut self) -> bool;
    /// Whether any VM is queued.
    fn has_queued(&self) -> bool;
    /// A queued VM that is owed nothing, so that another engine may have it: the one with the best claim among those.
    fn lendable(&mut self) -> Option<Slot>;
    /// GPU nanoseconds that a VM is owed (positive) or owes (negative).
    fn lag(&self, slot: Slot) -> i64;
    /// What a VM takes along to another engine or policy.
    fn standing(&self, slot: Slot) -> Standing;
    /// What VMs that left still owe.
    fn left(&self) -> Vec<Left>;
    /// Remembers a VM that left in debt under another policy.
    fn remember(&mut self, left: Left);
    /// When it has to be asked again though nothing happens: a time after the last one told; `None`: never.
    fn wake_at(&self) -> Option<u64> {
        None
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The VM's processes and contexts, and what happens to them.

use super::band::{InForce, Tier, Tiers};
use super::floor::NormalFloor;
use super::forest::{Forest, Root};
use super::members::{
    Context, ContextPlace, Process, Share, Starts, TierQueues, Unit, ahead_in, parts_of,
};
use super::turn::{Place, QUANTUM_PARTS, Turn};
use super::{Band, BandSettings, ContextId, ContextProperties, InsideError, ProcessId};
use crate::Nanos;
use crate::table::{Slot, Table};

/// The scheduler inside one VM. See [the module](super).
///
/// The caller tells which contexts have work, brackets each unit with [`unit_begins`](Self::unit_begins) and
/// [`unit_done`](Self::unit_done), and runs one unit at a time.
#[derive(Clone, Debug)]
pub struct ContextScheduler {
    pub(super) settings: InForce,
    /// What the next yield check puts in force, if it is anything new.
    pub(super) next_settings: Option<InForce>,
    processes: Table<Process, ProcessId>,
    pub(super) contexts: Table<Context, ContextId>,
    pub(super) shares: Table<Share, (u32, Tier)>,
    context_places: Forest<ContextPlace>,
    share_places: Forest<Place>,
    pub(super) tiers: TierQueues,
    /// The tiers that have something ready.
    pub(super) ready: Tiers,
    pub(super) floor: NormalFloor,
    pub(super) check_due: bool,
    /// The context that ran last, as long as it is ready.
    pub(super) runner: Option<Slot>,
    /// When its grace ends, if it lost its place, on the VM's clock.
    pub(super) grace_ends: Option<u64>,
    /// Time that the VM has run; each unit counts as a nanosecond at least.
    pub(super) clock: u64,
    unit: Option<Unit>,
    arrivals: u64,
    charged: [u64; 4],
}

impl ContextScheduler {
    /// A VM without processes. Settings out of range are brought into it.
    #[must_use]
    pub fn new(settings: BandSettings) -> Self {
        let settings = BandSettings {
            normal_percentage: settings.normal_percentage.min(50),
            process_quantum: settings
                .process_quantum
                .map(|quantum| quantum.max(Nanos(1))),
            ..settings
        };
        Self {
            settings: InForce::new(settings),
            next_settings: None,
            processes: Table::new(),
            contexts: Table::new(),
            shares: Table::new(),
            context_places: Forest::new(),
            share_places: Forest::new(),
            tiers: TierQueues::default(),
            ready: Tiers::default(),
            floor: NormalFloor::default(),
            check_due: true,
            runner: None,
            grace_ends: None,
            clock: 0,
            unit: None,
            arrivals: 0,
            charged: [0; 4],
        }
    }

    /// Sets up the bands anew; in force from the next yield check on.
    ///
    /// # Errors
    /// Those of [`BandSettings::check`].
    pub fn set_up_bands(&mut self, settings: BandSettings) -> Result<(), InsideError> {
        settings.check()?;
        self.next_settings = Some(InForce::new(settings));
        Ok(())
    }

    /// A process comes.
    ///
    /// # Errors
    /// [`InsideError::ProcessIsKnown`], [`InsideError::Full`].
    pub fn add_process(&mut self, process: ProcessId) -> Result<(), InsideError> {
        if self.processes.slot(process).is_some() {
            return Err(InsideError::ProcessIsKnown(process));
        }
        let new = Process {
            contexts: 0,
            charged: 0,
        };
        self.processes
            .insert(process, new)
            .map(|_| ())
            .ok_or(InsideError::Full)
    }

    /// A process goes.
    ///
    /// # Errors
    /// [`InsideError::UnknownProcess`], [`InsideError::ProcessHasContexts`].
    pub fn remove_process(&mut self, process: ProcessId) -> Result<(), InsideError> {
        let slot = self.process(process)?;
        let contexts = self.processes.get(slot).map_or(0, |found| found.contexts);
        if contexts > 0 {
            return Err(InsideError::ProcessHasContexts { process, contexts });
        }
        for tier in Tier::all() {
            self.shares.remove((slot.0, tier));
        }
        self.processes.remove(process);
        if let Some(unit) = &mut self.unit
            && unit.process == Some(slot)
        {
            unit.process = None;
            unit.share = None;
        }
        Ok(())
    }

    /// A context comes, resumed and without work.
    ///
    /// # Errors
    /// [`InsideError::UnknownProcess`], [`InsideError::ContextIsKnown`], [`InsideError::ZeroQuantum`],
    /// [`InsideError::Full`].
    pub fn add_context(
        &mut self,
        process: ProcessId,
        context: ContextId,
        properties: ContextProperties,
    ) -> Result<(), InsideError> {
        properties.check()?;
        let process = self.process(process)?;
        if self.contexts.slot(context).is_some() {
            return Err(InsideError::ContextIsKnown(context));
        }
        let share = self.share_of(process, properties.tier())?;
        self.make_room(share, properties);
        let new = Context {
            id: context,
            process,
            share,
            properties,
            turn: Turn::default(),
            remainder: 0,
            has_work: false,
            suspended: false,
            charged: 0,
        };
        self.contexts
            .insert(context, new)
            .ok_or(InsideError::Full)?;
        self.context_places.make_room(self.contexts.slots());
        if let Some(owner) = self.processes.get_mut(process) {
            owner.contexts = owner.contexts.saturating_add(1);
        }
        Ok(())
    }

    /// A context goes, with or without work.
    ///
    /// # Errors
    /// [`InsideError::UnknownContext`].
    pub fn remove_context(&mut self, context: ContextId) -> Result<(), InsideError> {
        let slot = self.context(context)?;
        self.change(slot, |gone| gone.has_work = false);
        if let Some(unit) = &mut self.unit
            && unit.context == Some(slot)
        {
            unit.context = None;
        }
        let process = self.contexts.get(slot).map(|gone| gone.process);
        if let Some(owner) = process.and_then(|process| self.processes.get_mut(process)) {
            owner.contexts = owner.contexts.saturating_sub(1);
        }
        self.contexts.remove(context);
        Ok(())
    }

    /// A context is scheduled otherwise, from the next unit boundary on. What it had ahead of others it keeps.
    ///
    /// # Errors
    /// [`InsideError::UnknownContext`], [`InsideError::ZeroQuantum`], [`InsideError::Full`].
    pub fn set_properties(
        &mut self,
        context: ContextId,
        properties: ContextProperties,
    ) -> Result<(), InsideError> {
        properties.check()?;
        let slot = self.context(context)?;
        let Some(&old) = self.contexts.get(slot) else {
            return Ok(());
        };
        let share = self.share_of(old.process, properties.tier())?;
        self.make_room(share, properties);
        let rank = properties.priority.rank();
        let quanta = (old.properties.quantum.0, properties.quantum.0);
        let moves = share != old.share || rank != old.rank() || quanta.0 != quanta.1;
        let (from, to) = (self.start(old.share, old.rank()), self.start(share, rank));
        let arrival = self.arrival();
        if old.is_ready() && moves {
            self.leave(slot, share != old.share);
        }
        if let Some(changed) = self.contexts.get_mut(slot) {
            changed.properties = properties;
            changed.share = share;
            if moves {
                changed.remainder = 0;
                changed.turn.carry(from, to, arrival, |ahead| {
                    ahead_in(quanta.1, ahead, quanta.0, old.remainder)
                });
            }
        }
        if old.is_ready() && moves {
            self.enter(slot);
        }
        Ok(())
    }

    /// A context has work. No change if it had.
    ///
    /// # Errors
    /// [`InsideError::UnknownContext`].
    pub fn ready(&mut self, context: ContextId) -> Result<(), InsideError> {
        let slot = self.context(context)?;
        self.change(slot, |found| found.has_work = true);
        Ok(())
    }

    /// A context has no work. No change if it had none.
    ///
    /// # Errors
    /// [`InsideError::UnknownContext`].
    pub fn idle(&mut self, context: ContextId) -> Result<(), InsideError> {
        let slot = self.context(context)?;
        self.change(slot, |found| found.has_work = false);
        Ok(())
    }

    /// A context runs no more units, without grace, until it is resumed; work may come to it. Returns whether it was not
    /// suspended already. A unit of it that runs is still to be reported.
    ///
    /// # Errors
    /// [`InsideError::UnknownContext`].
    pub fn suspend(&mut self, context: ContextId) -> Result<bool, InsideError> {
        let slot = self.context(context)?;
        let mut was = false;
        self.change(slot, |found| {
            was = std::mem::replace(&mut found.suspended, true);
        });
        Ok(!was)
    }

    /// A suspended context has its turns back. Returns whether it was suspended.
    ///
    /// # Errors
    /// [`InsideError::UnknownContext`].
    pub fn resume(&mut self, context: ContextId) -> Result<bool, InsideError> {
        let slot = self.context(context)?;
        let mut was = false;
        self.change(slot, |found| {
            was = std::mem::replace(&mut found.suspended, false);
        });
        Ok(was)
    }

    /// A present of the application in the foreground is complete: a yield check is made at the next unit boundary.
    pub const fn focus_present(&mut self) {
        self.check_due = true;
    }

    /// Whether some context has work and is not suspended.
    #[must_use]
    pub const fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// A unit begins now. Returns whose, or `None` if no context is ready.
    pub fn unit_begins(&mut self) -> Option<ContextId> {
        let choice = self.choose()?;
        let context = *self.contexts.get(choice.context)?;
        let tier = self.shares.get(context.share)?.tier;
        if self.check_due {
            if let Some(next) = self.next_settings.take() {
                self.settings = next;
            }
            self.check_due = false;
        }
        self.floor.set_yielding(choice.yielding);
        self.grace_ends = choice.grace_ends;
        if choice.grace_ends.is_none() {
            self.begin_turns(choice.context, context.share);
        }
        self.runner = Some(choice.context);
        self.unit = Some(Unit {
            context: Some(choice.context),
            share: Some(context.share),
            process: Some(context.process),
            tier,
            waited: self.ready,
        });
        Some(context.id)
    }

    /// The unit that [`Self::unit_begins`] began has ended after `ran`. No change if there is none.
    pub fn unit_done(&mut self, ran: Nanos) {
        let Some(unit) = self.unit.take() else {
            debug_assert!(false, "no unit has begun");
            return;
        };
        let band = unit.tier.band();
        let total = &mut self.charged[band.index()];
        *total = total.saturating_add(ran.0);
        if let Some(process) = unit.process.and_then(|slot| self.processes.get_mut(slot)) {
            process.charged = process.charged.saturating_add(ran.0);
        }
        if let Some(context) = unit.context.and_then(|slot| self.contexts.get_mut(slot)) {
            context.charged = context.charged.saturating_add(ran.0);
        }
        // A unit that took no time has had its turn nevertheless.
        let ran = ran.0.max(1);
        self.clock = self.clock.saturating_add(ran);
        let percentage = self.settings.get().normal_percentage;
        match band {
            Band::Focus => {
                let normal_waited = unit.waited.has(Tier::NORMAL);
                self.floor.focus_ran(ran, percentage, normal_waited);
            }
            Band::Normal => {
                let focus_waited = unit.waited.has(Tier::FOCUS);
                self.floor.normal_ran(ran, percentage, focus_waited);
                if !self.ready.has(Tier::NORMAL) {
                    self.floor.normal_stopped();
                }
            }
            Band::Idle | Band::Realtime => {}
        }
        if let Some(slot) = unit.context {
            self.charge_context(slot, ran);
        }
        if let Some(slot) = unit.share {
            self.charge_share(
                slot,
                ran,
                self.settings.get().process_quantum[band.index()].0,
            );
        }
    }

    /// Time that the contexts of a band have run.
    #[must_use]
    pub const fn band_time(&self, band: Band) -> Nanos {
        Nanos(self.charged[band.index()])
    }

    /// Time that a process' contexts have run.
    #[must_use]
    pub fn process_time(&self, process: ProcessId) -> Option<Nanos> {
        let slot = self.processes.slot(process)?;
        self.processes.get(slot).map(|found| Nanos(found.charged))
    }

    /// Time that a context has run.
    #[must_use]
    pub fn context_time(&self, context: ContextId) -> Option<Nanos> {
        let slot = self.contexts.slot(context)?;
        self.contexts.get(slot).map(|found| Nanos(found.charged))
    }

    fn process(&self, process: ProcessId) -> Result<Slot, InsideError> {
        self.processes
            .slot(process)
            .ok_or(InsideError::UnknownProcess(process))
    }

    fn context(&self, context: ContextId) -> Result<Slot, InsideError> {
        self.contexts
            .slot(context)
            .ok_or(InsideError::UnknownContext(context))
    }

    /// A process' share of a tier; it comes with the first context there and goes with the process.
    fn share_of(&mut self, process: Slot, tier: Tier) -> Result<Slot, InsideError> {
        if let Some(share) = self.shares.slot((process.0, tier)) {
            return Ok(share);
        }
        let new = Share {
            tier,
            turn: Turn::default(),
            contexts: Root::default(),
            starts: Starts::default(),
        };
        let share = self.shares.insert((process.0, tier), new);
        self.share_places.make_room(self.shares.slots());
        self.tiers.make_room(tier);
        share.ok_or(InsideError::Full)
    }

    /// Makes room for a context in a share, so that nothing is allocated when its turn begins.
    fn make_room(&mut self, share: Slot, properties: ContextProperties) {
        if let Some(share) = self.shares.get_mut(share) {
            share.starts.make_room(properties.priority.rank());
        }
    }

    fn start(&self, share: Slot, rank: u8) -> u64 {
        self.shares
            .get(share)
            .map_or(0, |found| found.starts.get(rank))
    }

    fn arrival(&mut self) -> u64 {
        self.arrivals = self.arrivals.wrapping_add(1);
        self.arrivals
    }

    /// Changes whether a context is ready, in one way or another.
    fn change(&mut self, slot: Slot, change: impl FnOnce(&mut Context)) {
        let Some(context) = self.contexts.get_mut(slot) else {
            return;
        };
        let before = context.is_ready();
        change(context);
        let after = context.is_ready();
        if !before && after {
            self.enter(slot);
        } else if before && !after {
            self.leave(slot, true);
            if self.runner == Some(slot) {
                self.runner = None;
                self.grace_ends = None;
            }
        }
    }

    /// A context becomes one of those that are ready.
    fn enter(&mut self, slot: Slot) {
        let arrival = self.arrival();
        let Some(context) = self.contexts.get_mut(slot) else {
            return;
        };
        let Some(share) = self.shares.get_mut(context.share) else {
            return;
        };
        let start = share.starts.get(context.rank());
        context.turn.enter(start, QUANTUM_PARTS, arrival);
        self.context_places
            .insert(&mut share.contexts, slot, context.place());
        if !self.share_places.is_queued(context.share) {
            let queue = self.tiers.at(share.tier);
            let quantum = self.settings.get().process_quantum[share.tier.band().index()].0;
            share.turn.enter(queue.start, quantum, arrival);
            self.share_places
                .insert(&mut queue.shares, context.share, share.turn.place());
            self.ready.add(share.tier);
        }
    }

    /// A context is not one of those that are ready any more; its turn is over. If it was the last of its process there and
    /// `for_good`, so is the process's.
    fn leave(&mut self, slot: Slot, for_good: bool) {
        let Some(context) = self.contexts.get_mut(slot) else {
            return;
        };
        let Some(share) = self.shares.get_mut(context.share) else {
            return;
        };
        context.turn.end();
        self.context_places.remove(&mut share.contexts, slot);
        if !for_good || share.contexts.first().is_some() {
            return;
        }
        let tier = share.tier;
        let queue = self.tiers.at(tier);
        share.turn.end();
        self.share_places.remove(&mut queue.shares, context.share);
        self.check_due = true;
        if queue.shares.first().is_none() {
            self.ready.take(tier);
            if tier == Tier::NORMAL {
                self.floor.normal_stopped();
            }
        }
    }

    /// The turns of a context and its process begin, unless they are under way.
    fn begin_turns(&mut self, slot: Slot, share_slot: Slot) {
        let Some(share) = self.shares.get_mut(share_slot) else {
            return;
        };
        let queue = self.tiers.at(share.tier);
        if share.turn.begin() {
            queue.start = queue.start.max(share.turn.tag());
            self.share_places
                .change_key(&mut queue.shares, share_slot, share.turn.place());
        }
        let Some(context) = self.contexts.get_mut(slot) else {
            return;
        };
        if context.turn.begin() {
            let start = share.starts.at(context.rank());
            *start = (*start).max(context.turn.tag());
            self.context_places
                .change_key(&mut share.contexts, slot, context.place());
        }
    }

    fn charge_context(&mut self, slot: Slot, ran: u64) {
        let arrival = self.arrival();
        let Some(context) = self.contexts.get_mut(slot) else {
            return;
        };
        let quantum = context.properties.quantum.0;
        let (parts, remainder) = parts_of(ran, quantum, context.remainder);
        context.remainder = remainder;
        let _ = context.turn.charge(ran, parts, quantum);
        if context.turn.is_under_way() || !context.is_ready() {
            return;
        }
        context.turn.arrive(arrival);
        let place = context.place();
        if let Some(share) = self.shares.get_mut(context.share) {
            self.context_places
                .change_key(&mut share.contexts, slot, place);
        }
    }

    fn charge_share(&mut self, slot: Slot, ran: u64, quantum: u64) {
        let arrival = self.arrival();
        let Some(share) = self.shares.get_mut(slot) else {
            return;
        };
        self.check_due |= share.turn.charge(ran, ran, quantum);
        if share.turn.is_under_way() || !self.share_places.is_queued(slot) {
            return;
        }
        share.turn.arrive(arrival);
        let queue = self.tiers.at(share.tier);
        self.share_places
            .change_key(&mut queue.shares, slot, share.turn.place());
    }
}

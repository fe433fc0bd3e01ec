// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The pure scheduler in real time: one lock around it, one clock before it, and its actions carried out behind it.
//!
//! A grant is recorded under the lock and its worker woken after the lock is free. Whether a VM has work is a flag that
//! its own lock guards; the scheduler is told of it here, so that both views agree whenever this lock is free:
//! a VM whose flag rises asks here, and a unit's end reads the flag here. Whichever comes second sees the other.

use std::collections::HashMap;

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Policy, Scheduler, SchedulerConfig, SchedulerError,
    VmAccount, VmId, VmProfile,
};

use crate::clock::Clock;
use crate::ddi::DdiResult;
use crate::gpu::engine_cores::EngineCores;
use crate::gpu::signals::Signals;
use crate::gpu::timer::{Chore, Ring, Timer};
use crate::journal::JournalSink;
use crate::status::NtStatus;
use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a VM was charged, and how long it had to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Charges {
    /// Time that it held an engine.
    pub(super) gpu: Nanos,
    /// Units run.
    pub(super) units: u64,
    /// The longest of them.
    pub(super) longest_unit: Nanos,
    /// The longest wait from having work to holding an engine.
    pub(super) longest_wait: Nanos,
    /// All waits together.
    pub(super) waited: Nanos,
}

impl Charges {
    /// Adds a unit, unless nothing was run.
    fn add(&mut self, ran: Nanos) {
        if ran == Nanos(0) {
            return;
        }
        self.gpu = Nanos(self.gpu.0.saturating_add(ran.0));
        self.units = self.units.saturating_add(1);
        self.longest_unit = self.longest_unit.max(ran);
    }

    /// Adds a wait that a grant has ended.
    fn add_wait(&mut self, waited: Nanos) {
        self.longest_wait = self.longest_wait.max(waited);
        self.waited = Nanos(self.waited.0.saturating_add(waited.0));
    }
}

/// A VM, as the scheduler's side knows it.
#[derive(Debug)]
struct Seat {
    signals: Arc<Signals>,
    /// Whether the scheduler believes that the VM has work.
    claimed: bool,
    /// Since when the VM waits for a grant.
    waits_since: Option<Nanos>,
    /// The engine that it holds.
    holds: Option<EngineId>,
    /// How many units it has reported: which one a reset is meant for.
    reports: u64,
    charges: Charges,
}

#[derive(Debug)]
struct Core {
    scheduler: Scheduler,
    actions: Actions,
    seats: HashMap<VmId, Seat>,
    journal: Option<Arc<dyn JournalSink>>,
    /// How often the scheduler has asked to be woken.
    alarms: u64,
}

/// What a worker hears when it reports a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reported {
    /// Whether the VM may run another one.
    pub(super) keeps: bool,
    /// The instant of the report, where the next unit begins.
    pub(super) now: Nanos,
    /// How many units the VM has reported.
    pub(super) reports: u64,
}

/// What the books say of a VM.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Books {
    pub(super) charges: Charges,
    pub(super) account: VmAccount,
    /// The engine where its guarantee is.
    pub(super) home: EngineId,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Arbiter {
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
    timer: Timer,
    cores: EngineCores,
}

/// Workers to wake once the lock is free; more than one only where an event frees several engines. Chores are rare.
#[derive(Debug, Default)]
struct Woken {
    first: Option<Granted>,
    others: Vec<Granted>,
    chores: Vec<Chore>,
    /// Which request to be woken, and for when: they may overtake each other once the lock is free.
    timer: Option<(u64, Nanos)>,
}

/// A worker that was granted an engine, and when.
#[derive(Debug)]
struct Granted {
    signals: Arc<Signals>,
    engine: EngineId,
    now: Nanos,
}

impl Woken {
    fn push(&mut self, granted: Granted) {
        if self.first.is_none() {
            self.first = Some(granted);
        } else {
            self.others.push(granted);
        }
    }
}

impl Arbiter {
    /// A scheduler, the clock that it is told the time by, and who hears what it was told. [`Arbiter::run_timer`] needs a
    /// thread.
    ///
    /// # Errors
    /// What the scheduler refuses to be made for.
    pub(super) fn new(
        config: SchedulerConfig,
        clock: Arc<dyn Clock>,
        journal: Option<Arc<dyn JournalSink>>,
    ) -> Result<Self, SchedulerError> {
        let scheduler = Scheduler::new(config)?;
        if let Some(journal) = &journal {
            journal.begin(&config);
        }
        Ok(Self {
            clock,
            core: Mutex::new(Core {
                scheduler,
                actions: Actions::new(),
                seats: HashMap::new(),
                journal,
                alarms: 0,
            }),
            timer: Timer::default(),
            cores: EngineCores::default(),
        })
    }

    /// From now on workers who let themselves be kept on their engine's core are.
    pub(super) fn keep_on(&mut self, cores: EngineCores) {
        self.cores = cores;
    }

    /// The present instant.
    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// A VM joins, without work.
    ///
    /// # Errors
    /// [`NtStatus::InsufficientResources`] if its guarantee does not fit, [`NtStatus::InvalidParameter`] for a profile
    /// that contradicts itself.
    pub(super) fn join(
        &self,
        vm: VmId,
        profile: VmProfile,
        signals: Arc<Signals>,
    ) -> DdiResult<()> {
        let mut core = self.lock();
        let now = self.clock.now();
        let mut woken = Woken::default();
        Self::ask(&mut core, now, Event::AddVm { vm, profile }, &mut woken)
            .map_err(|error| refusal(&error))?;
        let seat = Seat {
            signals,
            claimed: false,
            waits_since: None,
            holds: None,
            reports: 0,
            charges: Charges::default(),
        };
        core.seats.insert(vm, seat);
        drop(core);
        self.wake(woken);
        Ok(())
    }

    /// A VM leaves. Its worker runs no unit any more; an engine that it still holds is reported free.
    pub(super) fn leave(&self, vm: VmId) {
        let mut core = self.lock();
        let now = self.clock.now();
        let Some(seat) = core.seats.get(&vm) else {
            return;
        };
        let held = seat.holds;
        let mut woken = Woken::default();
        if let Some(engine) = held {
            let idle = Event::UnitDone {
                engine,
                vm,
                ran: Nanos(0),
                more: false,
            };
            Self::feed(&mut core, now, idle, &mut woken);
        }
        Self::feed(&mut core, now, Event::RemoveVm { vm }, &mut woken);
        core.seats.remove(&vm);
        drop(core);
        self.wake(woken);
    }

    /// A VM's worker is gone although the VM stays: it runs nothing any more, and others get what it holds.
    pub(super) fn abandon(&self, vm: VmId) {
        let core = self.lock();
        let held = core.seats.get(&vm).and_then(|seat| seat.holds);
        drop(core);
        if let Some(engine) = held {
            let now = self.now();
            self.unit_done(vm, engine, now);
        }
    }

    /// A VM's profile changes.
    ///
    /// # Errors
    /// As [`Arbiter::join`]; the profile stays as it was then.
    pub(super) fn set_profile(&self, vm: VmId, profile: VmProfile) -> DdiResult<()> {
        let mut core = self.lock();
        let now = self.clock.now();
        let mut woken = Woken::default();
        let result = Self::ask(
            &mut core,
            now,
            Event::SetProfile { vm, profile },
            &mut woken,
        );
        drop(core);
        self.wake(woken);
        result.map_err(|error| refusal(&error))
    }

    /// VMs share the engines in another way, from the next decision on.
    pub(super) fn set_policy(&self, policy: Policy) {
        let mut core = self.lock();
        let now = self.clock.now();
        let mut woken = Woken::default();
        Self::feed(&mut core, now, Event::SetPolicy { policy }, &mut woken);
        drop(core);
        self.wake(woken);
    }

    /// How VMs share the engines.
    pub(super) fn policy(&self) -> Policy {
        self.lock().scheduler.policy()
    }

    /// A VM that was locked out may run again.
    pub(super) fn pardon(&self, vm: VmId) {
        let mut core = self.lock();
        let now = self.clock.now();
        let Some(seat) = core.seats.get_mut(&vm) else {
            return;
        };
        if !seat.signals.is_quarantined() {
            return;
        }
        seat.signals.set_quarantined(false);
        let mut woken = Woken::default();
        Self::feed(&mut core, now, Event::Pardon { vm }, &mut woken);
        drop(core);
        self.wake(woken);
    }

    /// Who holds an engine, and how many units it had reported before the one that runs.
    pub(super) fn holder(&self, engine: EngineId) -> Option<(VmId, u64)> {
        let core = self.lock();
        let vm = core.scheduler.holder(engine)?;
        let seat = core.seats.get(&vm)?;
        (seat.holds == Some(engine)).then_some((vm, seat.reports))
    }

    /// A VM's flag of work has risen.
    pub(super) fn ready(&self, vm: VmId) {
        let mut core = self.lock();
        let now = self.clock.now();
        let Some(seat) = core.seats.get_mut(&vm) else {
            return;
        };
        if seat.claimed || !seat.signals.wants_engine() {
            return;
        }
        seat.claimed = true;
        seat.waits_since = Some(now);
        let mut woken = Woken::default();
        Self::feed(&mut core, now, Event::Ready { vm }, &mut woken);
        drop(core);
        self.wake(woken);
    }

    /// A unit ended that began at `began`, where the one before it ended or the grant was seen.
    pub(super) fn unit_done(&self, vm: VmId, engine: EngineId, began: Nanos) -> Reported {
        let mut core = self.lock();
        // Read under the lock: the scheduler's time never goes backwards.
        let now = self.clock.now();
        let Some(seat) = core.seats.get_mut(&vm) else {
            return Reported {
                keeps: false,
                now,
                reports: 0,
            };
        };
        seat.reports = seat.reports.wrapping_add(1);
        let reports = seat.reports;
        let ran = Nanos(now.0.saturating_sub(began.0));
        let more = seat.signals.wants_engine();
        seat.claimed = more;
        seat.waits_since = more.then_some(now);
        seat.charges.add(ran);
        let mut woken = Woken::default();
        let report = Event::UnitDone {
            engine,
            vm,
            ran,
            more,
        };
        Self::feed(&mut core, now, report, &mut woken);
        let keeps = core.seats.get_mut(&vm).is_some_and(|seat| {
            let keeps = seat.holds == Some(engine) && !seat.signals.has_grant();
            if keeps {
                seat.waits_since = None;
            }
            keeps
        });
        drop(core);
        self.wake(woken);
        Reported {
            keeps,
            now,
            reports,
        }
    }

    /// What a VM was charged, is owed and has borrowed.
    pub(super) fn books(&self, vm: VmId) -> Books {
        let core = self.lock();
        Books {
            charges: (core.seats.get(&vm)).map_or_else(Charges::default, |seat| seat.charges),
            account: core.scheduler.account(vm).unwrap_or_default(),
            home: core.scheduler.home(vm).unwrap_or_default(),
        }
    }

    /// The timer thread's body, until [`Arbiter::stop_timer`]: wakes the scheduler when it asked for it, and does the chores
    /// that it asked for.
    pub(super) fn run_timer(&self, mut chore: impl FnMut(Chore)) {
        while let Some(ring) = self.timer.wait(&*self.clock) {
            match ring {
                Ring::Chore(asked) => chore(asked),
                Ring::Alarm => {
                    let mut core = self.lock();
                    let now = self.clock.now();
                    let mut woken = Woken::default();
                    Self::feed(&mut core, now, Event::Timer, &mut woken);
                    drop(core);
                    self.wake(woken);
                }
            }
        }
    }

    /// Ends [`Arbiter::run_timer`].
    pub(super) fn stop_timer(&self) {
        self.timer.stop();
    }

    /// A worker begins what it was granted.
    pub(super) fn begun(&self, signals: &Signals, engine: EngineId, now: Nanos) {
        if let Some(granted) = signals.berth.granted() {
            self.cores.begun(engine, granted, now);
        }
    }

    /// A worker goes on that began a unit at `before`.
    pub(super) fn go_on(&self, signals: &Signals, engine: EngineId, before: Nanos, now: Nanos) {
        if EngineCores::must_move(before, now) {
            signals.berth.send_to(self.cores.at(engine, now));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the scheduler what it has no reason to refuse.
    fn feed(core: &mut Core, now: Nanos, event: Event, woken: &mut Woken) {
        if let Err(error) = Self::ask(core, now, event, woken) {
            debug_assert!(false, "{event:?}: {error}");
            log::error!("the scheduler refused {event:?}: {error}");
        }
    }

    /// Tells the scheduler, and records what it asks for.
    fn ask(
        core: &mut Core,
        now: Nanos,
        event: Event,
        woken: &mut Woken,
    ) -> Result<(), SchedulerError> {
        let Core {
            scheduler,
            actions,
            seats,
            journal,
            alarms,
        } = core;
        actions.clear();
        let result = scheduler.on(now, event, actions);
        if let Some(journal) = journal {
            journal.record(now, &event, actions.as_slice(), &result);
        }
        result?;
        for action in actions.drain() {
            match action {
                Action::Grant { engine, vm } => {
                    let Some(seat) = seats.get_mut(&vm) else {
                        debug_assert!(false, "a grant for {vm:?}, which is gone");
                        continue;
                    };
                    seat.holds = Some(engine);
                    if let Some(since) = seat.waits_since.take() {
                        let waited = Nanos(now.0.saturating_sub(since.0));
                        seat.charges.add_wait(waited);
                    }
                    seat.signals.grant(engine);
                    woken.push(Granted {
                        signals: Arc::clone(&seat.signals),
                        engine,
                        now,
                    });
                }
                // A unit is the preemption point: the report of the one that runs is answered by `Revoke`.
                Action::Preempt { .. } => {}
                Action::Revoke { vm, .. } => {
                    if let Some(seat) = seats.get_mut(&vm) {
                        seat.holds = None;
                    }
                }
                Action::ResetEngine { engine, vm } => {
                    let report = seats.get(&vm).map_or(0, |seat| seat.reports);
                    woken.chores.push(Chore::Reset { engine, vm, report });
                }
                Action::Quarantine { vm } => {
                    if let Some(seat) = seats.get(&vm) {
                        seat.signals.set_quarantined(true);
                        woken.chores.push(Chore::Quarantine(vm));
                    }
                }
                Action::WakeAt { at } => {
                    *alarms = alarms.wrapping_add(1);
                    woken.timer = Some((*alarms, at));
                }
            }
        }
        Ok(())
    }

    fn wake(&self, woken: Woken) {
        for granted in woken.first.into_iter().chain(woken.others) {
            let Granted {
                signals,
                engine,
                now,
            } = granted;
            signals.berth.grant(now);
            // First: moving a thread that sleeps costs nothing.
            signals.berth.send_to(self.cores.at(engine, now));
            signals.wake();
        }
        for chore in woken.chores {
            self.timer.leave(chore);
        }
        if let Some((number, at)) = woken.timer {
            self.timer.set(number, at);
        }
    }
}

/// The driver's word for what the scheduler refuses.
pub(super) fn refusal(error: &SchedulerError) -> NtStatus {
    match error {
        SchedulerError::GuaranteeDoesNotFit { .. } => NtStatus::InsufficientResources,
        SchedulerError::LimitBelowGuarantee { .. }
        | SchedulerError::ClientWithGuarantee { .. }
        | SchedulerError::NothingToPromise { .. }
        | SchedulerError::Engines { .. } => NtStatus::InvalidParameter,
        _ => NtStatus::InvalidDeviceState,
    }
}

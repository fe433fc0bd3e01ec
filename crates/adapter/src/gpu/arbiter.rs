// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The pure scheduler in real time: one lock around it, one clock before it, and its actions carried out behind it.
//!
//! A grant is recorded under the lock and its worker woken after the lock is free. Whether a VM has work is a flag that
//! its own lock guards; the scheduler is told of it here, so that both views agree whenever this lock is free:
//! a VM whose flag rises asks here, and a unit's end reads the flag here. Whichever comes second sees the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Scheduler, SchedulerError, VmId, VmProfile,
};

use crate::clock::Clock;
use crate::ddi::DdiResult;
use crate::gpu::signals::Signals;
use crate::gpu::timer::Timer;
use crate::status::NtStatus;

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
    charges: Charges,
}

#[derive(Debug)]
struct Core {
    scheduler: Scheduler,
    actions: Actions,
    seats: HashMap<VmId, Seat>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Arbiter {
    clock: Arc<dyn Clock>,
    core: Mutex<Core>,
    timer: Timer,
}

/// Workers to wake once the lock is free; more than one only where an event frees several engines.
#[derive(Debug, Default)]
struct Woken {
    first: Option<Arc<Signals>>,
    others: Vec<Arc<Signals>>,
    timer: Option<Nanos>,
}

impl Woken {
    fn push(&mut self, signals: &Arc<Signals>) {
        if self.first.is_none() {
            self.first = Some(Arc::clone(signals));
        } else {
            self.others.push(Arc::clone(signals));
        }
    }
}

impl Arbiter {
    /// The scheduler, with the clock that it is told the time by. [`Arbiter::run_timer`] needs a thread.
    pub(super) fn new(scheduler: Scheduler, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            core: Mutex::new(Core {
                scheduler,
                actions: Actions::new(),
                seats: HashMap::new(),
            }),
            timer: Timer::default(),
        }
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

    /// A unit ended that began at `began`, where the one before it ended or the grant was seen. Tells whether the VM may
    /// run another one, and the instant, where that one begins.
    pub(super) fn unit_done(&self, vm: VmId, engine: EngineId, began: Nanos) -> (bool, Nanos) {
        let mut core = self.lock();
        // Read under the lock: the scheduler's time never goes backwards.
        let now = self.clock.now();
        let Some(seat) = core.seats.get_mut(&vm) else {
            return (false, now);
        };
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
        (keeps, now)
    }

    /// What a VM was charged so far.
    pub(super) fn charges(&self, vm: VmId) -> Charges {
        let core = self.lock();
        core.seats
            .get(&vm)
            .map(|seat| seat.charges)
            .unwrap_or_default()
    }

    /// GPU nanoseconds that a VM is owed (positive) or owes (negative).
    pub(super) fn lag(&self, vm: VmId) -> i64 {
        let core = self.lock();
        core.scheduler.account(vm).map_or(0, |account| account.lag)
    }

    /// The timer thread's body: wakes the scheduler when it asked for it, until [`Arbiter::stop_timer`].
    pub(super) fn run_timer(&self) {
        while self.timer.wait(&*self.clock) {
            let mut core = self.lock();
            let now = self.clock.now();
            let mut woken = Woken::default();
            Self::feed(&mut core, now, Event::Timer, &mut woken);
            drop(core);
            self.wake(woken);
        }
    }

    /// Ends [`Arbiter::run_timer`].
    pub(super) fn stop_timer(&self) {
        self.timer.stop();
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
        } = core;
        actions.clear();
        scheduler.on(now, event, actions)?;
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
                    woken.push(&seat.signals);
                }
                // A unit is the preemption point: the report of the one that runs is answered by `Revoke`.
                Action::Preempt { .. } => {}
                Action::Revoke { vm, .. } => {
                    if let Some(seat) = seats.get_mut(&vm) {
                        seat.holds = None;
                    }
                }
                Action::WakeAt { at } => woken.timer = Some(at),
            }
        }
        Ok(())
    }

    fn wake(&self, woken: Woken) {
        if let Some(first) = woken.first {
            first.wake();
        }
        for signals in woken.others {
            signals.wake();
        }
        if let Some(at) = woken.timer {
            self.timer.set(at);
        }
    }
}

/// The driver's word for what the scheduler refuses.
fn refusal(error: &SchedulerError) -> NtStatus {
    match error {
        SchedulerError::GuaranteeDoesNotFit { .. } => NtStatus::InsufficientResources,
        SchedulerError::LimitBelowGuarantee { .. } | SchedulerError::Engines { .. } => {
            NtStatus::InvalidParameter
        }
        _ => NtStatus::InvalidDeviceState,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The mechanism: events change what VMs and engines are doing, the policy says who is next, actions come out.
//!
//! This file has the state and the events. Who lives where: `residence.rs`. Units, grants and loans: `running.rs`.

use crate::account::{VmAccount, VmState};
use crate::actions::Actions;
use crate::clock::Clock;
use crate::config::SchedulerConfig;
use crate::engine::{Engine, Occupant, Tenure};
use crate::error::SchedulerError;
use crate::heap::Heap;
use crate::pace::Pace;
use crate::policy::Policy;
use crate::table::{Slot, Table};
use crate::watch::Resets;
use crate::{Action, EngineId, Event, Mode, Nanos, VmId, VmProfile};

/// One VM.
#[derive(Clone, Debug)]
pub(crate) struct Vm {
    pub(crate) id: VmId,
    pub(crate) profile: VmProfile,
    pub(crate) account: VmAccount,
    pub(crate) pace: Pace,
    /// Since when it waits for an engine.
    pub(crate) ready_since: u64,
    /// The caller's word on its units, if it is a client VM.
    pub(crate) bound: Option<Nanos>,
    pub(crate) resets: Resets,
    /// Its seat at home, if it is a server VM.
    pub(crate) seat: Slot,
    /// The engine on which its guarantee is.
    pub(crate) home: u16,
    /// The engine that it holds.
    pub(crate) on: Option<u16>,
    /// It was said to have work while it ran, or while it may not run.
    pub(crate) woken: bool,
    /// It goes when its unit ends.
    pub(crate) leaving: bool,
    /// It has hung too often.
    pub(crate) locked_out: bool,
}

impl Vm {
    pub(crate) fn is_client(&self) -> bool {
        self.profile.mode == Mode::Client
    }
}

/// Decides who runs next on the GPU. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) config: SchedulerConfig,
    pub(crate) clock: Clock,
    pub(crate) vms: Table<Vm>,
    pub(crate) engines: Vec<Engine>,
    /// VMs kept away by their limits, by the time at which they may run again.
    pub(crate) throttled: Heap,
    pub(crate) turn: u64,
    /// When to look for units that hang.
    pub(crate) watch_at: Option<u64>,
    /// The time for which the caller was last asked to call.
    wake_at: Option<u64>,
}

impl Scheduler {
    /// A scheduler without VMs. Its time starts with the first event.
    ///
    /// # Errors
    /// [`SchedulerError::Engines`] for a number of engines out of range, [`SchedulerError::NothingToPromise`].
    pub fn new(config: SchedulerConfig) -> Result<Self, SchedulerError> {
        if !(1..=SchedulerConfig::MAX_ENGINES).contains(&config.engines) {
            return Err(SchedulerError::Engines {
                asked: config.engines,
                most: SchedulerConfig::MAX_ENGINES,
            });
        }
        if config
            .reserve
            .get()
            .saturating_add(config.host_guarantee.get())
            > crate::Ppm::WHOLE.get()
        {
            return Err(SchedulerError::NothingToPromise {
                reserve: config.reserve,
                host: config.host_guarantee,
            });
        }
        let given = config.host_guarantee.get();
        let engine = |_| Engine::new(config.policy, given);
        Ok(Self {
            config,
            clock: Clock::default(),
            vms: Table::new(),
            engines: (0..config.engines).map(engine).collect(),
            throttled: Heap::default(),
            turn: 0,
            watch_at: None,
            wake_at: None,
        })
    }

    /// Takes in what happened at `now` and appends what is to be done to `actions`.
    ///
    /// Instants never go back; one that does counts as the last one. They may start anywhere and wrap around.
    /// Costs time logarithmic in the number of VMs and linear in that of engines, and allocates only when there is one VM more than
    /// ever before (in all, of its priority, or with a limit), one hangs for the first time, or a client changes its engine.
    /// A change of policy costs time linear in the number of VMs, and allocates.
    /// Under [`Policy::Fixed`] a VM that joins, leaves or gets another share, and a silence of more than a frame while somebody
    /// owes, cost time linear in it: slots are laid.
    ///
    /// # Errors
    /// The event is refused, with the reason, and changed nothing; `actions` may still get what was due at `now`.
    pub fn on(
        &mut self,
        now: Nanos,
        event: Event,
        actions: &mut Actions,
    ) -> Result<(), SchedulerError> {
        let now = self.clock.follow(now);
        for engine in &mut self.engines {
            engine.discipline.advance(now);
        }
        // A timer that rang is gone, though it may have been set for an earlier request: threads that carry out actions may
        // overtake each other.
        if matches!(event, Event::Timer) || self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
        }
        self.release_throttled(now);
        let result = match event {
            Event::AddVm { vm, profile } => self.add(vm, profile),
            Event::RemoveVm { vm } => self.remove(vm, actions),
            Event::SetProfile { vm, profile } => self.set_profile(vm, profile, now),
            Event::SetPolicy { policy } => {
                self.set_policy(policy, now, actions);
                Ok(())
            }
            Event::Pardon { vm } => self.find(vm).map(|slot| self.pardon(slot, now)),
            Event::UnitBound { vm, at_most } => {
                self.find(vm).map(|slot| self.set_bound(slot, at_most))
            }
            Event::Ready { vm } => self.find(vm).map(|slot| self.ready(slot, now)),
            Event::UnitDone {
                engine,
                vm,
                ran,
                more,
            } => self
                .reporter(engine, vm)
                .map(|slot| self.unit_done(engine.0, slot, ran, more, now, actions)),
            Event::Timer => Ok(()),
        };
        self.watch(now, actions);
        self.dispatch(now, actions);
        self.arm(actions);
        result
    }

    /// What a VM has used so far, and what it is doing; `None` if it is not here.
    #[must_use]
    pub fn account(&self, vm: VmId) -> Option<VmAccount> {
        let vm = self.vms.get(self.vms.slot(vm)?)?;
        let mut account = vm.account;
        account.lag = if vm.is_client() {
            0
        } else {
            self.engine(vm.home)?.discipline.lag(vm.seat)
        };
        Some(account)
    }

    /// What a VM was promised; `None` if it is not here.
    #[must_use]
    pub fn profile(&self, vm: VmId) -> Option<VmProfile> {
        Some(self.vms.get(self.vms.slot(vm)?)?.profile)
    }

    /// The engine on which a VM's guarantee is (for a client VM: the host partition that it belongs to); `None` if it is not here.
    #[must_use]
    pub fn home(&self, vm: VmId) -> Option<EngineId> {
        Some(EngineId(self.vms.get(self.vms.slot(vm)?)?.home))
    }

    /// How long an engine has run units in all: the sum of what was charged on it, whoever has left since. `None` if there
    /// is no such engine.
    #[must_use]
    pub fn busy(&self, engine: EngineId) -> Option<Nanos> {
        self.engine(engine.0).map(|engine| engine.busy)
    }

    /// Who holds an engine.
    #[must_use]
    pub fn holder(&self, engine: EngineId) -> Option<VmId> {
        Some(self.vms.get(self.engine(engine.0)?.holder?.vm)?.id)
    }

    /// How many engines there are.
    #[must_use]
    pub fn engines(&self) -> u16 {
        self.config.engines
    }

    /// How VMs share an engine now.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.config.policy
    }

    /// How many VMs are here, those that are leaving included.
    #[must_use]
    pub fn vms(&self) -> usize {
        self.vms.len()
    }

    pub(crate) fn engine(&self, engine: u16) -> Option<&Engine> {
        self.engines.get(usize::from(engine))
    }

    pub(crate) fn engine_mut(&mut self, engine: u16) -> Option<&mut Engine> {
        self.engines.get_mut(usize::from(engine))
    }

    pub(crate) fn find(&self, vm: VmId) -> Result<Slot, SchedulerError> {
        self.vms
            .slot(vm)
            .filter(|&slot| self.vms.get(slot).is_some_and(|vm| !vm.leaving))
            .ok_or(SchedulerError::UnknownVm { vm })
    }

    fn reporter(&self, engine: EngineId, vm: VmId) -> Result<Slot, SchedulerError> {
        let engines = self.config.engines;
        let found = self
            .engine(engine.0)
            .ok_or(SchedulerError::UnknownEngine { engine, engines })?;
        // A VM that leaves still reports its last unit, so this is not `find`.
        let slot = self.vms.slot(vm).ok_or(SchedulerError::UnknownVm { vm })?;
        if found.holder.is_some_and(|holder| holder.vm == slot) {
            Ok(slot)
        } else {
            Err(SchedulerError::NotTheHolder {
                engine,
                vm,
                holder: self.holder(engine),
            })
        }
    }

    fn set_bound(&mut self, slot: Slot, at_most: Option<Nanos>) {
        let Some(vm) = self.vms.get_mut(slot) else {
            return;
        };
        vm.bound = at_most;
        let (home, seat, client) = (vm.home, vm.seat, vm.is_client());
        if client {
            self.announce_client(home);
        } else if let Some(engine) = self.engine_mut(home) {
            engine.discipline.set_unit_bound(seat, at_most);
        }
    }

    fn ready(&mut self, slot: Slot, now: u64) {
        let Some(vm) = self.vms.get_mut(slot) else {
            return;
        };
        match vm.account.state {
            VmState::Idle => {
                if !self.throttle(slot, now) {
                    self.enqueue(slot, now, false);
                }
            }
            VmState::Running | VmState::Quarantined => vm.woken = true,
            VmState::Ready | VmState::Throttled => {}
        }
    }

    /// Queues a sleeping VM; `resumed` if only its limit or a loan made it sleep.
    pub(crate) fn enqueue(&mut self, slot: Slot, now: u64, resumed: bool) {
        let Some(vm) = self.vms.get_mut(slot) else {
            return;
        };
        vm.account.state = VmState::Ready;
        vm.ready_since = now;
        let (home, seat, client) = (vm.home, vm.seat, vm.is_client());
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn;
        let Some(engine) = self.engine_mut(home) else {
            return;
        };
        if !client {
            engine.discipline.wake(seat, resumed);
        } else if let Some(host) = &mut engine.host {
            let had_work = host.has_work();
            host.ready(slot, turn);
            let seat = host.seat;
            let runs = engine
                .holder
                .is_some_and(|holder| holder.tenure == Tenure::Client);
            if !runs {
                // Its work may be next, and its units longer.
                self.announce_client(home);
            }
            if !had_work
                && !runs
                && let Some(engine) = self.engine_mut(home)
            {
                engine.discipline.wake(seat, resumed);
            }
        }
    }

    /// Keeps a sleeping VM with work away if its limit says so.
    pub(crate) fn throttle(&mut self, slot: Slot, now: u64) -> bool {
        let Some(vm) = self.vms.get_mut(slot) else {
            return false;
        };
        let Some(until) = vm.pace.away_until(now, vm.profile.limit) else {
            return false;
        };
        vm.account.state = VmState::Throttled;
        self.turn = self.turn.wrapping_add(1);
        self.throttled.insert(u128::from(until), self.turn, slot);
        true
    }

    fn release_throttled(&mut self, now: u64) {
        while let Some((until, slot)) = self.throttled.first()
            && until <= u128::from(now)
        {
            self.throttled.pop();
            self.enqueue(slot, now, true);
        }
    }

    /// Looks for units that have outlived their VM's hang timeout, and when to look again.
    fn watch(&mut self, now: u64, actions: &mut Actions) {
        if self.watch_at.is_none_or(|at| at > now) {
            return;
        }
        self.watch_at = None;
        let mut next = u64::MAX;
        for (id, engine) in (0..).zip(&mut self.engines) {
            let Some(holder) = engine.holder.as_mut().filter(|holder| !holder.hung) else {
                continue;
            };
            let Some(vm) = self.vms.get_mut(holder.vm) else {
                continue;
            };
            let until = holder.unit_began.saturating_add(vm.profile.hang_timeout.0);
            if until > now {
                next = next.min(until);
                continue;
            }
            holder.hung = true;
            vm.account.resets = vm.account.resets.saturating_add(1);
            actions.push(Action::ResetEngine {
                engine: EngineId(id),
                vm: vm.id,
            });
            if vm.resets.note(now, self.config.quarantine) && !vm.locked_out {
                vm.locked_out = true;
                actions.push(Action::Quarantine { vm: vm.id });
            }
        }
        self.watch_over(next);
    }

    /// Looks for hanging units at `at`, or before. The end of time is never.
    pub(crate) fn watch_over(&mut self, at: u64) {
        if at < u64::MAX {
            self.watch_at = Some(self.watch_at.map_or(at, |earlier| earlier.min(at)));
        }
    }

    fn pardon(&mut self, slot: Slot, now: u64) {
        let Some(vm) = self.vms.get_mut(slot) else {
            return;
        };
        vm.resets.forget();
        vm.locked_out = false;
        if vm.account.state == VmState::Quarantined {
            vm.account.state = VmState::Idle;
            if std::mem::take(&mut vm.woken) {
                self.ready(slot, now);
            }
        }
    }

    /// Everybody goes over to a new policy, with what it owes; the units that run are the last of the old one.
    fn set_policy(&mut self, policy: Policy, now: u64, actions: &mut Actions) {
        if policy == self.config.policy {
            return;
        }
        self.config.policy = policy;
        for id in 0..self.config.engines {
            let Some(engine) = self.engines.get_mut(usize::from(id)) else {
                continue;
            };
            let mut new = policy.discipline();
            new.advance(now);
            for left in engine.discipline.left() {
                new.remember(left);
            }
            let holder = engine.holder;
            for (seat, occupant) in engine.occupants() {
                let (who, profile, queued, holds, bound) = match occupant {
                    Occupant::Vm(slot) => {
                        let Some(vm) = self.vms.get(slot) else {
                            continue;
                        };
                        let holds = holder.is_some_and(|holder| holder.tenure == Tenure::Own(seat));
                        let queued = vm.account.state == VmState::Ready;
                        (vm.id, vm.profile, queued, holds, vm.bound)
                    }
                    Occupant::Host => {
                        let holds = holder.is_some_and(|holder| holder.tenure == Tenure::Client);
                        let has_work = engine.host.as_ref().is_some_and(|host| host.has_work());
                        let profile = self.config.host_profile();
                        (crate::host::HOST, profile, has_work, holds, None)
                    }
                };
                new.join(seat, who, &profile, engine.discipline.standing(seat));
                new.set_unit_bound(seat, bound);
                if queued || holds {
                    new.wake(seat, true);
                }
                if holds {
                    new.adopt(seat);
                }
            }
            engine.discipline = new;
            engine.grace_ends = None;
            self.announce_client(id);
            self.preempt(id, actions);
        }
    }

    /// Asks to be called when the next limit lets a VM run, a grace ends, or the policy or the watch has to look again.
    fn arm(&mut self, actions: &mut Actions) {
        let released = self
            .throttled
            .first()
            .map(|(until, _)| u64::try_from(until).unwrap_or(u64::MAX));
        let engines = self.engines.iter();
        let asked = engines.flat_map(|engine| {
            // While the engine is lent its discipline has no say: a VM of its own that waits has asked for it already.
            let lent = engine.holder.is_some() && !engine.held_by_right();
            let policy = engine.discipline.wake_at().filter(|_| !lent);
            [policy, engine.grace_ends]
        });
        let until = asked.chain([released, self.watch_at]).flatten().min();
        // What lies beyond the caller's clock is never.
        let Some(until) = until.filter(|&until| self.clock.reaches(until)) else {
            return;
        };
        if self.wake_at != Some(until) {
            self.wake_at = Some(until);
            actions.push(Action::WakeAt {
                at: self.clock.instant(until),
            });
        }
    }
}

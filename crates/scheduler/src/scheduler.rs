// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The mechanism: events change what VMs and engines are doing, the policy says who is next, actions come out.

use crate::account::{VmAccount, VmState};
use crate::actions::Actions;
use crate::admission::Admission;
use crate::clock::Clock;
use crate::error::SchedulerError;
use crate::heap::Heap;
use crate::pace::Pace;
use crate::policy::{Discipline, Policy};
use crate::table::{Slot, Table};
use crate::{Action, EngineId, Event, Nanos, Ppm, VmId, VmProfile};

/// What a scheduler is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// How VMs share an engine.
    pub policy: Policy,
    /// How many engines there are. Only 1 is offered.
    pub engines: u16,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Guaranteed,
            engines: 1,
        }
    }
}

/// One VM.
#[derive(Clone, Debug)]
struct Vm {
    id: VmId,
    profile: VmProfile,
    account: VmAccount,
    pace: Pace,
    /// Since when it waits for an engine.
    ready_since: u64,
    /// It was said to have work while it ran.
    woken: bool,
    /// It goes when its unit ends.
    leaving: bool,
}

/// One engine.
#[derive(Debug)]
struct Engine {
    discipline: Box<dyn Discipline>,
    holder: Option<Slot>,
    /// The holder was told to end its unit.
    preempted: bool,
    busy: Nanos,
}

/// Decides who runs next on the GPU. See the crate's documentation for how it is driven.
#[derive(Debug)]
pub struct Scheduler {
    clock: Clock,
    vms: Table<Vm>,
    admission: Admission,
    engine: Engine,
    /// VMs kept away by their limits, by the time at which they may run again.
    throttled: Heap,
    turn: u64,
    /// The time for which the caller was last asked to call.
    wake_at: Option<u64>,
}

impl Scheduler {
    /// A scheduler without VMs. Its time starts with the first event.
    ///
    /// # Errors
    /// [`SchedulerError::Engines`] unless exactly one engine is asked for.
    pub fn new(config: SchedulerConfig) -> Result<Self, SchedulerError> {
        if config.engines != 1 {
            return Err(SchedulerError::Engines {
                asked: config.engines,
            });
        }
        Ok(Self {
            clock: Clock::default(),
            vms: Table::new(),
            admission: Admission::default(),
            engine: Engine {
                discipline: config.policy.discipline(),
                holder: None,
                preempted: false,
                busy: Nanos(0),
            },
            throttled: Heap::default(),
            turn: 0,
            wake_at: None,
        })
    }

    /// Takes in what happened at `now` and appends what is to be done to `actions`.
    ///
    /// Instants never go back; one that does counts as the last one. They may start anywhere and wrap around.
    /// Costs time logarithmic in the number of VMs, and allocates only when a VM joins that is one more than ever before.
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
        self.engine.discipline.advance(now);
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
            Event::UnitBound { vm, at_most } => self.find(vm).map(|slot| {
                self.engine.discipline.set_unit_bound(slot, at_most);
            }),
            Event::Ready { vm } => self.find(vm).map(|slot| self.ready(slot, now)),
            Event::UnitDone {
                engine,
                vm,
                ran,
                more,
            } => self
                .reporter(engine, vm)
                .map(|slot| self.unit_done(slot, ran, more, now, actions)),
            Event::Timer => Ok(()),
        };
        self.dispatch(now, actions);
        self.arm(actions);
        result
    }

    /// What a VM has used so far, and what it is doing; `None` if it is not here.
    #[must_use]
    pub fn account(&self, vm: VmId) -> Option<VmAccount> {
        let slot = self.vms.slot(vm)?;
        let mut account = self.vms.get(slot)?.account;
        account.lag = self.engine.discipline.lag(slot);
        Some(account)
    }

    /// What a VM was promised; `None` if it is not here.
    #[must_use]
    pub fn profile(&self, vm: VmId) -> Option<VmProfile> {
        Some(self.vms.get(self.vms.slot(vm)?)?.profile)
    }

    /// How long an engine has run units in all: the sum of what was charged on it, whoever has left since. `None` if there
    /// is no such engine.
    #[must_use]
    pub fn busy(&self, engine: EngineId) -> Option<Nanos> {
        (engine.0 == 0).then_some(self.engine.busy)
    }

    /// Who holds an engine.
    #[must_use]
    pub fn holder(&self, engine: EngineId) -> Option<VmId> {
        if engine.0 != 0 {
            return None;
        }
        Some(self.vms.get(self.engine.holder?)?.id)
    }

    /// How many VMs are here, those that are leaving included.
    #[must_use]
    pub fn vms(&self) -> usize {
        self.vms.len()
    }

    fn find(&self, vm: VmId) -> Result<Slot, SchedulerError> {
        self.vms
            .slot(vm)
            .filter(|&slot| self.vms.get(slot).is_some_and(|vm| !vm.leaving))
            .ok_or(SchedulerError::UnknownVm { vm })
    }

    fn reporter(&self, engine: EngineId, vm: VmId) -> Result<Slot, SchedulerError> {
        if engine.0 != 0 {
            return Err(SchedulerError::UnknownEngine { engine, engines: 1 });
        }
        // A VM that leaves still reports its last unit, so this is not `find`.
        let slot = self.vms.slot(vm).ok_or(SchedulerError::UnknownVm { vm })?;
        if self.engine.holder == Some(slot) {
            Ok(slot)
        } else {
            Err(SchedulerError::NotTheHolder {
                engine,
                vm,
                holder: self.holder(engine),
            })
        }
    }

    fn add(&mut self, id: VmId, profile: VmProfile) -> Result<(), SchedulerError> {
        if self.vms.slot(id).is_some() {
            return Err(SchedulerError::DuplicateVm { vm: id });
        }
        self.admission.admit(id, &profile, Ppm::default())?;
        let vm = Vm {
            id,
            profile,
            account: VmAccount::default(),
            pace: Pace::default(),
            ready_since: 0,
            woken: false,
            leaving: false,
        };
        if let Some(slot) = self.vms.insert(id, vm) {
            self.throttled.reserve(self.vms.slots());
            self.engine.discipline.join(slot, id, &profile);
        }
        Ok(())
    }

    fn remove(&mut self, id: VmId, actions: &mut Actions) -> Result<(), SchedulerError> {
        let slot = self.find(id)?;
        if self.engine.holder == Some(slot) {
            if let Some(vm) = self.vms.get_mut(slot) {
                vm.leaving = true;
            }
            self.preempt(actions);
        } else {
            self.forget(slot);
        }
        Ok(())
    }

    /// Takes a VM that holds nothing out of everything.
    fn forget(&mut self, slot: Slot) {
        self.throttled.remove(slot);
        self.engine.discipline.leave(slot);
        if let Some((id, guarantee)) = self.vms.get(slot).map(|vm| (vm.id, vm.profile.guarantee)) {
            self.admission.release(guarantee);
            self.vms.remove(id);
        }
    }

    fn set_profile(
        &mut self,
        id: VmId,
        profile: VmProfile,
        now: u64,
    ) -> Result<(), SchedulerError> {
        let slot = self.find(id)?;
        if let Some(vm) = self.vms.get_mut(slot) {
            self.admission.admit(id, &profile, vm.profile.guarantee)?;
            vm.profile = profile;
            self.engine.discipline.set_profile(slot, &profile);
            if vm.account.state == VmState::Throttled && profile.limit.is_none() {
                self.throttled.remove(slot);
                self.enqueue(slot, now, true);
            }
        }
        Ok(())
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
            VmState::Running => vm.woken = true,
            VmState::Ready | VmState::Throttled => {}
        }
    }

    /// Queues a sleeping VM; `resumed` if only its limit made it sleep.
    fn enqueue(&mut self, slot: Slot, now: u64, resumed: bool) {
        if let Some(vm) = self.vms.get_mut(slot) {
            vm.account.state = VmState::Ready;
            vm.ready_since = now;
            self.engine.discipline.wake(slot, resumed);
        }
    }

    /// Keeps a sleeping VM with work away if its limit says so.
    fn throttle(&mut self, slot: Slot, now: u64) -> bool {
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

    fn unit_done(&mut self, slot: Slot, ran: Nanos, more: bool, now: u64, actions: &mut Actions) {
        let Some(vm) = self.vms.get_mut(slot) else {
            return;
        };
        let account = &mut vm.account;
        account.charged = Nanos(account.charged.0.saturating_add(ran.0));
        account.units = account.units.saturating_add(1);
        account.longest_unit = account.longest_unit.max(ran);
        self.engine.busy = Nanos(self.engine.busy.0.saturating_add(ran.0));
        self.engine.discipline.charge(slot, ran);
        vm.pace.charge(ran.0);
        let more = std::mem::take(&mut vm.woken) || more;
        let leaving = vm.leaving;
        if !leaving && more && !self.engine.preempted && self.engine.discipline.keeps(slot) {
            return;
        }
        // The stretch ends here, unless the VM is the next one too.
        vm.pace.end(vm.profile.limit);
        let revoke = Action::Revoke {
            engine: EngineId(0),
            vm: vm.id,
        };
        if leaving {
            self.release_engine(revoke, actions);
            self.forget(slot);
        } else if !more {
            vm.account.state = VmState::Idle;
            self.engine.discipline.sleep(slot);
            self.release_engine(revoke, actions);
        } else if self.throttle(slot, now) {
            self.engine.discipline.sleep(slot);
            self.release_engine(revoke, actions);
        } else {
            if let Some(vm) = self.vms.get_mut(slot) {
                vm.account.state = VmState::Ready;
                vm.ready_since = now;
            }
            self.engine.discipline.put_back(slot);
            let next = self.engine.discipline.pick();
            if next == Some(slot) && !self.engine.preempted {
                self.begin(slot, now);
            } else {
                self.release_engine(revoke, actions);
                self.grant(next, now, actions);
            }
        }
    }

    fn release_engine(&mut self, revoke: Action, actions: &mut Actions) {
        self.engine.holder = None;
        self.engine.preempted = false;
        actions.push(revoke);
    }

    /// Grants the engine if it is free, and asks for it back if someone has a better claim.
    fn dispatch(&mut self, now: u64, actions: &mut Actions) {
        if self.engine.holder.is_none() {
            let next = self.engine.discipline.pick();
            self.grant(next, now, actions);
        } else if !self.engine.preempted && self.engine.discipline.outranked() {
            self.preempt(actions);
        }
    }

    fn grant(&mut self, next: Option<Slot>, now: u64, actions: &mut Actions) {
        let Some(slot) = next else { return };
        self.engine.holder = Some(slot);
        if let Some(vm) = self.begin(slot, now) {
            actions.push(Action::Grant {
                engine: EngineId(0),
                vm,
            });
        }
    }

    /// A new stretch of the VM that holds the engine.
    fn begin(&mut self, slot: Slot, now: u64) -> Option<VmId> {
        let vm = self.vms.get_mut(slot)?;
        let waited = Nanos(now.saturating_sub(vm.ready_since));
        vm.account.longest_wait = vm.account.longest_wait.max(waited);
        vm.account.state = VmState::Running;
        vm.pace.begin(now);
        Some(vm.id)
    }

    fn preempt(&mut self, actions: &mut Actions) {
        let holder = self.engine.holder.and_then(|slot| self.vms.get(slot));
        if let Some(vm) = holder
            && !self.engine.preempted
        {
            self.engine.preempted = true;
            actions.push(Action::Preempt {
                engine: EngineId(0),
                vm: vm.id,
            });
        }
    }

    /// Asks to be called when the next limit lets a VM run, or when the policy has to be asked again.
    fn arm(&mut self, actions: &mut Actions) {
        let released = self
            .throttled
            .first()
            .map(|(until, _)| u64::try_from(until).unwrap_or(u64::MAX));
        let asked = self.engine.discipline.wake_at();
        let Some(until) = released.into_iter().chain(asked).min() else {
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

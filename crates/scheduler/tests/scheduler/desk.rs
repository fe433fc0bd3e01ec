// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A scheduler to which a test talks event by event.

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Scheduler, SchedulerConfig, SchedulerError, VmAccount,
    VmId, VmProfile,
};

use crate::world::{MS, share};

pub struct Desk {
    pub scheduler: Scheduler,
    actions: Actions,
}

/// A share of a VM that never counts as hung, in units of at most 1 ms and without a slice: no timer watches over it.
pub fn patient(parts: u32) -> VmProfile {
    VmProfile {
        max_unit: Some(Nanos(MS)),
        hang_timeout: Nanos(u64::MAX),
        ..share(parts)
    }
}

pub fn grant(engine: u16, vm: u32) -> Action {
    Action::Grant {
        engine: EngineId(engine),
        vm: VmId(vm),
    }
}

pub fn revoke(engine: u16, vm: u32) -> Action {
    Action::Revoke {
        engine: EngineId(engine),
        vm: VmId(vm),
    }
}

pub fn preempt(engine: u16, vm: u32) -> Action {
    Action::Preempt {
        engine: EngineId(engine),
        vm: VmId(vm),
    }
}

impl Desk {
    pub fn new(config: SchedulerConfig) -> Self {
        Self {
            scheduler: Scheduler::new(config).unwrap(),
            actions: Actions::new(),
        }
    }

    /// So many engines, all else by default.
    pub fn engines(engines: u16) -> Self {
        Self::new(SchedulerConfig {
            engines,
            ..SchedulerConfig::default()
        })
    }

    pub fn tell(&mut self, now: u64, event: Event) -> Result<Vec<Action>, SchedulerError> {
        self.scheduler.on(Nanos(now), event, &mut self.actions)?;
        Ok(self.actions.drain().collect())
    }

    #[track_caller]
    pub fn add(&mut self, now: u64, vm: u32, profile: VmProfile) {
        let vm = VmId(vm);
        assert_eq!(self.tell(now, Event::AddVm { vm, profile }), Ok(vec![]));
    }

    #[track_caller]
    pub fn ready(&mut self, now: u64, vm: u32) -> Vec<Action> {
        self.tell(now, Event::Ready { vm: VmId(vm) }).unwrap()
    }

    #[track_caller]
    pub fn done(&mut self, now: u64, engine: u16, vm: u32, ran: u64, more: bool) -> Vec<Action> {
        let done = Event::UnitDone {
            engine: EngineId(engine),
            vm: VmId(vm),
            ran: Nanos(ran),
            more,
        };
        self.tell(now, done).unwrap()
    }

    #[track_caller]
    pub fn account(&self, vm: u32) -> VmAccount {
        self.scheduler.account(VmId(vm)).unwrap()
    }

    #[track_caller]
    pub fn home(&self, vm: u32) -> u16 {
        self.scheduler.home(VmId(vm)).unwrap().0
    }
}

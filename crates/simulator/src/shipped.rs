// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduler that Rondo ships, driven as the adapter drives it.
//!
//! Slices are zero unless the scenario gives them: the rule decides after each unit, so that its bound is `c/share + L` to the
//! nanosecond.

use std::collections::VecDeque;

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Mode, Nanos, Policy, Ppm, Priority, Scheduler,
    SchedulerConfig, SchedulerError, VmId, VmProfile,
};

use crate::arbiter::{Arbiter, Next, Pick};
use crate::scenario::{self, Scenario, Vm};

/// The scheduler, and what it has asked for so far.
#[derive(Debug)]
pub struct Shipped {
    scheduler: Scheduler,
    actions: Actions,
    /// Of each engine.
    holders: Vec<Option<usize>>,
    wake_at: Option<u64>,
    resets: VecDeque<usize>,
    locked_out: VecDeque<usize>,
}

impl Shipped {
    /// The scheduler with all VMs of a scenario, idle.
    ///
    /// # Errors
    /// If the policy does not admit one of the VMs.
    pub fn new(policy: Policy, scenario: &Scenario) -> Result<Self, SchedulerError> {
        let config = SchedulerConfig {
            policy,
            engines: scenario.engines,
            host_guarantee: ppm(scenario.host_share_ppm),
            ..SchedulerConfig::default()
        };
        let mut scheduler = Scheduler::new(config)?;
        let mut actions = Actions::new();
        for (index, vm) in scenario.vms.iter().enumerate() {
            let event = Event::AddVm {
                vm: name(index),
                profile: profile(vm),
            };
            // VMs without work: nothing is asked for yet.
            scheduler.on(Nanos(0), event, &mut actions)?;
        }
        Ok(Self {
            scheduler,
            actions,
            holders: vec![None; usize::from(scenario.engines)],
            wake_at: None,
            resets: VecDeque::new(),
            locked_out: VecDeque::new(),
        })
    }

    fn tell(&mut self, now: u64, event: Event) {
        if let Err(error) = self.scheduler.on(Nanos(now), event, &mut self.actions) {
            panic!("the scheduler refuses {event:?} at {now}: {error}");
        }
        for action in self.actions.drain() {
            match action {
                Action::Grant { engine, vm } => {
                    self.holders[usize::from(engine.0)] = usize::try_from(vm.0).ok();
                }
                Action::Revoke { engine, .. } => self.holders[usize::from(engine.0)] = None,
                // Units cannot be cut here.
                Action::Preempt { .. } => {}
                Action::ResetEngine { engine, .. } => self.resets.push_back(engine.0.into()),
                Action::Quarantine { vm } => self.locked_out.extend(usize::try_from(vm.0)),
                Action::WakeAt { at } => self.wake_at = Some(at.0),
            }
        }
    }

    fn announce(&mut self, now: u64, vm: usize, bound: Option<u64>) {
        if bound.is_some() {
            self.tell(
                now,
                Event::UnitBound {
                    vm: name(vm),
                    at_most: bound.map(Nanos),
                },
            );
        }
    }
}

fn name(vm: usize) -> VmId {
    VmId(u32::try_from(vm).unwrap_or(u32::MAX))
}

fn ppm(parts: u32) -> Ppm {
    Ppm::new(parts).unwrap_or(Ppm::WHOLE)
}

fn profile(vm: &Vm) -> VmProfile {
    let tuning = &vm.tuning;
    VmProfile {
        mode: if tuning.client {
            Mode::Client
        } else {
            Mode::Server
        },
        guarantee: ppm(vm.share_ppm),
        limit: tuning.limit_ppm.map(ppm),
        slice: Nanos(tuning.slice),
        max_unit: vm.declared_unit().map(Nanos),
        grace: Nanos(tuning.grace),
        hang_timeout: Nanos(vm.hang_timeout()),
        priority: match tuning.priority {
            scenario::Priority::Low => Priority::Low,
            scenario::Priority::Normal => Priority::Normal,
            scenario::Priority::High => Priority::High,
        },
    }
}

impl Arbiter for Shipped {
    fn ready(&mut self, now: u64, vm: usize, bound: Option<u64>) {
        self.announce(now, vm, bound);
        self.tell(now, Event::Ready { vm: name(vm) });
    }

    fn unit_done(&mut self, now: u64, engine: usize, vm: usize, ran: u64, next: Next) {
        if let Next::Unit(bound) = next {
            self.announce(now, vm, bound);
        }
        let done = Event::UnitDone {
            engine: EngineId(u16::try_from(engine).unwrap_or(u16::MAX)),
            vm: name(vm),
            ran: Nanos(ran),
            more: next != Next::Nothing,
        };
        self.tell(now, done);
    }

    fn pick(&mut self, _now: u64, engine: usize) -> Pick {
        self.holders[engine].map_or(Pick::Idle(None), Pick::Run)
    }

    fn watches(&self) -> bool {
        true
    }

    fn wake_at(&self) -> Option<u64> {
        self.wake_at
    }

    fn wake(&mut self, now: u64) {
        self.wake_at = None;
        self.tell(now, Event::Timer);
    }

    fn reset_due(&mut self) -> Option<usize> {
        self.resets.pop_front()
    }

    fn locked_out(&mut self) -> Option<usize> {
        self.locked_out.pop_front()
    }
}

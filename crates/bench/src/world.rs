// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A world of simulated time around the scheduler, which is recorded so that it can be replayed against the clock.
//!
//! The scheduler is pure: fed with the same events it decides the same. So the world, with its chance and its bookkeeping,
//! runs once, and what is timed afterwards is a fresh scheduler that is fed with what was recorded, and nothing else.

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Policy, Ppm, Scheduler, SchedulerConfig,
    SchedulerError, VmId, VmProfile,
};

use crate::random::Random;

/// An event and its instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Nanos,
    /// What.
    pub event: Event,
}

/// Whether VMs always have work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// They do.
    Busy,
    /// After each unit of a VM the coin says whether it goes to sleep; then another one that sleeps wakes.
    Sleepy,
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The policy.
    pub policy: Policy,
    /// How many engines.
    pub engines: u16,
    /// How many VMs, with equal guarantees that add up to nearly everything.
    pub vms: u32,
    /// Whether they always have work.
    pub load: Load,
}

impl Setup {
    fn share(&self) -> Ppm {
        let on_one_engine = self.vms.div_ceil(u32::from(self.engines)).max(1);
        Ppm::new(Ppm::WHOLE.get() / on_one_engine).unwrap_or(Ppm::WHOLE)
    }

    /// The longest unit: half a millisecond, and under `fixed` short enough to fit the slots of so many VMs.
    fn longest_unit(&self) -> u64 {
        const LONGEST: u64 = 500_000;
        const FRAME: u64 = 16_000_000;
        if self.policy == Policy::Fixed {
            let slot = FRAME / u64::from(self.vms.max(1));
            slot.clamp(1_000, LONGEST)
        } else {
            LONGEST
        }
    }

    /// A fresh scheduler without VMs.
    pub fn scheduler(&self) -> Result<Scheduler, SchedulerError> {
        Scheduler::new(SchedulerConfig {
            policy: self.policy,
            engines: self.engines,
            ..SchedulerConfig::default()
        })
    }

    /// The profile of each VM. Decided after each unit: a slice would spare most decisions.
    pub fn profile(&self) -> VmProfile {
        VmProfile {
            guarantee: self.share(),
            slice: Nanos(0),
            max_unit: Some(Nanos(self.longest_unit())),
            ..VmProfile::default()
        }
    }
}

/// A recorded run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// How all VMs joined and, those that have work at the start, got it.
    pub beginning: Vec<Step>,
    /// What happened then.
    pub steps: Vec<Step>,
}

/// A unit that runs.
#[derive(Clone, Copy, Debug)]
struct Unit {
    vm: VmId,
    ran: u64,
    ends: u64,
}

struct World {
    setup: Setup,
    scheduler: Scheduler,
    actions: Actions,
    random: Random,
    running: Vec<Option<Unit>>,
    asleep: Vec<VmId>,
    wake_at: Option<u64>,
    now: u64,
}

/// Runs so many events of a set-up, and records them.
///
/// # Errors
/// What the scheduler refuses.
pub fn record(setup: Setup, events: usize) -> Result<Recording, SchedulerError> {
    let mut world = World {
        setup,
        scheduler: setup.scheduler()?,
        actions: Actions::new(),
        random: Random::new(1),
        running: vec![None; usize::from(setup.engines)],
        asleep: Vec::new(),
        wake_at: None,
        now: 1,
    };
    let mut beginning = Vec::new();
    for vm in (0..setup.vms).map(VmId) {
        let profile = setup.profile();
        beginning.push(world.tell(Event::AddVm { vm, profile })?);
        if setup.load == Load::Busy || vm.0 % 2 == 0 {
            beginning.push(world.tell(Event::Ready { vm })?);
        } else {
            world.asleep.push(vm);
        }
    }
    let mut steps = Vec::with_capacity(events + 1);
    while steps.len() < events {
        world.step(&mut steps)?;
    }
    Ok(Recording { beginning, steps })
}

impl World {
    /// The next unit ends, or the timer rings before.
    fn step(&mut self, steps: &mut Vec<Step>) -> Result<(), SchedulerError> {
        let ended = (self.running.iter().zip(0..))
            .filter_map(|(unit, engine)| unit.map(|unit| (unit, engine)))
            .min_by_key(|(unit, _)| unit.ends);
        match (ended, self.wake_at) {
            (ended, Some(wake_at)) if ended.is_none_or(|(unit, _)| wake_at < unit.ends) => {
                self.now = self.now.max(wake_at);
                self.wake_at = None;
                steps.push(self.tell(Event::Timer)?);
            }
            (Some((unit, engine)), _) => {
                self.now = unit.ends;
                let more = self.setup.load == Load::Busy || self.random.below(2) == 0;
                let ended = Event::UnitDone {
                    engine: EngineId(engine),
                    vm: unit.vm,
                    ran: Nanos(unit.ran),
                    more,
                };
                self.running[usize::from(engine)] = None;
                steps.push(self.tell(ended)?);
                let kept = self.scheduler.holder(EngineId(engine)) == Some(unit.vm);
                if kept && self.running[usize::from(engine)].is_none() {
                    self.begin(EngineId(engine), unit.vm);
                }
                if !more {
                    let woken = self.wake(unit.vm);
                    steps.push(self.tell(Event::Ready { vm: woken })?);
                }
            }
            (None, _) => {
                let woken = self.wake(VmId(0));
                steps.push(self.tell(Event::Ready { vm: woken })?);
            }
        }
        Ok(())
    }

    /// One that sleeps, and sleeps no more; `tired` takes its place.
    fn wake(&mut self, tired: VmId) -> VmId {
        let count = self.asleep.len() as u64;
        let place = if count == 0 {
            0
        } else {
            self.random.below(count)
        };
        let place = usize::try_from(place).unwrap_or(0);
        match self.asleep.get_mut(place) {
            Some(sleeper) => std::mem::replace(sleeper, tired),
            None => tired,
        }
    }

    fn begin(&mut self, engine: EngineId, vm: VmId) {
        let longest = self.setup.longest_unit();
        let ran = longest / 2 + self.random.below(longest / 2) + 1;
        let ends = self.now + ran;
        self.running[usize::from(engine.0)] = Some(Unit { vm, ran, ends });
    }

    fn tell(&mut self, event: Event) -> Result<Step, SchedulerError> {
        self.actions.clear();
        let at = Nanos(self.now);
        self.scheduler.on(at, event, &mut self.actions)?;
        let actions: Vec<Action> = self.actions.drain().collect();
        for action in actions {
            match action {
                Action::Grant { engine, vm } => self.begin(engine, vm),
                Action::WakeAt { at } => self.wake_at = Some(at.0),
                // The unit has ended already; and a unit of this world cannot be cut, nor does it hang.
                _ => {}
            }
        }
        Ok(Step { at, event })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const POLICIES: [Policy; 4] = [
        Policy::Guaranteed,
        Policy::Fixed,
        Policy::Fair,
        Policy::BestEffort,
    ];

    #[test]
    fn given_a_recording_when_a_fresh_scheduler_is_fed_with_it_then_it_refuses_nothing() {
        for policy in POLICIES {
            for load in [Load::Busy, Load::Sleepy] {
                for vms in [1, 2, 30] {
                    let setup = Setup {
                        policy,
                        engines: 1,
                        vms,
                        load,
                    };
                    let recording = record(setup, 500).unwrap();
                    let mut scheduler = setup.scheduler().unwrap();
                    let mut actions = Actions::new();
                    let all = recording.beginning.iter().chain(&recording.steps);
                    for step in all {
                        actions.clear();
                        scheduler.on(step.at, step.event, &mut actions).unwrap();
                    }
                    let used = scheduler.busy(EngineId(0)).unwrap();
                    assert!(used > Nanos(0), "{setup:?}");
                }
            }
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between the world and whoever decides who runs: the real scheduler or a comparator.

use rondo_scheduler::{
    Action, Actions, EngineId, Event, Nanos, Policy, Ppm, Scheduler, SchedulerConfig,
    SchedulerError, VmId, VmProfile,
};

use crate::comparators::{
    DrmFair, Eevdf, GvtG, RoundRobin, Wf2qActive, amd_fairness, nvidia_strict,
};
use crate::contender::Contender;
use crate::scenario::Vm;

/// What a VM has after a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// No more work.
    Nothing,
    /// More work; its next unit is at most this long, if anybody can know that.
    Unit(Option<u64>),
}

/// Who runs the next unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This VM. It must have work.
    Run(usize),
    /// Nobody, until somebody gets work or this instant comes, which must be in the future.
    Idle(Option<u64>),
}

/// Decides who runs. VMs are named by their place in the scenario; instants never go back.
pub trait Arbiter {
    /// A VM without work got some; its next unit is at most `bound` long, if that is known.
    fn ready(&mut self, now: u64, vm: usize, bound: Option<u64>);
    /// The VM that ran ended a unit (or was reset) after `ran`.
    fn unit_done(&mut self, now: u64, vm: usize, ran: u64, next: Next);
    /// The engine is free: who is next? Asked after every change while it is.
    fn pick(&mut self, now: u64) -> Pick;
}

const ENGINE: EngineId = EngineId(0);

/// The scheduler that Rondo ships, driven as the adapter drives it, with `slice = 0`: the rule decides after each unit,
/// so that its bound is `c/share + L` to the nanosecond.
#[derive(Debug)]
pub struct Shipped {
    scheduler: Scheduler,
    actions: Actions,
    holder: Option<usize>,
    wake_at: Option<u64>,
}

impl Shipped {
    /// The scheduler with all VMs of a scenario, idle.
    ///
    /// # Errors
    /// If the policy does not admit one of the VMs.
    pub fn new(policy: Policy, vms: &[Vm]) -> Result<Self, SchedulerError> {
        let mut scheduler = Scheduler::new(SchedulerConfig { policy, engines: 1 })?;
        let mut actions = Actions::new();
        for (index, vm) in vms.iter().enumerate() {
            let profile = VmProfile {
                guarantee: Ppm::new(vm.share_ppm).unwrap_or(Ppm::WHOLE),
                slice: Nanos(0),
                max_unit: vm.declared_unit().map(Nanos),
                ..VmProfile::default()
            };
            // VMs without work: nothing is asked for yet.
            scheduler.on(
                Nanos(0),
                Event::AddVm {
                    vm: name(index),
                    profile,
                },
                &mut actions,
            )?;
        }
        Ok(Self {
            scheduler,
            actions,
            holder: None,
            wake_at: None,
        })
    }

    fn tell(&mut self, now: u64, event: Event) {
        if let Err(error) = self.scheduler.on(Nanos(now), event, &mut self.actions) {
            panic!("the scheduler refuses {event:?} at {now}: {error}");
        }
        for action in self.actions.drain() {
            match action {
                Action::Grant { vm, .. } => self.holder = usize::try_from(vm.0).ok(),
                Action::Revoke { .. } => self.holder = None,
                // Units cannot be cut here.
                Action::Preempt { .. } => {}
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

impl Arbiter for Shipped {
    fn ready(&mut self, now: u64, vm: usize, bound: Option<u64>) {
        self.announce(now, vm, bound);
        self.tell(now, Event::Ready { vm: name(vm) });
    }

    fn unit_done(&mut self, now: u64, vm: usize, ran: u64, next: Next) {
        if let Next::Unit(bound) = next {
            self.announce(now, vm, bound);
        }
        let more = next != Next::Nothing;
        let done = Event::UnitDone {
            engine: ENGINE,
            vm: name(vm),
            ran: Nanos(ran),
            more,
        };
        self.tell(now, done);
    }

    fn pick(&mut self, now: u64) -> Pick {
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            self.tell(now, Event::Timer);
        }
        self.holder.map_or(Pick::Idle(self.wake_at), Pick::Run)
    }
}

/// Whoever decides under `contender`.
///
/// # Errors
/// If the policy does not admit one of the VMs.
pub fn arbiter(contender: Contender, vms: &[Vm]) -> Result<Box<dyn Arbiter>, SchedulerError> {
    let shipped = |policy| -> Result<Box<dyn Arbiter>, SchedulerError> {
        Ok(Box::new(Shipped::new(policy, vms)?))
    };
    Ok(match contender {
        Contender::Guaranteed => shipped(Policy::Guaranteed)?,
        Contender::Fixed => shipped(Policy::Fixed)?,
        Contender::Fair => shipped(Policy::Fair)?,
        Contender::BestEffort => shipped(Policy::BestEffort)?,
        Contender::RoundRobin => Box::new(RoundRobin::default()),
        Contender::NvidiaStrict => Box::new(nvidia_strict(vms)),
        Contender::GvtG => Box::new(GvtG::new(vms)),
        Contender::AmdFairness => Box::new(amd_fairness(vms)),
        Contender::DrmFair => Box::new(DrmFair::new(vms)),
        Contender::Eevdf => Box::new(Eevdf::new(vms)),
        Contender::Wf2qActive => Box::new(Wf2qActive::new(vms)),
    })
}

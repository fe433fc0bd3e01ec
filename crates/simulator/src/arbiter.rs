// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between the world and whoever decides who runs: the real scheduler or a comparator.

use rondo_scheduler::SchedulerError;

use crate::comparators::{
    DrmFair, Eevdf, GvtG, RoundRobin, Wf2qActive, amd_fairness, nvidia_strict,
};
use crate::contender::Contender;
use crate::scenario::Scenario;
use crate::shipped::Shipped;

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

/// Decides who runs. VMs are named by their place in the scenario, engines by their number; instants never go back.
pub trait Arbiter {
    /// A VM without work got some; its next unit is at most `bound` long, if that is known.
    fn ready(&mut self, now: u64, vm: usize, bound: Option<u64>);
    /// The VM that ran on an engine ended a unit (or was reset) after `ran`.
    fn unit_done(&mut self, now: u64, engine: usize, vm: usize, ran: u64, next: Next);
    /// An engine is free: who is next? Asked after every change while it is.
    fn pick(&mut self, now: u64, engine: usize) -> Pick;

    /// Whether it watches for units that hang. Otherwise the world does.
    fn watches(&self) -> bool {
        false
    }
    /// When it wants [`Self::wake`], whatever the engines do.
    fn wake_at(&self) -> Option<u64> {
        None
    }
    /// The instant that [`Self::wake_at`] named has come.
    fn wake(&mut self, _now: u64) {}
    /// An engine whose unit hangs and is to be killed now; each is told once.
    fn reset_due(&mut self) -> Option<usize> {
        None
    }
    /// A VM that is locked out from now on; each is told once.
    fn locked_out(&mut self) -> Option<usize> {
        None
    }
}

/// Whoever decides under `contender`.
///
/// # Errors
/// If the policy does not admit one of the VMs.
///
/// # Panics
/// If a comparator is asked to drive more than one engine: there are none of those.
pub fn arbiter(
    contender: Contender,
    scenario: &Scenario,
) -> Result<Box<dyn Arbiter>, SchedulerError> {
    if let Some(policy) = contender.policy() {
        return Ok(Box::new(Shipped::new(policy, scenario)?));
    }
    assert!(
        scenario.engines == 1,
        "{} drives one engine",
        contender.name()
    );
    let vms = &scenario.vms;
    Ok(match contender {
        Contender::NvidiaStrict => Box::new(nvidia_strict(vms)),
        Contender::GvtG => Box::new(GvtG::new(vms)),
        Contender::AmdFairness => Box::new(amd_fairness(vms)),
        Contender::DrmFair => Box::new(DrmFair::new(vms)),
        Contender::Eevdf => Box::new(Eevdf::new(vms)),
        Contender::Wf2qActive => Box::new(Wf2qActive::new(vms)),
        _ => Box::new(RoundRobin::default()),
    })
}

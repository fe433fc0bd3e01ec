// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One run: a scenario, who decides, a seed; out come the trace and the report.

use rondo_scheduler::SchedulerError;

use crate::arbiter::arbiter;
use crate::contender::Contender;
use crate::metrics::{Meter, Report};
use crate::scenario::Scenario;
use crate::trace::{FNV_START, Trace, fnv};
use crate::world::{self, Interval, Observer, Request};

/// What a run left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Every interval of each engine.
    pub traces: Vec<Trace>,
    /// What they amount to.
    pub report: Report,
}

impl Outcome {
    /// What tells this run from another one: the hash of its trace, or of those of all engines, one after the other.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        match &self.traces[..] {
            [one] => one.hash(),
            several => several
                .iter()
                .flat_map(|trace| trace.hash().to_le_bytes())
                .fold(FNV_START, fnv),
        }
    }
}

struct Watchers {
    meter: Meter,
    traces: Vec<Trace>,
}

impl Observer for Watchers {
    fn arrived(&mut self, request: &Request) {
        self.meter.arrived(request);
    }

    fn passed(&mut self, interval: &Interval) {
        self.meter.passed(interval);
        self.traces[interval.engine].add(interval);
    }

    fn ended(&mut self, request: &Request, end: u64, hung: bool) {
        self.meter.ended(request, end, hung);
    }
}

/// Runs a scenario under a contender; the rows of the trace are kept if `keep_trace`, its hash always.
///
/// # Errors
/// If the contender does not admit one of the VMs.
pub fn simulate(
    scenario: &Scenario,
    contender: Contender,
    seed: u64,
    keep_trace: bool,
) -> Result<Outcome, SchedulerError> {
    let mut watchers = Watchers {
        meter: Meter::new(scenario, true),
        traces: vec![Trace::new(scenario, keep_trace); usize::from(scenario.engines)],
    };
    let mut arbiter = arbiter(contender, scenario)?;
    world::run(scenario, seed, arbiter.as_mut(), &mut watchers);
    Ok(Outcome {
        report: watchers.meter.report(scenario),
        traces: watchers.traces,
    })
}

/// How long each request of a VM that ended took, the shortest first.
///
/// # Errors
/// If the contender does not admit one of the VMs.
pub fn latencies(
    scenario: &Scenario,
    contender: Contender,
    seed: u64,
    vm: usize,
) -> Result<Vec<u64>, SchedulerError> {
    let mut meter = Meter::new(scenario, false);
    let mut arbiter = arbiter(contender, scenario)?;
    world::run(scenario, seed, arbiter.as_mut(), &mut meter);
    let mut latencies = meter.latencies(vm).to_vec();
    latencies.sort_unstable();
    Ok(latencies)
}

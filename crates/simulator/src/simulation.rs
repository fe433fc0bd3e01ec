// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One run: a scenario, who decides, a seed; out come the trace and the report.

use rondo_scheduler::SchedulerError;

use crate::arbiter::arbiter;
use crate::contender::Contender;
use crate::metrics::{Meter, Report};
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::world::{self, Interval, Observer, Request};

/// What a run left.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Every interval.
    pub trace: Trace,
    /// What they amount to.
    pub report: Report,
}

struct Watchers {
    meter: Meter,
    trace: Trace,
}

impl Observer for Watchers {
    fn arrived(&mut self, request: &Request) {
        self.meter.arrived(request);
    }

    fn passed(&mut self, interval: &Interval) {
        self.meter.passed(interval);
        self.trace.add(interval);
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
        trace: Trace::new(scenario, keep_trace),
    };
    let mut arbiter = arbiter(contender, &scenario.vms)?;
    world::run(scenario, seed, arbiter.as_mut(), &mut watchers);
    Ok(Outcome {
        report: watchers.meter.report(scenario),
        trace: watchers.trace,
    })
}

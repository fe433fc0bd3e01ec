// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Earliest eligible virtual deadline first, after Stoica and Abdel-Wahab and the documentation of Linux.
//!
//! It re-expresses that description, not the code: requests of 1 ms; eligible is who is not ahead of the weighted mean of
//! those who have work; the earliest deadline of these is next. What a VM owes survives its sleep until the
//! others have caught up (as with Linux's deferred dequeue); what it is owed does up to one request.

use super::{SCALE, virtual_length};
use crate::arbiter::{Arbiter, Next, Pick};
use crate::scenario::{MS, Vm};

const REQUEST: u64 = MS;

#[derive(Clone, Debug)]
struct Task {
    weight: u64,
    runtime: i128,
    deadline: i128,
    /// While it sleeps: what it was owed, as how far it was behind the mean.
    lag: i128,
    ready: bool,
}

impl Task {
    fn renew(&mut self) {
        self.deadline = self.runtime + virtual_length(REQUEST, self.weight);
    }
}

/// The tasks, and the mean of the last ones that had work.
#[derive(Debug)]
pub struct Eevdf {
    tasks: Vec<Task>,
    last_mean: i128,
}

impl Eevdf {
    /// The policy for these VMs.
    pub fn new(vms: &[Vm]) -> Self {
        let task = |vm: &Vm| Task {
            weight: vm.weight(),
            runtime: 0,
            deadline: 0,
            lag: 0,
            ready: false,
        };
        Self {
            tasks: vms.iter().map(task).collect(),
            last_mean: 0,
        }
    }

    /// The weighted mean of the runtimes, rounded down, of those who have work.
    fn mean(&mut self) -> i128 {
        let ready = || self.tasks.iter().filter(|task| task.ready);
        let weights: i128 = ready().map(|task| i128::from(task.weight)).sum();
        // Distances to the last mean are small, so the products are far from the end of the range.
        let base = self.last_mean;
        let sum: i128 = ready()
            .map(|task| (task.runtime - base) * i128::from(task.weight))
            .sum();
        if weights > 0 {
            self.last_mean = base + sum.div_euclid(weights);
        }
        self.last_mean
    }
}

impl Arbiter for Eevdf {
    fn ready(&mut self, _now: u64, vm: usize, _bound: Option<u64>) {
        let mean = self.mean();
        let task = &mut self.tasks[vm];
        // A debt is paid once the mean has passed it.
        task.runtime = task.runtime.max(mean - task.lag);
        task.ready = true;
        task.renew();
    }

    fn unit_done(&mut self, _now: u64, _engine: usize, vm: usize, ran: u64, next: Next) {
        let task = &mut self.tasks[vm];
        task.runtime += virtual_length(ran, task.weight);
        if task.runtime >= task.deadline {
            task.renew();
        }
        if next == Next::Nothing {
            let mean = self.mean();
            let task = &mut self.tasks[vm];
            task.lag = (mean - task.runtime).clamp(0, virtual_length(REQUEST, task.weight));
            task.ready = false;
        }
    }

    fn pick(&mut self, _now: u64, _engine: usize) -> Pick {
        // One virtual nanosecond of leave for the rounding of the mean: somebody is always eligible.
        let mean = self.mean() + SCALE / 1_000_000;
        let ready = self
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| task.ready && task.runtime <= mean);
        let first = ready.min_by_key(|(_, task)| task.deadline);
        first.map_or(Pick::Idle(None), |(vm, _)| Pick::Run(vm))
    }
}

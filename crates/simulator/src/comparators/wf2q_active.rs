// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! WF2Q+ on a clock of the active shares, after Bennett and Zhang: the same tags as `guaranteed`, another clock.
//!
//! It re-expresses that public description. Virtual time advances by the work done over the sum of the shares *that have
//! work*; start tags, finish tags and eligibility are those of WF2Q+. Where the next unit's length is not known, the
//! longest so far is expected.

use super::{SCALE, virtual_length};
use crate::arbiter::{Arbiter, Next, Pick};
use crate::scenario::{MS, Vm};

#[derive(Clone, Debug)]
struct Flow {
    weight: u64,
    start: i128,
    finish: i128,
    longest: u64,
    ready: bool,
}

impl Flow {
    fn tag(&mut self, bound: Option<u64>) {
        self.finish = self.start + virtual_length(bound.unwrap_or(self.longest), self.weight);
    }
}

/// The tags and virtual time.
#[derive(Debug)]
pub struct Wf2qActive {
    flows: Vec<Flow>,
    now: i128,
}

impl Wf2qActive {
    /// The policy for these VMs.
    pub fn new(vms: &[Vm]) -> Self {
        let flow = |vm: &Vm| Flow {
            weight: vm.weight(),
            start: 0,
            finish: 0,
            longest: MS,
            ready: false,
        };
        Self {
            flows: vms.iter().map(flow).collect(),
            now: 0,
        }
    }
}

impl Arbiter for Wf2qActive {
    fn ready(&mut self, _now: u64, vm: usize, bound: Option<u64>) {
        let flow = &mut self.flows[vm];
        flow.start = flow.start.max(self.now);
        flow.ready = true;
        flow.tag(bound);
    }

    fn unit_done(&mut self, _now: u64, _engine: usize, vm: usize, ran: u64, next: Next) {
        let active: u64 = self
            .flows
            .iter()
            .filter(|flow| flow.ready)
            .map(|flow| flow.weight)
            .sum();
        self.now += i128::from(ran) * SCALE / i128::from(active.max(1));
        let flow = &mut self.flows[vm];
        flow.longest = flow.longest.max(ran);
        flow.start += virtual_length(ran, flow.weight);
        match next {
            Next::Nothing => flow.ready = false,
            Next::Unit(bound) => flow.tag(bound),
        }
    }

    fn pick(&mut self, _now: u64, _engine: usize) -> Pick {
        let starts = self
            .flows
            .iter()
            .filter(|flow| flow.ready)
            .map(|flow| flow.start);
        let Some(first) = starts.min() else {
            return Pick::Idle(None);
        };
        self.now = self.now.max(first);
        let due = |(_, flow): &(usize, &Flow)| flow.ready && flow.start <= self.now;
        let best = self
            .flows
            .iter()
            .enumerate()
            .filter(due)
            .min_by_key(|(_, flow)| flow.finish);
        best.map_or(Pick::Idle(None), |(vm, _)| Pick::Run(vm))
    }
}

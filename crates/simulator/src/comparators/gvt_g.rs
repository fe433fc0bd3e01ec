// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `tbs` (time-based) policy of Intel GVT-g, after the public source of the Linux driver and the gVirt paper.
//!
//! It re-expresses that description, not the product: each 100 ms every VM gets a budget by weight, what is left or owed
//! goes over to the next stage and is forgotten after ten; on a tick of 1 ms the engine goes to the VM that waited
//! longest of those with work and budget. With no budget left the engine idles. Kinder than the description: it also
//! decides anew when the VM of the tick runs out of work.

use crate::arbiter::{Arbiter, Next, Pick};
use crate::scenario::{MS, Vm};

const TICK: u64 = MS;
const STAGE: u64 = 100 * MS;
const STAGES: u64 = 10;

#[derive(Debug)]
struct Client {
    fair: i64,
    left: i64,
    ready: bool,
}

/// Budgets, the order of turns, and the clock of ticks and stages.
#[derive(Debug)]
pub struct GvtG {
    clients: Vec<Client>,
    turns: Vec<usize>,
    current: Option<usize>,
    tick_end: u64,
    stages: u64,
}

impl GvtG {
    /// The policy for these VMs.
    pub fn new(vms: &[Vm]) -> Self {
        let sum: u64 = vms.iter().map(Vm::weight).sum();
        let client = |vm: &Vm| {
            let fair = i64::try_from(STAGE * vm.weight() / sum).unwrap_or(i64::MAX);
            Client {
                fair,
                left: 0,
                ready: false,
            }
        };
        Self {
            clients: vms.iter().map(client).collect(),
            turns: (0..vms.len()).collect(),
            current: None,
            tick_end: 0,
            stages: 0,
        }
    }

    fn runs(&self, vm: usize) -> bool {
        self.clients[vm].ready && self.clients[vm].left > 0
    }

    fn open_stages(&mut self, now: u64) {
        while self.stages * STAGE <= now {
            let amnesty = self.stages.is_multiple_of(STAGES);
            for client in &mut self.clients {
                client.left = if amnesty {
                    client.fair
                } else {
                    client.left.saturating_add(client.fair)
                };
            }
            self.stages += 1;
        }
    }
}

impl Arbiter for GvtG {
    fn ready(&mut self, _now: u64, vm: usize, _bound: Option<u64>) {
        self.clients[vm].ready = true;
    }

    fn unit_done(&mut self, _now: u64, _engine: usize, vm: usize, ran: u64, next: Next) {
        let client = &mut self.clients[vm];
        client.ready = next != Next::Nothing;
        client.left = client
            .left
            .saturating_sub(i64::try_from(ran).unwrap_or(i64::MAX));
    }

    fn pick(&mut self, now: u64, _engine: usize) -> Pick {
        self.open_stages(now);
        let keeps = |vm: &usize| now < self.tick_end && self.runs(*vm);
        if self.current.filter(keeps).is_none() {
            self.current = None;
            if let Some(at) = self.turns.iter().position(|&vm| self.runs(vm)) {
                let vm = self.turns.remove(at);
                self.turns.push(vm);
                self.current = Some(vm);
                self.tick_end = (now / TICK + 1) * TICK;
            }
        }
        self.current
            .map_or(Pick::Idle(Some(self.stages * STAGE)), Pick::Run)
    }
}

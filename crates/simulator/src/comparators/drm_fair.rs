// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The fair policy of Linux's DRM scheduler, after its public patches.
//!
//! It re-expresses that description, not the code: the smallest virtual runtime is next, true time is charged by weight,
//! and who wakes starts at the smallest runtime of those who have work plus what it was ahead of that when it slept. Equal
//! ones are told apart by the mean length of their units.

use super::virtual_length;
use crate::arbiter::{Arbiter, Next, Pick};
use crate::scenario::Vm;

#[derive(Clone, Debug)]
struct Entity {
    weight: u64,
    /// Its virtual runtime; while it sleeps, how far it was ahead.
    runtime: i128,
    mean: u64,
    ready: bool,
}

/// The runtimes.
#[derive(Debug)]
pub struct DrmFair {
    entities: Vec<Entity>,
    /// The smallest runtime of those who have work; never goes back.
    least: i128,
}

impl DrmFair {
    /// The policy for these VMs.
    pub fn new(vms: &[Vm]) -> Self {
        let entity = |vm: &Vm| Entity {
            weight: vm.weight(),
            runtime: 0,
            mean: 0,
            ready: false,
        };
        Self {
            entities: vms.iter().map(entity).collect(),
            least: 0,
        }
    }

    fn update_least(&mut self) {
        let least = self
            .entities
            .iter()
            .filter(|entity| entity.ready)
            .map(|entity| entity.runtime)
            .min();
        self.least = self.least.max(least.unwrap_or(self.least));
    }
}

impl Arbiter for DrmFair {
    fn ready(&mut self, _now: u64, vm: usize, _bound: Option<u64>) {
        self.update_least();
        let entity = &mut self.entities[vm];
        entity.runtime += self.least;
        entity.ready = true;
    }

    fn unit_done(&mut self, _now: u64, _engine: usize, vm: usize, ran: u64, next: Next) {
        let entity = &mut self.entities[vm];
        entity.runtime += virtual_length(ran, entity.weight);
        entity.mean = if entity.mean == 0 {
            ran
        } else {
            (entity.mean * 7 + ran) / 8
        };
        self.update_least();
        let entity = &mut self.entities[vm];
        if next == Next::Nothing {
            entity.ready = false;
            entity.runtime = (entity.runtime - self.least).max(0);
        }
    }

    fn pick(&mut self, _now: u64, _engine: usize) -> Pick {
        let ready = self
            .entities
            .iter()
            .enumerate()
            .filter(|(_, entity)| entity.ready);
        let first = ready.min_by_key(|(_, entity)| (entity.runtime, entity.mean));
        first.map_or(Pick::Idle(None), |(vm, _)| Pick::Run(vm))
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Slots in a fixed order, one for each configured VM, used or not: what the fixed-share products have in common. They
//! differ in what becomes of an overrun.

use crate::arbiter::{Arbiter, Next, Pick};
use crate::scenario::Vm;

/// The length of the next slot, given the plain length and the debt, which it pays down. Zero: the turn is skipped, and
/// the debt must have become smaller.
pub type Repay = fn(plain: u64, debt: &mut u64) -> u64;

#[derive(Debug)]
struct Owner {
    plain: u64,
    debt: u64,
    ready: bool,
}

/// The ring of slots.
#[derive(Debug)]
pub struct Slots {
    owners: Vec<Owner>,
    current: usize,
    slot_end: u64,
    repay: Repay,
}

impl Slots {
    /// Slots of `mean` ns on average, proportional to the shares.
    pub fn new(vms: &[Vm], mean: u64, repay: Repay) -> Self {
        let sum: u128 = vms.iter().map(|vm| u128::from(vm.weight())).sum();
        let round = u128::from(mean) * vms.len() as u128;
        let owner = |vm: &Vm| Owner {
            plain: u64::try_from(round * u128::from(vm.weight()) / sum)
                .unwrap_or(mean)
                .max(1),
            debt: 0,
            ready: false,
        };
        // The last slot has just ended: the first pick opens that of the first VM.
        Self {
            owners: vms.iter().map(owner).collect(),
            current: vms.len().saturating_sub(1),
            slot_end: 0,
            repay,
        }
    }
}

impl Arbiter for Slots {
    fn ready(&mut self, _now: u64, vm: usize, _bound: Option<u64>) {
        self.owners[vm].ready = true;
    }

    fn unit_done(&mut self, now: u64, _engine: usize, vm: usize, _ran: u64, next: Next) {
        let owner = &mut self.owners[vm];
        owner.ready = next != Next::Nothing;
        owner.debt += now.saturating_sub(self.slot_end);
    }

    fn pick(&mut self, now: u64, _engine: usize) -> Pick {
        while self.slot_end <= now {
            self.current = (self.current + 1) % self.owners.len();
            let owner = &mut self.owners[self.current];
            let length = (self.repay)(owner.plain, &mut owner.debt);
            if length > 0 {
                // An overrun puts off all slots after it; an idle slot ends on time, since the ring asks to be woken.
                self.slot_end = now + length;
            }
        }
        if self.owners[self.current].ready {
            Pick::Run(self.current)
        } else {
            Pick::Idle(Some(self.slot_end))
        }
    }
}

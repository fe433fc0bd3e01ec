// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Round robin without charges: one unit each, in turn, among those who have work; the plainest best effort.
//!
//! It re-expresses the public descriptions of NVIDIA's *best effort* (idle turns are skipped) and of AMD's *round robin*
//! mode (active functions only, nothing is charged). Shares are not known to it.

use std::collections::VecDeque;

use crate::arbiter::{Arbiter, Next, Pick};

/// The turns.
#[derive(Debug, Default)]
pub struct RoundRobin {
    queue: VecDeque<usize>,
}

impl Arbiter for RoundRobin {
    fn ready(&mut self, _now: u64, vm: usize, _bound: Option<u64>) {
        self.queue.push_back(vm);
    }

    fn unit_done(&mut self, _now: u64, _engine: usize, _vm: usize, _ran: u64, next: Next) {
        // Whoever ran is in front.
        if let Some(vm) = self.queue.pop_front()
            && next != Next::Nothing
        {
            self.queue.push_back(vm);
        }
    }

    fn pick(&mut self, _now: u64, _engine: usize) -> Pick {
        self.queue
            .front()
            .map_or(Pick::Idle(None), |&vm| Pick::Run(vm))
    }
}

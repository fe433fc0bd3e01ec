// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A renderer whose units are as long as they should be, and which remembers when each began and ended.

use std::collections::VecDeque;
use std::hint;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rondo_adapter::clock::Clock;
use rondo_adapter::gpu::RendererFactory;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress, Renderer, Work};
use rondo_scheduler::Nanos;

/// Units that are remembered; later ones are not.
const ROOM: usize = 1 << 18;

/// A unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ran {
    /// When it began.
    pub began: Nanos,
    /// When it ended.
    pub ended: Nanos,
}

/// What a VM's renderer is told, and what it remembers.
#[derive(Debug)]
pub struct Lane {
    unit: Nanos,
    units_a_command: u32,
    records: AtomicBool,
    stopped: AtomicBool,
    ran: Mutex<Vec<Ran>>,
}

impl Lane {
    /// Units of this length, so many a command.
    pub fn new(unit: Nanos, units_a_command: u32) -> Self {
        let nothing = Ran {
            began: Nanos(0),
            ended: Nanos(0),
        };
        // Written once now, so that no unit meets a page that is not there yet.
        let mut ran = vec![nothing; ROOM];
        ran.clear();
        Self {
            unit,
            units_a_command,
            records: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            ran: Mutex::new(ran),
        }
    }

    /// Whether units are remembered from now on.
    pub fn record(&self, records: bool) {
        self.records.store(records, Ordering::SeqCst);
    }

    /// From now on each unit ends its command at once.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// What was remembered.
    pub fn take(&self) -> Vec<Ran> {
        std::mem::take(&mut self.ran())
    }

    fn ran(&self) -> MutexGuard<'_, Vec<Ran>> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a renderer for each VM: the first lane is the first VM's.
#[derive(Debug)]
pub(super) struct Spinners {
    clock: Arc<dyn Clock>,
    lanes: Mutex<VecDeque<Arc<Lane>>>,
}

impl Spinners {
    pub(super) fn new(clock: &Arc<dyn Clock>, lanes: &[Arc<Lane>]) -> Self {
        Self {
            clock: Arc::clone(clock),
            lanes: Mutex::new(lanes.iter().cloned().collect()),
        }
    }
}

impl RendererFactory for Spinners {
    fn build(&self) -> Box<dyn Renderer> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.pop_front();
        debug_assert!(lane.is_some(), "more VMs than lanes");
        Box::new(Spinner {
            clock: Arc::clone(&self.clock),
            lane: lane.unwrap_or_else(|| Arc::new(Lane::new(Nanos(0), 1))),
            units: 0,
        })
    }
}

#[derive(Debug)]
struct Spinner {
    clock: Arc<dyn Clock>,
    lane: Arc<Lane>,
    units: u32,
}

impl Renderer for Spinner {
    fn run(&mut self, _work: &mut Work, _budget: UnitBudget) -> Progress {
        let began = self.clock.now();
        let mut ended = began;
        let stopped = self.lane.stopped.load(Ordering::Relaxed);
        while !stopped && ended.0.saturating_sub(began.0) < self.lane.unit.0 {
            hint::spin_loop();
            ended = self.clock.now();
        }
        if self.lane.records.load(Ordering::Relaxed) {
            let mut ran = self.lane.ran();
            if ran.len() < ran.capacity() {
                ran.push(Ran { began, ended });
            }
        }
        self.units = self.units.saturating_add(1);
        if stopped || self.units >= self.lane.units_a_command {
            self.units = 0;
            Progress::Done
        } else {
            Progress::Preempted
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The software GPU with its real threads, and VMs on it whose units are as long as the measurement wants them.

mod guest;
mod spinner;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rondo_adapter::adapter::Adapter;
use rondo_adapter::clock::{Clock, MonotonicClock};
use rondo_adapter::ddi::{DdiResult, PriorityBands};
use rondo_adapter::gpu::{SoftwareGpu, SoftwareGpuConfig};
use rondo_adapter::scheduling_log::SchedulingLog;
use rondo_adapter::thread_priority::PromptWorkers;
use rondo_scheduler::{Nanos, Ppm};

pub use guest::Guest;
pub use spinner::{Lane, Ran};

/// The slice of a VM that nobody has given another one.
pub const DEFAULT_SLICE: Nanos = rondo_adapter::gpu::DEFAULT_PROFILE.slice;

/// What a VM is and does.
#[derive(Clone, Copy, Debug)]
pub struct VmPlan {
    /// Its guarantee.
    pub guarantee: Ppm,
    /// Its slice.
    pub slice: Nanos,
    /// How long each of its units is; declared to the scheduler with a tenth more, for what the adapter adds.
    pub unit: Nanos,
    /// Units of a command.
    pub units_a_command: u32,
    /// Whether it always has work. If not, somebody submits for it.
    pub busy: bool,
    /// Contexts of its one process, which take turns after each unit if there are several.
    pub contexts: u32,
}

impl VmPlan {
    /// A VM that is always busy with commands without end.
    pub const fn busy(guarantee: Ppm, unit: Nanos) -> Self {
        Self {
            guarantee,
            slice: DEFAULT_SLICE,
            unit,
            units_a_command: u32::MAX,
            busy: true,
            contexts: 1,
        }
    }
}

/// What a VM did in the time that was measured.
#[derive(Clone, Debug)]
pub struct VmRun {
    /// What it was charged.
    pub charged: Nanos,
    /// Its units, in order.
    pub units: Vec<Ran>,
}

/// What all did.
#[derive(Clone, Debug)]
pub struct Run {
    /// When the measured time began.
    pub began: Nanos,
    /// When it ended.
    pub ended: Nanos,
    /// By VM.
    pub vms: Vec<VmRun>,
}

impl Run {
    /// How long it was.
    pub const fn elapsed(&self) -> u64 {
        self.ended.0.saturating_sub(self.began.0)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Gpu {
    adapter: Arc<Adapter>,
    /// The clock of the GPU and of the units.
    pub clock: Arc<dyn Clock>,
    /// The VMs.
    pub guests: Vec<Arc<Guest>>,
    lanes: Vec<Arc<Lane>>,
}

impl Gpu {
    /// A GPU with these VMs, under `guaranteed`, on one engine; worker threads ask for what those of `rondo` do.
    pub fn new(plans: &[VmPlan]) -> DdiResult<Self> {
        Self::with(plans, PromptWorkers::engine())
    }

    /// The same with worker threads that ask for this.
    pub fn with(plans: &[VmPlan], workers: PromptWorkers) -> DdiResult<Self> {
        let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
        let lanes: Vec<_> = (plans.iter())
            .map(|plan| Arc::new(Lane::new(plan.unit, plan.units_a_command)))
            .collect();
        let config = SoftwareGpuConfig {
            clock: Arc::clone(&clock),
            renderer: Arc::new(spinner::Spinners::new(&clock, &lanes)),
            worker_hook: Some(Arc::new(workers)),
            ..SoftwareGpuConfig::default()
        };
        let adapter = Adapter::start(
            Arc::new(SoftwareGpu::new(config)?),
            &PriorityBands::default(),
        )?;
        let guests: DdiResult<Vec<_>> = (plans.iter().zip(1..))
            .map(|(plan, number)| Guest::new(&adapter, number, plan))
            .collect();
        Ok(Self {
            adapter,
            clock,
            guests: guests?,
            lanes,
        })
    }

    /// Lets all that are busy work, waits a little, and measures while `meanwhile` runs.
    pub fn measure(&self, plans: &[VmPlan], meanwhile: impl FnOnce(&Self)) -> DdiResult<Run> {
        for (guest, _) in self.guests.iter().zip(plans).filter(|(_, plan)| plan.busy) {
            guest.start()?;
        }
        thread::sleep(Duration::from_millis(50));
        let before = self.charged()?;
        let began = self.clock.now();
        for lane in &self.lanes {
            lane.record(true);
        }
        meanwhile(self);
        for lane in &self.lanes {
            lane.record(false);
        }
        let after = self.charged()?;
        let ended = self.clock.now();
        for (guest, lane) in self.guests.iter().zip(&self.lanes) {
            guest.stop();
            lane.stop();
        }
        let vms = (before.iter().zip(&after).zip(&self.lanes))
            .map(|((before, after), lane)| VmRun {
                charged: Nanos(after.0.saturating_sub(before.0)),
                units: lane.take(),
            })
            .collect();
        Ok(Run { began, ended, vms })
    }

    /// Writes what the contexts of a VM do to a log, or to none.
    pub fn log(&self, vm: usize, log: Option<Arc<SchedulingLog>>) -> DdiResult<()> {
        self.guests[vm].log(&self.adapter, log)
    }

    fn charged(&self) -> DdiResult<Vec<Nanos>> {
        self.guests.iter().map(|guest| guest.charged()).collect()
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        for (guest, lane) in self.guests.iter().zip(&self.lanes) {
            guest.stop();
            lane.stop();
        }
        self.adapter.stop();
    }
}

/// `percent` hundredths of an engine.
pub fn percent(percent: u32) -> Ppm {
    Ppm::new(percent.saturating_mul(10_000)).unwrap_or(Ppm::WHOLE)
}

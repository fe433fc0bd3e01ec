// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a software GPU is told at its birth.

use std::fmt::Debug;
use std::sync::Arc;

use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::Renderer;
use rondo_scheduler::SchedulerConfig;

use crate::clock::{Clock, MonotonicClock};
use crate::journal::JournalSink;
use crate::thread_priority::PromptWorkers;

/// Makes the renderer of each VM's worker.
pub trait RendererFactory: Debug + Send + Sync {
    /// A new one, for one thread.
    fn build(&self) -> Box<dyn Renderer>;

    /// A new one whose units can be aborted, with the means to do so; without, what hangs is abandoned.
    fn build_abortable(&self) -> (Box<dyn Renderer>, Option<Arc<dyn AbortUnit>>) {
        (self.build(), None)
    }
}

/// Ends the unit that a renderer runs, from another thread.
pub trait AbortUnit: Debug + Send + Sync {
    /// Makes the running call of [`Renderer::run`] return soon, whatever it does, and returns once the unit uses the engine no
    /// more: a process that renders is killed. The renderer is not asked to run anything again. Nobody waits for the call to
    /// return: its result is dropped.
    fn abort(&self);
}

/// [`SoftwareRenderer`] for everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareRenderers;

impl RendererFactory for SoftwareRenderers {
    fn build(&self) -> Box<dyn Renderer> {
        Box::new(SoftwareRenderer)
    }
}

/// Something to do on each worker thread before its first unit, and on the thread of the scheduler's timer, such as asking the
/// kernel for short waits.
pub trait WorkerHook: Debug + Send + Sync {
    /// Runs on the thread itself. Says where it may run from then on, if it is a worker's.
    fn on_start(&self) -> Placement;

    /// Runs on a worker's thread, between two units, if it has held its engine nearly all the time: `rests`, it makes room for
    /// others on its core for some hundredths of a second; else it need not any more.
    fn on_rest(&self, rests: bool) {
        let _ = rests;
    }
}

/// Where a worker's thread may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// Where it may run already.
    #[default]
    Anywhere,
    /// On its engine's core alone, which is one of two and changes many times a second. For threads that nobody who shares the
    /// core can keep waiting. Where the process may run on fewer than two cores for each engine, they run anywhere.
    EnginesCore,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct SoftwareGpuConfig {
    /// How VMs share the engines, and how many units may run at the same time.
    pub scheduler: SchedulerConfig,
    /// Who hears what the scheduler is told and answers, from its first event on.
    pub journal: Option<Arc<dyn JournalSink>>,
    /// How much one unit may do: the longest time that a VM waits for another one to stop.
    pub unit_budget: UnitBudget,
    /// Whether the host vouches for memory isolation, so that secure VMs are let in.
    pub isolation: bool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What runs units.
    pub renderer: Arc<dyn RendererFactory>,
    /// What worker threads do first; `None`: nothing.
    pub worker_hook: Option<Arc<dyn WorkerHook>>,
}

impl Default for SoftwareGpuConfig {
    /// One engine, guaranteed shares, units of the default budget, prompt workers; no secure VMs, since all VMs' work runs in one
    /// address space.
    fn default() -> Self {
        Self {
            scheduler: SchedulerConfig::default(),
            journal: None,
            unit_budget: UnitBudget::default(),
            isolation: false,
            clock: Arc::new(MonotonicClock::new()),
            renderer: Arc::new(SoftwareRenderers),
            worker_hook: Some(Arc::new(PromptWorkers::default())),
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a software GPU is told at its birth.

use std::fmt::Debug;
use std::sync::Arc;

use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::Renderer;
use rondo_scheduler::Policy;

use crate::clock::{Clock, MonotonicClock};
use crate::thread_priority::PromptWorkers;

/// Makes the renderer of each VM's worker.
pub trait RendererFactory: Debug + Send + Sync {
    /// A new one, for one thread.
    fn build(&self) -> Box<dyn Renderer>;
}

/// [`SoftwareRenderer`] for everybody.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareRenderers;

impl RendererFactory for SoftwareRenderers {
    fn build(&self) -> Box<dyn Renderer> {
        Box::new(SoftwareRenderer)
    }
}

/// Something to do on each worker thread before its first unit, such as asking the kernel for short waits.
pub trait WorkerHook: Debug + Send + Sync {
    /// Runs on the worker thread.
    fn on_start(&self);
}

/// See the module.
#[derive(Clone, Debug)]
pub struct SoftwareGpuConfig {
    /// How VMs share the engines.
    pub policy: Policy,
    /// Units that may run at the same time.
    pub engines: u16,
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
            policy: Policy::default(),
            engines: 1,
            unit_budget: UnitBudget::default(),
            isolation: false,
            clock: Arc::new(MonotonicClock::new()),
            renderer: Arc::new(SoftwareRenderers),
            worker_hook: Some(Arc::new(PromptWorkers::default())),
        }
    }
}

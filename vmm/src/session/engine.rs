// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The GPU of a session: a software GPU as wide as the user said, with the scheduler that the user chose.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use rondo_adapter::adapter::Adapter;
use rondo_adapter::clock::Clock;
use rondo_adapter::ddi::PriorityBands;
use rondo_adapter::gpu::{SoftwareGpu, SoftwareGpuConfig};
use rondo_adapter::journal::JournalSink;
use rondo_adapter::status::NtStatus;
use rondo_adapter::thread_priority::PromptWorkers;
use rondo_scheduler::{Ppm, SchedulerConfig};

use crate::config::{Share, Sharing};

/// Starts the GPU, without VMs. All that its scheduler is told and answers goes into the journal.
///
/// # Errors
/// The host has no thread left.
pub fn open(
    sharing: &Sharing,
    clock: Arc<dyn Clock>,
    journal: Option<Arc<dyn JournalSink>>,
) -> Result<Arc<Adapter>, NtStatus> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let gpu = SoftwareGpu::new(SoftwareGpuConfig {
        scheduler: SchedulerConfig {
            policy: sharing.policy.policy(),
            engines: sharing.engines,
            reserve: ppm(sharing.reserve),
            host_guarantee: ppm(sharing.host_guarantee),
            quarantine: sharing.quarantine.quarantine(),
        },
        clock,
        journal,
        worker_hook: Some(Arc::new(workers(cores, usize::from(sharing.engines)))),
        ..SoftwareGpuConfig::default()
    })?;
    Adapter::start(Arc::new(gpu), &PriorityBands::default())
}

fn ppm(share: Share) -> Ppm {
    Ppm::new(share.0).unwrap_or(Ppm::WHOLE)
}

/// What GPU workers ask Linux for. As many of them run at a time as there are engines; only where a core is left beside them may
/// they run in real time, or no vCPU would.
fn workers(cores: usize, engines: usize) -> PromptWorkers {
    PromptWorkers {
        real_time: cores > engines,
        ..PromptWorkers::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_time_leaves_a_core_for_the_vcpus() {
        assert!(workers(2, 1).real_time && workers(8, 4).real_time);
        assert!(!workers(1, 1).real_time && !workers(4, 4).real_time);
    }
}

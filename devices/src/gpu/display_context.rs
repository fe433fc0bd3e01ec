// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The driver objects that 2D work runs in: the VM process "display", its device, its context and its hardware queue.
//!
//! They live from DRIVER_OK to reset. The VM's worker process outlives them: a reset does not touch the VM's identity.

use rondo_adapter::ddi::{
    ContextSchedulingProperties, CreateContext, CreateProcess, CreateProcessFlags, Ddi, DdiResult,
    GpuCommand, PriorityBand, SubmitCommand,
};
use rondo_adapter::handle::{ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle};

/// Context quantum: 2 ms, WDDM's usual one, in units of 100 ns.
const QUANTUM: u64 = 20_000;
/// Grace for a context of the same priority: 0.5 ms.
const GRACE_SAME: u64 = 5_000;
/// Grace for a context of lower priority, the smaller one: 0.25 ms.
const GRACE_LOWER: u64 = 2_500;
/// The node that copies and presents run on.
const NODE: u16 = 0;
/// The first and only suspension of the context, at its end.
const SUSPEND_FENCE: u64 = 1;

/// Handles of the objects.
#[derive(Debug)]
pub(crate) struct DisplayContext {
    pub(crate) process: KmdProcessHandle,
    device: DeviceHandle,
    context: ContextHandle,
    pub(crate) queue: HwQueueHandle,
    next_fence: u64,
}

impl DisplayContext {
    /// Creates the objects; what was created before a failure is destroyed again.
    pub(crate) fn create(ddi: &dyn Ddi, worker: KmdProcessHandle) -> DdiResult<Self> {
        let process = ddi.create_process(&CreateProcess {
            flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_PROCESS),
            worker: Some(worker),
            name: Some(String::from("display")),
        })?;
        let device = undo(ddi.create_device(process), || ddi.destroy_process(process))?;
        let destroy_device = || {
            ddi.destroy_device(device)?;
            ddi.destroy_process(process)
        };
        let context = undo(
            ddi.create_context(&CreateContext { device, node: NODE }),
            destroy_device,
        )?;
        let destroy_context = || {
            ddi.destroy_context(context)?;
            destroy_device()
        };
        let properties = ContextSchedulingProperties {
            context,
            band: PriorityBand::Normal,
            realtime_level: 0,
            in_process_priority: 0,
            quantum: QUANTUM,
            grace_period_same: GRACE_SAME,
            grace_period_lower: GRACE_LOWER,
        };
        undo(
            ddi.set_context_scheduling_properties(&properties),
            destroy_context,
        )?;
        let queue = undo(ddi.create_hw_queue(context), destroy_context)?;
        Ok(Self {
            process,
            device,
            context,
            queue,
            next_fence: 1,
        })
    }

    /// Queues work and returns the progress fence that tells its end.
    pub(crate) fn submit(&mut self, ddi: &dyn Ddi, command: GpuCommand) -> DdiResult<u64> {
        let progress_fence_id = self.next_fence;
        ddi.submit_command_to_hw_queue(&SubmitCommand {
            queue: self.queue,
            progress_fence_id,
            command,
        })?;
        self.next_fence = progress_fence_id.saturating_add(1);
        Ok(progress_fence_id)
    }

    /// Stops all work. When it returns nothing runs and nothing more will complete.
    pub(crate) fn stop(&self, ddi: &dyn Ddi) {
        report(
            "suspend the display context",
            ddi.suspend_context(self.context, SUSPEND_FENCE),
        );
        report(
            "destroy the display queue",
            ddi.destroy_hw_queue(self.queue),
        );
    }

    /// Destroys the rest, once nothing of it is in use.
    pub(crate) fn destroy(&self, ddi: &dyn Ddi) {
        report(
            "destroy the display context",
            ddi.destroy_context(self.context),
        );
        report(
            "destroy the display device",
            ddi.destroy_device(self.device),
        );
        report(
            "destroy the display process",
            ddi.destroy_process(self.process),
        );
    }
}

/// Takes back what came before a step that failed.
fn undo<T>(result: DdiResult<T>, back: impl FnOnce() -> DdiResult<()>) -> DdiResult<T> {
    result.inspect_err(|_| report("take back a display context", back()))
}

/// A step of the teardown that fails must not stop the steps behind it.
pub(crate) fn report<T>(step: &str, result: DdiResult<T>) {
    if let Err(status) = result {
        log::warn!("could not {step}: {status}");
    }
}

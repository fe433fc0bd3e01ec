// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The objects of one VM, each kind in a table of its own, and the lookups that say what is wrong with a handle.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rondo_renderer::backing::Backing;
use rondo_renderer::image::Image;

use crate::ddi::{ContextOwner, ContextSchedulingProperties, DdiResult, Guid};
use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};
use crate::status::NtStatus;

/// One guest process.
#[derive(Debug)]
pub(super) struct Process {
    /// Its name in the guest, for debugging only.
    pub(super) name: Option<String>,
}

/// A device of a process.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) process: KmdProcessHandle,
    /// Allocations that it may use besides those of its process.
    pub(super) opened: HashSet<AllocationHandle>,
}

/// A context of a device.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) device: DeviceHandle,
    /// Set before the first submission.
    pub(super) properties: Option<ContextSchedulingProperties>,
    pub(super) queues: HashSet<HwQueueHandle>,
    /// A unit of it hung: it runs nothing any more.
    pub(super) lost: bool,
}

/// An image or blob.
#[derive(Debug)]
pub(super) struct Allocation {
    pub(super) process: KmdProcessHandle,
    pub(super) content: Content,
    /// The guest memory behind it, and what its table costs.
    pub(super) backing: Option<(Arc<Backing>, u64)>,
    /// Its name in the world.
    pub(super) shared: Option<Guid>,
}

/// What an allocation is made of.
#[derive(Debug)]
pub(super) enum Content {
    /// Pixels in host memory.
    Image(Arc<Image>),
    /// Guest memory read in place, of so many bytes.
    GuestBlob(u64),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Objects {
    pub(super) worker: KmdProcessHandle,
    pub(super) processes: HashMap<KmdProcessHandle, Process>,
    pub(super) devices: HashMap<DeviceHandle, Device>,
    pub(super) contexts: HashMap<ContextHandle, Context>,
    /// Each queue's context.
    pub(super) queues: HashMap<HwQueueHandle, ContextHandle>,
    pub(super) allocations: HashMap<AllocationHandle, Allocation>,
}

impl Objects {
    /// A VM's worker and nothing else.
    pub(super) fn new(worker: KmdProcessHandle) -> Self {
        Self {
            worker,
            processes: HashMap::new(),
            devices: HashMap::new(),
            contexts: HashMap::new(),
            queues: HashMap::new(),
            allocations: HashMap::new(),
        }
    }

    /// What is wrong with a handle that is not in the table of its kind.
    pub(super) fn missing(&self, handle: u64) -> NtStatus {
        let known = self.worker.0 == handle
            || self.processes.contains_key(&KmdProcessHandle(handle))
            || self.devices.contains_key(&DeviceHandle(handle))
            || self.contexts.contains_key(&ContextHandle(handle))
            || self.queues.contains_key(&HwQueueHandle(handle))
            || self.allocations.contains_key(&AllocationHandle(handle));
        if known {
            NtStatus::ObjectTypeMismatch
        } else {
            NtStatus::InvalidHandle
        }
    }

    /// A worker owns nothing: it is refused where its VM processes are welcome.
    pub(super) fn refuse_worker(&self, handle: u64) -> DdiResult<()> {
        if self.worker.0 == handle {
            return Err(NtStatus::InvalidParameter);
        }
        Ok(())
    }

    /// The worker, by the handle that a caller took for it.
    pub(super) fn check_worker(&self, worker: KmdProcessHandle) -> DdiResult<()> {
        if worker == self.worker {
            Ok(())
        } else {
            Err(self.missing(worker.0))
        }
    }

    /// A VM process that may own things.
    pub(super) fn process(&self, process: KmdProcessHandle) -> DdiResult<&Process> {
        self.refuse_worker(process.0)?;
        self.processes
            .get(&process)
            .ok_or_else(|| self.missing(process.0))
    }

    /// A device.
    pub(super) fn device(&self, device: DeviceHandle) -> DdiResult<&Device> {
        self.refuse_worker(device.0)?;
        self.devices
            .get(&device)
            .ok_or_else(|| self.missing(device.0))
    }

    /// A context.
    pub(super) fn context(&self, context: ContextHandle) -> DdiResult<&Context> {
        self.contexts
            .get(&context)
            .ok_or_else(|| self.missing(context.0))
    }

    /// All contexts and whose they are.
    pub(super) fn context_owners(&self) -> Vec<ContextOwner> {
        self.contexts
            .iter()
            .filter_map(|(&context, found)| {
                let process = self.devices.get(&found.device)?.process;
                let process_name = self.processes.get(&process)?.name.clone();
                Some(ContextOwner {
                    context,
                    process,
                    process_name,
                })
            })
            .collect()
    }

    /// The context of a queue.
    pub(super) fn queue(&self, queue: HwQueueHandle) -> DdiResult<ContextHandle> {
        self.queues
            .get(&queue)
            .copied()
            .ok_or_else(|| self.missing(queue.0))
    }

    /// An allocation.
    pub(super) fn allocation(&self, allocation: AllocationHandle) -> DdiResult<&Allocation> {
        self.allocations
            .get(&allocation)
            .ok_or_else(|| self.missing(allocation.0))
    }

    /// An allocation that belongs to a process. To others of the VM it does not exist.
    pub(super) fn owned(
        &mut self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<&mut Allocation> {
        self.process(process)?;
        self.allocation(allocation)?;
        self.allocations
            .get_mut(&allocation)
            .filter(|found| found.process == process)
            .ok_or(NtStatus::InvalidHandle)
    }

    /// An allocation that a device may use: its process' own, or one that it has opened.
    pub(super) fn usable(
        &self,
        device: DeviceHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<&Allocation> {
        let user = self.device(device)?;
        let found = self.allocation(allocation)?;
        if found.process == user.process || user.opened.contains(&allocation) {
            Ok(found)
        } else {
            Err(NtStatus::InvalidHandle)
        }
    }
}

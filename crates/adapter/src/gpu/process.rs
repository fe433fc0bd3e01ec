// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Processes and devices of a VM: how they come, and what goes with them.

use std::collections::HashSet;

use crate::ddi::{CreateProcess, CreateProcessFlags, DdiResult};
use crate::gpu::account::Item;
use crate::gpu::objects::{Content, Device, Process};
use crate::gpu::vm::VmState;
use crate::handle::{AllocationHandle, ContextHandle, DeviceHandle, KmdProcessHandle};
use crate::status::NtStatus;

/// The flags that WDDM documents; the rest is reserved and must be zero.
const KNOWN_FLAGS: u32 = CreateProcessFlags::SYSTEM_PROCESS
    | CreateProcessFlags::GDI_PROCESS
    | CreateProcessFlags::VIRTUAL_MACHINE_PROCESS
    | CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS
    | CreateProcessFlags::SESSION_ISOLATED_CONTAINER;

/// What kind of process is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessKind {
    /// A VM's stand-in.
    Worker,
    /// A guest process of this worker's VM.
    OfVm(KmdProcessHandle),
    /// A process of the host.
    OfHost,
}

/// Reads the flags.
///
/// # Errors
/// [`NtStatus::InvalidParameter`]: reserved flags, both VM flags, a VM process without a worker, a worker for another
/// process.
pub(super) fn kind_of(args: &CreateProcess) -> DdiResult<ProcessKind> {
    let flags = args.flags.0;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(NtStatus::InvalidParameter);
    }
    let worker = flags & CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS != 0;
    let of_vm = flags & CreateProcessFlags::VIRTUAL_MACHINE_PROCESS != 0;
    match (worker, of_vm, args.worker) {
        (true, false, None) => Ok(ProcessKind::Worker),
        (false, true, Some(worker)) => Ok(ProcessKind::OfVm(worker)),
        (false, false, None) => Ok(ProcessKind::OfHost),
        _ => Err(NtStatus::InvalidParameter),
    }
}

/// A guest's text as a name: absent, or at most [`CreateProcess::MAX_NAME`] bytes, cut between characters.
pub(super) fn bounded_name(name: Option<&str>) -> Option<String> {
    let name = name?;
    let end = name.floor_char_boundary(CreateProcess::MAX_NAME);
    name.get(..end).map(str::to_owned)
}

impl VmState {
    /// A new VM process.
    ///
    /// # Errors
    /// [`NtStatus::InvalidDeviceState`] before the VM has an identity, [`NtStatus::NoMemory`].
    pub(super) fn create_process(&mut self, name: Option<&str>) -> DdiResult<KmdProcessHandle> {
        if self.identity.is_none() {
            return Err(NtStatus::InvalidDeviceState);
        }
        self.account.charge(Item::Object)?;
        let process = KmdProcessHandle(self.take_handle()?);
        if let Err(status) = self.work.add_process(process) {
            self.account.release(Item::Object);
            return Err(status);
        }
        let name = bounded_name(name);
        self.objects.processes.insert(process, Process { name });
        Ok(process)
    }

    /// Ends a VM process and all that it owns, and returns what is left of its allocations. No unit may run.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`], [`NtStatus::ObjectTypeMismatch`].
    pub(super) fn destroy_process(&mut self, process: KmdProcessHandle) -> DdiResult<Vec<Content>> {
        self.objects.process(process)?;
        let devices: Vec<DeviceHandle> = (self.objects.devices.iter())
            .filter(|(_, device)| device.process == process)
            .map(|(&device, _)| device)
            .collect();
        for device in devices {
            self.cascade_device(device);
        }
        let allocations: Vec<AllocationHandle> = (self.objects.allocations.iter())
            .filter(|(_, allocation)| allocation.process == process)
            .map(|(&allocation, _)| allocation)
            .collect();
        let mut left = Vec::with_capacity(allocations.len());
        for allocation in allocations {
            left.push(self.destroy_allocation(process, allocation)?);
        }
        if let Some(gone) = self.objects.processes.remove(&process) {
            log::debug!("VM process {:?} ends", gone.name);
        }
        self.work.remove_process(process);
        self.account.release(Item::Object);
        Ok(left)
    }

    /// A new device of a VM process.
    ///
    /// # Errors
    /// [`NtStatus::InvalidParameter`] for the worker, the lookup's, [`NtStatus::NoMemory`].
    pub(super) fn create_device(&mut self, process: KmdProcessHandle) -> DdiResult<DeviceHandle> {
        self.objects.process(process)?;
        self.account.charge(Item::Object)?;
        let device = DeviceHandle(self.take_handle()?);
        let opened = HashSet::new();
        self.objects
            .devices
            .insert(device, Device { process, opened });
        Ok(device)
    }

    /// Ends a device.
    ///
    /// # Errors
    /// The lookup's; [`NtStatus::InvalidDeviceState`] while it has contexts.
    pub(super) fn destroy_device(&mut self, device: DeviceHandle) -> DdiResult<()> {
        self.objects.device(device)?;
        let in_use = (self.objects.contexts.values()).any(|context| context.device == device);
        if in_use {
            return Err(NtStatus::InvalidDeviceState);
        }
        self.cascade_device(device);
        Ok(())
    }

    /// Ends a device with its contexts and queues.
    fn cascade_device(&mut self, device: DeviceHandle) {
        let contexts: Vec<ContextHandle> = (self.objects.contexts.iter())
            .filter(|(_, context)| context.device == device)
            .map(|(&context, _)| context)
            .collect();
        for context in contexts {
            self.cascade_context(context);
        }
        if let Some(gone) = self.objects.devices.remove(&device) {
            for _ in gone.opened {
                self.account.release(Item::Object);
            }
            self.account.release(Item::Object);
        }
    }

    /// A handle for a new object that [`Item::Object`] is charged for; the charge is given back if there is none.
    pub(super) fn take_handle(&mut self) -> DdiResult<u64> {
        self.handles.take().inspect_err(|_| {
            self.account.release(Item::Object);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_between_characters_and_may_be_absent() {
        assert_eq!(bounded_name(None), None);
        assert_eq!(bounded_name(Some("")), Some(String::new()));
        assert_eq!(bounded_name(Some("glxgears")), Some("glxgears".to_owned()));
        let long = "ß".repeat(40);
        let cut = bounded_name(Some(&format!("x{long}"))).expect("a name");
        assert_eq!(cut.len(), 63);
        assert!(cut.len() <= CreateProcess::MAX_NAME);
    }
}

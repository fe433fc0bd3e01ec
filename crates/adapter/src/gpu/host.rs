// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The host's side of a VM: its memory and screens, who hears of its completions, and what its monitors are.

use std::sync::Arc;

use rondo_scheduler::Policy;

use crate::ddi::{
    AdapterCallbacks, ChildStatus, ContextOwner, DdiResult, SetVirtualMachineData, VidPnSourceId,
    VmConnection, VmHost,
};
use crate::gpu::SoftwareGpu;
use crate::handle::KmdProcessHandle;
use crate::scheduling_log::SchedulingLog;

impl VmHost for SoftwareGpu {
    fn connect_vm(&self, worker: KmdProcessHandle, connection: VmConnection) -> DdiResult<()> {
        let vm = self.directory.vm(worker.0)?;
        let mut state = vm.live()?;
        state.objects.check_worker(worker)?;
        state.connect(connection)
    }

    fn set_callbacks(
        &self,
        worker: KmdProcessHandle,
        callbacks: Arc<dyn AdapterCallbacks>,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(worker.0)?;
        let mut state = vm.live()?;
        state.objects.check_worker(worker)?;
        let replaced = state.callbacks.replace(callbacks);
        drop(state);
        drop(replaced);
        Ok(())
    }

    fn set_policy(&self, policy: Policy) -> DdiResult<()> {
        self.arbiter.set_policy(policy);
        Ok(())
    }

    fn query_policy(&self) -> DdiResult<Policy> {
        Ok(self.arbiter.policy())
    }

    fn pardon(&self, worker: KmdProcessHandle) -> DdiResult<()> {
        let vm = self.directory.vm(worker.0)?;
        vm.live()?.objects.check_worker(worker)?;
        self.arbiter.pardon(vm.id);
        Ok(())
    }

    fn set_child_status(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
        status: ChildStatus,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(worker.0)?;
        let mut state = vm.live()?;
        state.objects.check_worker(worker)?;
        state.set_child_status(source, status)?;
        let callbacks = state.callbacks.clone();
        drop(state);
        if let Some(callbacks) = callbacks {
            callbacks.indicate_child_status();
        }
        Ok(())
    }

    fn set_scheduling_log_buffer(
        &self,
        worker: KmdProcessHandle,
        log: Option<Arc<SchedulingLog>>,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(worker.0)?;
        let mut state = vm.live()?;
        state.objects.check_worker(worker)?;
        state.set_log(log, || self.arbiter.now())
    }

    fn query_contexts(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ContextOwner>> {
        let vm = self.directory.vm(worker.0)?;
        let state = vm.live()?;
        state.objects.check_worker(worker)?;
        Ok(state.objects.context_owners())
    }

    fn virtual_machine_data(
        &self,
        worker: KmdProcessHandle,
    ) -> DdiResult<Option<SetVirtualMachineData>> {
        let vm = self.directory.vm(worker.0)?;
        let state = vm.live()?;
        state.objects.check_worker(worker)?;
        Ok(state.identity.map(|identity| SetVirtualMachineData {
            worker,
            vm_guid: identity.guid(),
            flags: identity.flags(),
        }))
    }
}

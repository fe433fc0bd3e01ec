// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The adapter: a driver's function table, registered at start, called until stop, refused ever after.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rondo_scheduler::Policy;

use crate::ddi::{
    AdapterCallbacks, AdapterCaps, ChildStatus, CommitVidPn, ContextOwner,
    ContextSchedulingProperties, CreateAllocation, CreateContext, CreateProcess,
    CreateProcessFlags, Ddi, DdiResult, Guid, PagingOperation, PriorityBands, SetPointerPosition,
    SetPointerShape, SetVidPnSourceAddress, SetVirtualMachineData, SubmitCommand, Suspension,
    VidPnSourceId, VirtualGpuProfile, VmConnection, VmHost, VmStatistics,
};
use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};
use crate::scheduling_log::SchedulingLog;
use crate::status::NtStatus;

impl Default for PriorityBands {
    /// Only the 10 % for NORMAL and the absence of grace for REALTIME are Microsoft's; the other numbers are ours, since
    /// none are published: quanta of 4 ms in each band (two context quanta of 2 ms), 0.5 ms of grace between processes, and
    /// 0.5 ms for the victims of FOCUS, 1 ms for those of NORMAL. IDLE preempts nothing.
    fn default() -> Self {
        Self {
            grace_period: [0, 10_000, 5_000, 0],
            process_quantum: [40_000; 4],
            process_grace_period: [5_000; 4],
            target_normal_band_percentage: 10,
        }
    }
}

/// A started adapter. It is a [`Ddi`] itself: calls go to the driver until [`Adapter::stop`].
///
/// Dropping it stops it.
#[derive(Debug)]
pub struct Adapter {
    driver: Arc<dyn VmHost>,
    caps: AdapterCaps,
    stopped: AtomicBool,
    /// Workers that were created through this adapter and live.
    workers: Mutex<HashSet<KmdProcessHandle>>,
}

impl Adapter {
    /// `DxgkDdiStartDevice`: the driver's table is registered, its abilities are read, and its priority bands set up,
    /// before any process exists.
    ///
    /// # Errors
    /// What the driver answers to `query_adapter_info` and `setup_priority_bands`.
    pub fn start(driver: Arc<dyn VmHost>, bands: &PriorityBands) -> DdiResult<Arc<Self>> {
        let caps = driver.query_adapter_info()?;
        driver.setup_priority_bands(bands)?;
        Ok(Arc::new(Self {
            driver,
            caps,
            stopped: AtomicBool::new(false),
            workers: Mutex::new(HashSet::new()),
        }))
    }

    /// What the driver said of itself at start.
    #[must_use]
    pub fn caps(&self) -> AdapterCaps {
        self.caps
    }

    /// `DxgkDdiStopDevice`: all VMs of the adapter are destroyed, and every later call fails with
    /// [`NtStatus::DeviceRemoved`]. Calls that are under way on other threads end as they would have.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let workers = std::mem::take(&mut *self.workers());
        for worker in workers {
            // Somebody else may have destroyed it meanwhile.
            if let Err(status) = self.driver.destroy_process(worker) {
                log::debug!("{worker:?} at stop: {status}");
            }
        }
    }

    fn driver(&self) -> DdiResult<&dyn VmHost> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err(NtStatus::DeviceRemoved);
        }
        Ok(&*self.driver)
    }

    fn workers(&self) -> MutexGuard<'_, HashSet<KmdProcessHandle>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Ddi for Adapter {
    fn query_adapter_info(&self) -> DdiResult<AdapterCaps> {
        self.driver()?.query_adapter_info()
    }

    fn setup_priority_bands(&self, bands: &PriorityBands) -> DdiResult<()> {
        self.driver()?.setup_priority_bands(bands)
    }

    fn create_process(&self, args: &CreateProcess) -> DdiResult<KmdProcessHandle> {
        let driver = self.driver()?;
        let process = driver.create_process(args)?;
        if args.flags.0 & CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS != 0 {
            let mut workers = self.workers();
            // A stop in between has not seen this worker.
            if self.stopped.load(Ordering::SeqCst) {
                drop(workers);
                driver.destroy_process(process)?;
                return Err(NtStatus::DeviceRemoved);
            }
            workers.insert(process);
        }
        Ok(process)
    }

    fn destroy_process(&self, process: KmdProcessHandle) -> DdiResult<()> {
        self.driver()?.destroy_process(process)?;
        self.workers().remove(&process);
        Ok(())
    }

    fn set_virtual_machine_data(&self, args: &SetVirtualMachineData) -> DdiResult<()> {
        self.driver()?.set_virtual_machine_data(args)
    }

    fn set_virtual_gpu_profile(
        &self,
        worker: KmdProcessHandle,
        profile: &VirtualGpuProfile,
    ) -> DdiResult<()> {
        self.driver()?.set_virtual_gpu_profile(worker, profile)
    }

    fn create_device(&self, process: KmdProcessHandle) -> DdiResult<DeviceHandle> {
        self.driver()?.create_device(process)
    }

    fn destroy_device(&self, device: DeviceHandle) -> DdiResult<()> {
        self.driver()?.destroy_device(device)
    }

    fn create_context(&self, args: &CreateContext) -> DdiResult<ContextHandle> {
        self.driver()?.create_context(args)
    }

    fn destroy_context(&self, context: ContextHandle) -> DdiResult<()> {
        self.driver()?.destroy_context(context)
    }

    fn set_context_scheduling_properties(
        &self,
        args: &ContextSchedulingProperties,
    ) -> DdiResult<()> {
        self.driver()?.set_context_scheduling_properties(args)
    }

    fn suspend_context(&self, context: ContextHandle, fence: u64) -> DdiResult<Suspension> {
        self.driver()?.suspend_context(context, fence)
    }

    fn resume_context(&self, context: ContextHandle) -> DdiResult<()> {
        self.driver()?.resume_context(context)
    }

    fn create_hw_queue(&self, context: ContextHandle) -> DdiResult<HwQueueHandle> {
        self.driver()?.create_hw_queue(context)
    }

    fn destroy_hw_queue(&self, queue: HwQueueHandle) -> DdiResult<()> {
        self.driver()?.destroy_hw_queue(queue)
    }

    fn submit_command_to_hw_queue(&self, args: &SubmitCommand) -> DdiResult<()> {
        self.driver()?.submit_command_to_hw_queue(args)
    }

    fn reset_hw_engine(&self, node: u16) -> DdiResult<()> {
        self.driver()?.reset_hw_engine(node)
    }

    fn resume_hw_engine(&self, node: u16) -> DdiResult<()> {
        self.driver()?.resume_hw_engine(node)
    }

    fn create_allocation(&self, args: &CreateAllocation) -> DdiResult<AllocationHandle> {
        self.driver()?.create_allocation(args)
    }

    fn destroy_allocation(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        self.driver()?.destroy_allocation(process, allocation)
    }

    fn open_allocation(&self, device: DeviceHandle, allocation: AllocationHandle) -> DdiResult<()> {
        self.driver()?.open_allocation(device, allocation)
    }

    fn close_allocation(
        &self,
        device: DeviceHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        self.driver()?.close_allocation(device, allocation)
    }

    fn build_paging_buffer(&self, args: &PagingOperation) -> DdiResult<()> {
        self.driver()?.build_paging_buffer(args)
    }

    fn create_shared_object(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<Guid> {
        self.driver()?.create_shared_object(process, allocation)
    }

    fn query_child_status(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ChildStatus>> {
        self.driver()?.query_child_status(worker)
    }

    fn query_device_descriptor(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
    ) -> DdiResult<Vec<u8>> {
        self.driver()?.query_device_descriptor(worker, source)
    }

    fn commit_vidpn(&self, args: &CommitVidPn) -> DdiResult<()> {
        self.driver()?.commit_vidpn(args)
    }

    fn set_vidpn_source_address(&self, args: &SetVidPnSourceAddress) -> DdiResult<()> {
        self.driver()?.set_vidpn_source_address(args)
    }

    fn set_vidpn_source_visibility(
        &self,
        process: KmdProcessHandle,
        source: VidPnSourceId,
        visible: bool,
    ) -> DdiResult<()> {
        self.driver()?
            .set_vidpn_source_visibility(process, source, visible)
    }

    fn set_pointer_shape(&self, args: &SetPointerShape) -> DdiResult<()> {
        self.driver()?.set_pointer_shape(args)
    }

    fn set_pointer_position(&self, args: &SetPointerPosition) -> DdiResult<()> {
        self.driver()?.set_pointer_position(args)
    }

    fn notify_focus_present(&self, process: KmdProcessHandle) -> DdiResult<()> {
        self.driver()?.notify_focus_present(process)
    }

    fn query_statistics(&self, worker: KmdProcessHandle) -> DdiResult<VmStatistics> {
        self.driver()?.query_statistics(worker)
    }
}

impl VmHost for Adapter {
    fn connect_vm(&self, worker: KmdProcessHandle, connection: VmConnection) -> DdiResult<()> {
        self.driver()?.connect_vm(worker, connection)
    }

    fn set_callbacks(
        &self,
        worker: KmdProcessHandle,
        callbacks: Arc<dyn AdapterCallbacks>,
    ) -> DdiResult<()> {
        self.driver()?.set_callbacks(worker, callbacks)
    }

    fn virtual_machine_data(
        &self,
        worker: KmdProcessHandle,
    ) -> DdiResult<Option<SetVirtualMachineData>> {
        self.driver()?.virtual_machine_data(worker)
    }

    fn set_scheduling_log_buffer(
        &self,
        worker: KmdProcessHandle,
        log: Option<Arc<SchedulingLog>>,
    ) -> DdiResult<()> {
        self.driver()?.set_scheduling_log_buffer(worker, log)
    }

    fn query_contexts(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ContextOwner>> {
        self.driver()?.query_contexts(worker)
    }

    fn set_policy(&self, policy: Policy) -> DdiResult<()> {
        self.driver()?.set_policy(policy)
    }

    fn query_policy(&self) -> DdiResult<Policy> {
        self.driver()?.query_policy()
    }

    fn pardon(&self, worker: KmdProcessHandle) -> DdiResult<()> {
        self.driver()?.pardon(worker)
    }

    fn set_child_status(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
        status: ChildStatus,
    ) -> DdiResult<()> {
        self.driver()?.set_child_status(worker, source, status)
    }
}

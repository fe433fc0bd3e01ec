// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device driver interface: WDDM's verbs in Rust case, each with WDDM's meaning.
//!
//! Names, fields and timing follow the pages of `d3dkmddi.h` on learn.microsoft.com (`DXGKDDI_*`, `DXGKARG_*`). What WDDM
//! keeps in a pointer is a value here, and handles are opaque numbers. A call that names objects of two VMs fails with
//! [`NtStatus::InvalidHandle`], as if the foreign one did not exist.

mod args;

use std::fmt::Debug;
use std::sync::Arc;

use rondo_scheduler::Policy;

pub use args::*;

use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};
use crate::scheduling_log::SchedulingLog;
use crate::status::NtStatus;

/// What a driver call gives back.
pub type DdiResult<T> = Result<T, NtStatus>;

/// A display miniport's function table. Implementations are called from several threads at once.
///
/// Every call answers at once, apart from the work that [`Ddi::submit_command_to_hw_queue`] queues, whose end is told by
/// [`AdapterCallbacks::notify_interrupt`].
pub trait Ddi: Debug + Send + Sync {
    /// `DxgkDdiQueryAdapterInfo`: what the adapter can do, before any feature is offered to a guest.
    fn query_adapter_info(&self) -> DdiResult<AdapterCaps>;

    /// `DxgkDdiSetupPriorityBands`: from the next yield calculation on, for all VMs.
    fn setup_priority_bands(&self, bands: &PriorityBands) -> DdiResult<()>;

    /// `DxgkDdiCreateProcess`. The bands are set up before any worker, and a VM has its identity before its processes.
    fn create_process(&self, args: &CreateProcess) -> DdiResult<KmdProcessHandle>;

    /// `DxgkDdiDestroyProcess`. Destroying a worker takes its VM processes with it, and waits for its thread: not from the
    /// VM's own callbacks, nor under a lock that they take. When it returns, none of the VM's callbacks runs any more.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`], [`NtStatus::ObjectTypeMismatch`], [`NtStatus::DeletePending`] if it is being destroyed,
    /// [`NtStatus::InvalidDeviceState`] for a worker from one of its own callbacks.
    fn destroy_process(&self, process: KmdProcessHandle) -> DdiResult<()>;

    /// `DxgkDdiSetVirtualMachineData`: who the VM is. Host management calls it once, before the guest can ring a queue.
    fn set_virtual_machine_data(&self, args: &SetVirtualMachineData) -> DdiResult<()>;

    /// The VM's share of the GPU (WDDM keeps it outside `SetVirtualMachineData`, in GPU-P profiles; so do we). A second
    /// call changes the share of a running VM within one unit and loses no work.
    fn set_virtual_gpu_profile(
        &self,
        worker: KmdProcessHandle,
        profile: &VirtualGpuProfile,
    ) -> DdiResult<()>;

    /// `DxgkDdiCreateDevice`. A worker process is refused: nothing is ever rendered in it.
    fn create_device(&self, process: KmdProcessHandle) -> DdiResult<DeviceHandle>;

    /// `DxgkDdiDestroyDevice`; its contexts must be gone.
    fn destroy_device(&self, device: DeviceHandle) -> DdiResult<()>;

    /// `DxgkDdiCreateContext`. The context is created resumed.
    fn create_context(&self, args: &CreateContext) -> DdiResult<ContextHandle>;

    /// `DxgkDdiDestroyContext`; its queues must be gone.
    fn destroy_context(&self, context: ContextHandle) -> DdiResult<()>;

    /// `DxgkDdiSetContextSchedulingProperties`: from the end of the unit that runs, which is the next scheduling iteration of
    /// the band.
    fn set_context_scheduling_properties(
        &self,
        args: &ContextSchedulingProperties,
    ) -> DdiResult<()>;

    /// `DxgkDdiSuspendContext`: preempt it and keep it off the engine, without a grace period.
    fn suspend_context(&self, context: ContextHandle, fence: u64) -> DdiResult<Suspension>;

    /// `DxgkDdiResumeContext`.
    fn resume_context(&self, context: ContextHandle) -> DdiResult<()>;

    /// `DxgkDdiCreateHwQueue`.
    fn create_hw_queue(&self, context: ContextHandle) -> DdiResult<HwQueueHandle>;

    /// `DxgkDdiDestroyHwQueue`. Work that has not started is abandoned without a completion; when the call returns, no
    /// unit of the queue runs any more and nothing of it refers to guest memory, but for a unit that was lost in a hang.
    fn destroy_hw_queue(&self, queue: HwQueueHandle) -> DdiResult<()>;

    /// `DxgkDdiSubmitCommandToHwQueue`: first in, first out within the queue.
    fn submit_command_to_hw_queue(&self, args: &SubmitCommand) -> DdiResult<()>;

    /// `DxgkDdiResetHwEngine`: whatever runs on the engine is over, and its context is lost: [`AdapterCallbacks::invalidate_hw_context`].
    /// Its commands complete with [`NtStatus::GraphicsGpuExceptionOnDevice`], in order; other contexts of the VM and other VMs lose
    /// nothing. The engine runs nothing until [`Ddi::resume_hw_engine`], and the VM is charged until then. An engine that runs
    /// nothing has nothing to lose: no change. The driver does both by itself when a unit outlives its VM's hang timeout.
    ///
    /// # Errors
    /// [`NtStatus::InvalidParameter`] for a node that there is not, [`NtStatus::NotImplemented`] by a driver without engines.
    fn reset_hw_engine(&self, node: u16) -> DdiResult<()> {
        let _ = node;
        Err(NtStatus::NotImplemented)
    }

    /// `DxgkDdiResumeHwEngine`: an engine that was reset runs again; no change if it does.
    ///
    /// # Errors
    /// As [`Ddi::reset_hw_engine`].
    fn resume_hw_engine(&self, node: u16) -> DdiResult<()> {
        let _ = node;
        Err(NtStatus::NotImplemented)
    }

    /// `DxgkDdiCreateAllocation`, counted against the VM's memory limit.
    fn create_allocation(&self, args: &CreateAllocation) -> DdiResult<AllocationHandle>;

    /// `DxgkDdiDestroyAllocation`. When it returns, nothing on the host refers to its guest memory, but for a unit that was lost in a hang. Scanouts and
    /// pointers that show it go dark.
    fn destroy_allocation(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()>;

    /// `DxgkDdiOpenAllocation`: a device of the same VM may use the allocation.
    fn open_allocation(&self, device: DeviceHandle, allocation: AllocationHandle) -> DdiResult<()>;

    /// `DxgkDdiCloseAllocation`.
    fn close_allocation(&self, device: DeviceHandle, allocation: AllocationHandle)
    -> DdiResult<()>;

    /// `DxgkDdiBuildPagingBuffer`: map guest pages behind an allocation, or take them away.
    fn build_paging_buffer(&self, args: &PagingOperation) -> DdiResult<()>;

    /// `CreateNtSharedObject`'s part in `RESOURCE_ASSIGN_UUID`: a name for the allocation that is unique in the world.
    fn create_shared_object(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<Guid>;

    /// `DxgkDdiQueryChildRelations` and `DxgkDdiQueryChildStatus`: the monitors, one per scanout.
    fn query_child_status(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ChildStatus>>;

    /// `DxgkDdiQueryDeviceDescriptor`: the monitor's EDID.
    fn query_device_descriptor(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
    ) -> DdiResult<Vec<u8>>;

    /// `DxgkDdiCommitVidPn` for one source: the shape of its frames.
    fn commit_vidpn(&self, args: &CommitVidPn) -> DdiResult<()>;

    /// `DxgkDdiSetVidPnSourceAddress`: which part of which allocation the source shows.
    fn set_vidpn_source_address(&self, args: &SetVidPnSourceAddress) -> DdiResult<()>;

    /// `DxgkDdiSetVidPnSourceVisibility`. Invisible: the source shows nothing and refers to no allocation.
    fn set_vidpn_source_visibility(
        &self,
        process: KmdProcessHandle,
        source: VidPnSourceId,
        visible: bool,
    ) -> DdiResult<()>;

    /// `DxgkDdiSetPointerShape`: the allocation's pixels are copied at the call; `None` hides the pointer.
    fn set_pointer_shape(&self, args: &SetPointerShape) -> DdiResult<()>;

    /// `DxgkDdiSetPointerPosition`.
    fn set_pointer_position(&self, args: &SetPointerPosition) -> DdiResult<()>;

    /// `DxgkDdiNotifyFocusPresent`: a focus present of this process completed; the next unit boundary of its VM has a yield
    /// check. Focus itself is a context's band.
    fn notify_focus_present(&self, process: KmdProcessHandle) -> DdiResult<()>;

    /// What a VM has used so far.
    fn query_statistics(&self, worker: KmdProcessHandle) -> DdiResult<VmStatistics>;
}

/// What the driver tells the operating system: completions and hot-plug. Calls come from the driver's threads, with no
/// lock of the driver held, so that the receiver may call the driver.
pub trait AdapterCallbacks: Debug + Send + Sync {
    /// `DxgkCbNotifyInterrupt`: these commands are complete, in the order of completion.
    fn notify_interrupt(&self, completions: &[Completion]);

    /// `DXGK_INTERRUPT_SUSPEND_CONTEXT_COMPLETED`: the context is off the engine; the fence is the one that
    /// [`Ddi::suspend_context`] was given. Told for each suspension that was answered [`Suspension::Pending`], in order,
    /// even if the context was resumed meanwhile.
    fn notify_context_suspended(&self, context: ContextHandle, suspend_fence: u64) {
        let _ = (context, suspend_fence);
    }

    /// `DxgkCbInvalidateHwContext`: the context is lost. Told before the ends of its commands; later ones are refused with
    /// [`NtStatus::GraphicsGpuExceptionOnDevice`].
    fn invalidate_hw_context(&self, context: ContextHandle, damage: Damage) {
        let _ = (context, damage);
    }

    /// `DxgkCbIndicateChildStatus`: a monitor was plugged, unplugged or changed its mode.
    fn indicate_child_status(&self);
}

/// The host's side of a VM that a driver needs: not part of WDDM's table, since WDDM finds them by other ways.
pub trait VmHost: Ddi {
    /// Gives the driver the VM's memory and screens. Called once, between `create_process(worker)` and the guest's
    /// first command.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`] or [`NtStatus::ObjectTypeMismatch`] if `worker` is no worker,
    /// [`NtStatus::InvalidDeviceState`] if the VM is connected already, [`NtStatus::InvalidParameter`] for no or more than 16 screens.
    fn connect_vm(&self, worker: KmdProcessHandle, connection: VmConnection) -> DdiResult<()>;

    /// Who hears of completions and hot-plug from now on; replaces an earlier one.
    ///
    /// # Errors
    /// [`NtStatus::InvalidHandle`] or [`NtStatus::ObjectTypeMismatch`] if `worker` is no worker.
    fn set_callbacks(
        &self,
        worker: KmdProcessHandle,
        callbacks: Arc<dyn AdapterCallbacks>,
    ) -> DdiResult<()>;

    /// What [`Ddi::set_virtual_machine_data`] has set, for those who manage VMs; `None` before.
    ///
    /// # Errors
    /// As [`VmHost::set_callbacks`]; [`NtStatus::NotImplemented`] by a driver that keeps it to itself.
    fn virtual_machine_data(
        &self,
        worker: KmdProcessHandle,
    ) -> DdiResult<Option<SetVirtualMachineData>> {
        let _ = worker;
        Err(NtStatus::NotImplemented)
    }

    /// `DxgkDdiSetSchedulingLogBuffer`, for one VM: from now on its contexts' changes of state are written to `log`, and
    /// nowhere with `None`, as at first. A swap: after the call nothing is written to an earlier log. A new log begins with
    /// the states that are not idle.
    ///
    /// # Errors
    /// As [`VmHost::set_callbacks`]; [`NtStatus::InvalidParameter`] if the log is in use already,
    /// [`NtStatus::NotImplemented`] by a driver that keeps none.
    fn set_scheduling_log_buffer(
        &self,
        worker: KmdProcessHandle,
        log: Option<Arc<SchedulingLog>>,
    ) -> DdiResult<()> {
        let _ = (worker, log);
        Err(NtStatus::NotImplemented)
    }

    /// The VM's contexts and whose they are, for those who read its log.
    ///
    /// # Errors
    /// As [`VmHost::set_callbacks`]; [`NtStatus::NotImplemented`] by a driver that keeps it to itself.
    fn query_contexts(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ContextOwner>> {
        let _ = worker;
        Err(NtStatus::NotImplemented)
    }

    /// VMs share the engines in another way from now on, within one unit. No work is lost, and what a VM owes it goes on owing.
    ///
    /// # Errors
    /// [`NtStatus::NotImplemented`] by a driver that has one way only.
    fn set_policy(&self, policy: Policy) -> DdiResult<()> {
        let _ = policy;
        Err(NtStatus::NotImplemented)
    }

    /// How VMs share the engines now.
    ///
    /// # Errors
    /// [`NtStatus::NotImplemented`] by a driver that keeps it to itself.
    fn query_policy(&self) -> DdiResult<Policy> {
        Err(NtStatus::NotImplemented)
    }

    /// A VM that was quarantined for its hangs may use the GPU again, and its count of resets starts anew. Contexts that were
    /// lost stay lost. No change for a VM that is not quarantined.
    ///
    /// # Errors
    /// As [`VmHost::set_callbacks`]; [`NtStatus::NotImplemented`] by a driver that locks nobody out.
    fn pardon(&self, worker: KmdProcessHandle) -> DdiResult<()> {
        let _ = worker;
        Err(NtStatus::NotImplemented)
    }

    /// The host plugs, unplugs or resizes a monitor. The guest hears of it by `indicate_child_status`,
    /// on the caller's thread.
    ///
    /// # Errors
    /// As [`VmHost::set_callbacks`]; [`NtStatus::InvalidHandle`] for a source that there is not,
    /// [`NtStatus::InvalidParameter`] for a connected monitor without pixels.
    fn set_child_status(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
        status: ChildStatus,
    ) -> DdiResult<()>;
}

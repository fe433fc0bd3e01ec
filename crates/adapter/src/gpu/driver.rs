// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The driver's function table: each call finds its VM, takes the VM's lock and does its one thing.

use crate::ddi::{
    AdapterCaps, ChildStatus, CommitVidPn, ContextSchedulingProperties, CreateAllocation,
    CreateContext, CreateProcess, Ddi, DdiResult, Guid, PagingOperation, PriorityBands,
    SetPointerPosition, SetPointerShape, SetVidPnSourceAddress, SetVirtualMachineData,
    SubmitCommand, Suspension, VidPnSourceId, VirtualGpuProfile, VmStatistics,
};
use crate::gpu::process::{ProcessKind, kind_of};
use crate::gpu::{SoftwareGpu, edid, profile, scheduling};
use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};
use crate::status::NtStatus;

impl Ddi for SoftwareGpu {
    fn query_adapter_info(&self) -> DdiResult<AdapterCaps> {
        Ok(AdapterCaps {
            isolation: self.config.isolation,
            nodes: self.config.scheduler.engines,
        })
    }

    fn setup_priority_bands(&self, bands: &PriorityBands) -> DdiResult<()> {
        let settings = scheduling::bands(bands)?;
        // Held throughout, so that a VM that comes meanwhile has either these or is among those below.
        let mut current = self.bands();
        *current = Some(settings);
        for vm in self.directory.all() {
            vm.state().work.set_up_bands(settings);
        }
        Ok(())
    }

    fn create_process(&self, args: &CreateProcess) -> DdiResult<KmdProcessHandle> {
        match kind_of(args)? {
            ProcessKind::Worker => self.create_worker(),
            ProcessKind::OfHost => self.directory.add_host_process(),
            ProcessKind::OfVm(worker) => {
                let vm = self.directory.vm(worker.0)?;
                let mut state = vm.live()?;
                state.objects.check_worker(worker)?;
                state.create_process(args.name.as_deref())
            }
        }
    }

    fn destroy_process(&self, process: KmdProcessHandle) -> DdiResult<()> {
        if self.directory.remove_host_process(process) {
            return Ok(());
        }
        let vm = self.directory.vm(process.0)?;
        if vm.live()?.objects.worker == process {
            return self.destroy_vm(&vm);
        }
        let no_unit = vm.units.enter();
        let mut state = vm.live()?;
        let gone = state.destroy_process(process);
        state.log_lost_work(|| self.arbiter.now());
        // Taking work away leaves nothing new to run.
        let _ = vm.publish(state);
        drop(no_unit);
        // Unmapping large images takes time, which must not keep the VM's worker from giving the engine back.
        gone.map(drop)
    }

    fn set_virtual_machine_data(&self, args: &SetVirtualMachineData) -> DdiResult<()> {
        self.identify(args)
    }

    fn set_virtual_gpu_profile(
        &self,
        worker: KmdProcessHandle,
        profile: &VirtualGpuProfile,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(worker.0)?;
        vm.live()?.objects.check_worker(worker)?;
        profile::check(profile)?;
        self.arbiter
            .set_profile(vm.id, profile::for_scheduler(profile))?;
        vm.live()?.account.set_limit(profile.memory_limit);
        Ok(())
    }

    fn create_device(&self, process: KmdProcessHandle) -> DdiResult<DeviceHandle> {
        if self.directory.is_host_process(process) {
            return Err(NtStatus::NotSupported);
        }
        let vm = self.directory.vm(process.0)?;
        vm.live()?.create_device(process)
    }

    fn destroy_device(&self, device: DeviceHandle) -> DdiResult<()> {
        let vm = self.directory.vm(device.0)?;
        vm.live()?.destroy_device(device)
    }

    fn create_context(&self, args: &CreateContext) -> DdiResult<ContextHandle> {
        let vm = self.directory.vm(args.device.0)?;
        vm.live()?
            .create_context(args, self.config.scheduler.engines)
    }

    fn destroy_context(&self, context: ContextHandle) -> DdiResult<()> {
        let vm = self.directory.vm(context.0)?;
        vm.live()?.destroy_context(context)
    }

    fn set_context_scheduling_properties(
        &self,
        args: &ContextSchedulingProperties,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(args.context.0)?;
        vm.live()?.set_context_scheduling_properties(args)
    }

    fn suspend_context(&self, context: ContextHandle, fence: u64) -> DdiResult<Suspension> {
        let vm = self.directory.vm(context.0)?;
        let mut state = vm.live()?;
        let suspension = state.suspend_context(context, fence)?;
        // Taking turns away leaves nothing new to run.
        let _ = vm.publish(state);
        if suspension == Suspension::Pending {
            vm.signals.notice();
        }
        Ok(suspension)
    }

    fn resume_context(&self, context: ContextHandle) -> DdiResult<()> {
        let vm = self.directory.vm(context.0)?;
        let mut state = vm.live()?;
        state.resume_context(context)?;
        if vm.publish(state) {
            self.arbiter.ready(vm.id);
        }
        Ok(())
    }

    fn create_hw_queue(&self, context: ContextHandle) -> DdiResult<HwQueueHandle> {
        let vm = self.directory.vm(context.0)?;
        vm.live()?.create_hw_queue(context)
    }

    fn destroy_hw_queue(&self, queue: HwQueueHandle) -> DdiResult<()> {
        let vm = self.directory.vm(queue.0)?;
        let _no_unit = vm.units.enter();
        let mut state = vm.live()?;
        let result = state.destroy_hw_queue(queue);
        state.log_lost_work(|| self.arbiter.now());
        let _ = vm.publish(state);
        result
    }

    fn submit_command_to_hw_queue(&self, args: &SubmitCommand) -> DdiResult<()> {
        let vm = self.directory.vm(args.queue.0)?;
        let mut state = vm.live()?;
        state.submit(args, vm.signals.is_quarantined())?;
        state.log_submission(args.queue, || self.arbiter.now());
        if vm.publish(state) {
            self.arbiter.ready(vm.id);
        }
        Ok(())
    }

    fn reset_hw_engine(&self, node: u16) -> DdiResult<()> {
        self.crew.reset_whatever_runs(self.engine(node)?);
        Ok(())
    }

    fn resume_hw_engine(&self, node: u16) -> DdiResult<()> {
        self.crew.resume(self.engine(node)?);
        Ok(())
    }

    fn create_allocation(&self, args: &CreateAllocation) -> DdiResult<AllocationHandle> {
        let vm = self.directory.vm(args.process.0)?;
        vm.live()?.create_allocation(args)
    }

    fn destroy_allocation(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(process.0)?;
        let no_unit = vm.units.enter();
        let gone = vm.live()?.destroy_allocation(process, allocation);
        drop(no_unit);
        // As above: large images go without the lock.
        gone.map(drop)
    }

    fn open_allocation(&self, device: DeviceHandle, allocation: AllocationHandle) -> DdiResult<()> {
        let vm = self.directory.vm(device.0)?;
        vm.live()?.open_allocation(device, allocation)
    }

    fn close_allocation(
        &self,
        device: DeviceHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(device.0)?;
        vm.live()?.close_allocation(device, allocation)
    }

    fn build_paging_buffer(&self, args: &PagingOperation) -> DdiResult<()> {
        match args {
            PagingOperation::MapApertureSegment {
                process,
                allocation,
                pages,
            } => {
                let vm = self.directory.vm(process.0)?;
                vm.live()?.map_aperture(*process, *allocation, pages)
            }
            PagingOperation::UnmapApertureSegment {
                process,
                allocation,
            } => {
                let vm = self.directory.vm(process.0)?;
                let _no_unit = vm.units.enter();
                vm.live()?.unmap_aperture(*process, *allocation)
            }
        }
    }

    fn create_shared_object(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<Guid> {
        let vm = self.directory.vm(process.0)?;
        vm.live()?.create_shared_object(process, allocation)
    }

    fn query_child_status(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ChildStatus>> {
        let vm = self.directory.vm(worker.0)?;
        let state = vm.live()?;
        state.objects.check_worker(worker)?;
        state.child_status()
    }

    fn query_device_descriptor(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
    ) -> DdiResult<Vec<u8>> {
        let vm = self.directory.vm(worker.0)?;
        let mut state = vm.live()?;
        state.objects.check_worker(worker)?;
        let status = state.source(source)?.status;
        drop(state);
        edid::of_monitor(source, &status)
    }

    fn commit_vidpn(&self, args: &CommitVidPn) -> DdiResult<()> {
        let vm = self.directory.vm(args.process.0)?;
        vm.live()?.commit_vidpn(args)
    }

    fn set_vidpn_source_address(&self, args: &SetVidPnSourceAddress) -> DdiResult<()> {
        let vm = self.directory.vm(args.process.0)?;
        vm.live()?.set_vidpn_source_address(args)
    }

    fn set_vidpn_source_visibility(
        &self,
        process: KmdProcessHandle,
        source: VidPnSourceId,
        visible: bool,
    ) -> DdiResult<()> {
        let vm = self.directory.vm(process.0)?;
        vm.live()?
            .set_vidpn_source_visibility(process, source, visible)
    }

    fn set_pointer_shape(&self, args: &SetPointerShape) -> DdiResult<()> {
        let vm = self.directory.vm(args.process.0)?;
        vm.live()?.set_pointer_shape(args)
    }

    fn set_pointer_position(&self, args: &SetPointerPosition) -> DdiResult<()> {
        let vm = self.directory.vm(args.process.0)?;
        let screen = vm.live()?.pointer_screen(args)?;
        screen.move_cursor(args.x, args.y);
        Ok(())
    }

    fn notify_focus_present(&self, process: KmdProcessHandle) -> DdiResult<()> {
        let vm = self.directory.vm(process.0)?;
        let mut state = vm.live()?;
        state.objects.process(process)?;
        state.work.focus_present();
        Ok(())
    }

    fn query_statistics(&self, worker: KmdProcessHandle) -> DdiResult<VmStatistics> {
        let vm = self.directory.vm(worker.0)?;
        let state = vm.live()?;
        state.objects.check_worker(worker)?;
        let progress = state.progress;
        let memory = state.account.used();
        drop(state);
        let books = self.arbiter.books(vm.id);
        let (charges, account) = (books.charges, books.account);
        Ok(VmStatistics {
            gpu: charges.gpu,
            units: charges.units,
            commands: progress.commands,
            frames: progress.frames,
            longest_unit: charges.longest_unit,
            longest_wait: charges.longest_wait,
            waited: charges.waited,
            lag: account.lag,
            borrowed: account.borrowed,
            home: books.home.0,
            resets: account.resets,
            quarantined: vm.signals.is_quarantined(),
            memory,
            first_frame: progress.first_frame,
        })
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A driver in between that writes down every call and its answer, and fails calls on demand: for tests of whoever
//! calls a driver.

mod call;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use call::{Answer, Call, Verb};

use rondo_scheduler::Policy;

use crate::ddi::{
    AdapterCallbacks, AdapterCaps, ChildStatus, CommitVidPn, ContextOwner,
    ContextSchedulingProperties, CreateAllocation, CreateContext, CreateProcess, Ddi, DdiResult,
    Guid, PagingOperation, PriorityBands, SetPointerPosition, SetPointerShape,
    SetVidPnSourceAddress, SetVirtualMachineData, SubmitCommand, Suspension, VidPnSourceId,
    VirtualGpuProfile, VmConnection, VmHost, VmStatistics,
};
use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};
use crate::scheduling_log::SchedulingLog;
use crate::status::NtStatus;

/// A call and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The call.
    pub call: Call,
    /// Its answer.
    pub result: DdiResult<Answer>,
}

/// Which call is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Number(usize),
    Next(Verb),
}

#[derive(Debug, Default)]
struct Log {
    /// Calls in the order of their start; no answer yet while they are under way.
    calls: Vec<(usize, Call, Option<DdiResult<Answer>>)>,
    started: usize,
    failures: VecDeque<(Target, NtStatus)>,
}

/// See the module. `D` is the driver behind it, which a call that is made to fail never reaches.
#[derive(Debug)]
pub struct Recorder<D: ?Sized> {
    log: Mutex<Log>,
    driver: Arc<D>,
}

impl<D: ?Sized> Recorder<D> {
    /// An empty record of calls to `driver`.
    #[must_use]
    pub fn new(driver: Arc<D>) -> Self {
        Self {
            log: Mutex::new(Log::default()),
            driver,
        }
    }

    /// The driver behind it.
    #[must_use]
    pub fn driver(&self) -> &Arc<D> {
        &self.driver
    }

    /// The calls so far that have their answer, in the order in which they were made.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let log = self.log();
        let answered = log.calls.iter().filter_map(|(_, call, result)| {
            Some(Record {
                call: call.clone(),
                result: result.clone()?,
            })
        });
        answered.collect()
    }

    /// As [`Recorder::records`], and forgets them. Calls that are under way stay.
    pub fn take_records(&self) -> Vec<Record> {
        let mut log = self.log();
        let calls = std::mem::take(&mut log.calls);
        let mut records = Vec::with_capacity(calls.len());
        for (number, call, result) in calls {
            match result {
                Some(result) => records.push(Record { call, result }),
                None => log.calls.push((number, call, None)),
            }
        }
        records
    }

    /// How many calls were ever made: the number of the next one, counted from 0.
    #[must_use]
    pub fn calls_made(&self) -> usize {
        self.log().started
    }

    /// The call of this number, counted from 0 over the recorder's life, will fail.
    pub fn fail_call(&self, number: usize, status: NtStatus) {
        let target = Target::Number(number);
        self.log().failures.push_back((target, status));
    }

    /// The next call of this verb will fail. Said several times, that many will, with the statuses in their order.
    pub fn fail_next(&self, verb: Verb, status: NtStatus) {
        let target = Target::Next(verb);
        self.log().failures.push_back((target, status));
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a call down, makes it unless it is to fail, and writes its answer down.
    fn record<T: Clone + Into<Answer>>(
        &self,
        call: Call,
        make: impl FnOnce(&D) -> DdiResult<T>,
    ) -> DdiResult<T> {
        let mut log = self.log();
        let number = log.started;
        log.started += 1;
        let verb = call.verb();
        let failure = log.failures.iter().position(|&(target, _)| {
            target == Target::Number(number) || target == Target::Next(verb)
        });
        let failure = failure.and_then(|place| log.failures.remove(place));
        log.calls.push((number, call, None));
        drop(log);
        let result = match failure {
            Some((_, status)) => Err(status),
            None => make(&self.driver),
        };
        let answer = result.clone().map(Into::into);
        let mut log = self.log();
        if let Some(entry) = log.calls.iter_mut().find(|(other, ..)| *other == number) {
            entry.2 = Some(answer);
        }
        result
    }
}

impl<D: Ddi + ?Sized> Ddi for Recorder<D> {
    fn query_adapter_info(&self) -> DdiResult<AdapterCaps> {
        self.record(Call::QueryAdapterInfo(), |driver| {
            driver.query_adapter_info()
        })
    }

    fn setup_priority_bands(&self, bands: &PriorityBands) -> DdiResult<()> {
        self.record(Call::SetupPriorityBands(*bands), |driver| {
            driver.setup_priority_bands(bands)
        })
    }

    fn create_process(&self, args: &CreateProcess) -> DdiResult<KmdProcessHandle> {
        self.record(Call::CreateProcess(args.clone()), |driver| {
            driver.create_process(args)
        })
    }

    fn destroy_process(&self, process: KmdProcessHandle) -> DdiResult<()> {
        self.record(Call::DestroyProcess(process), |driver| {
            driver.destroy_process(process)
        })
    }

    fn set_virtual_machine_data(&self, args: &SetVirtualMachineData) -> DdiResult<()> {
        self.record(Call::SetVirtualMachineData(*args), |driver| {
            driver.set_virtual_machine_data(args)
        })
    }

    fn set_virtual_gpu_profile(
        &self,
        worker: KmdProcessHandle,
        profile: &VirtualGpuProfile,
    ) -> DdiResult<()> {
        self.record(Call::SetVirtualGpuProfile(worker, *profile), |driver| {
            driver.set_virtual_gpu_profile(worker, profile)
        })
    }

    fn create_device(&self, process: KmdProcessHandle) -> DdiResult<DeviceHandle> {
        self.record(Call::CreateDevice(process), |driver| {
            driver.create_device(process)
        })
    }

    fn destroy_device(&self, device: DeviceHandle) -> DdiResult<()> {
        self.record(Call::DestroyDevice(device), |driver| {
            driver.destroy_device(device)
        })
    }

    fn create_context(&self, args: &CreateContext) -> DdiResult<ContextHandle> {
        self.record(Call::CreateContext(*args), |driver| {
            driver.create_context(args)
        })
    }

    fn destroy_context(&self, context: ContextHandle) -> DdiResult<()> {
        self.record(Call::DestroyContext(context), |driver| {
            driver.destroy_context(context)
        })
    }

    fn set_context_scheduling_properties(
        &self,
        args: &ContextSchedulingProperties,
    ) -> DdiResult<()> {
        self.record(Call::SetContextSchedulingProperties(*args), |driver| {
            driver.set_context_scheduling_properties(args)
        })
    }

    fn suspend_context(&self, context: ContextHandle, fence: u64) -> DdiResult<Suspension> {
        self.record(Call::SuspendContext(context, fence), |driver| {
            driver.suspend_context(context, fence)
        })
    }

    fn resume_context(&self, context: ContextHandle) -> DdiResult<()> {
        self.record(Call::ResumeContext(context), |driver| {
            driver.resume_context(context)
        })
    }

    fn create_hw_queue(&self, context: ContextHandle) -> DdiResult<HwQueueHandle> {
        self.record(Call::CreateHwQueue(context), |driver| {
            driver.create_hw_queue(context)
        })
    }

    fn destroy_hw_queue(&self, queue: HwQueueHandle) -> DdiResult<()> {
        self.record(Call::DestroyHwQueue(queue), |driver| {
            driver.destroy_hw_queue(queue)
        })
    }

    fn submit_command_to_hw_queue(&self, args: &SubmitCommand) -> DdiResult<()> {
        self.record(Call::SubmitCommandToHwQueue(args.clone()), |driver| {
            driver.submit_command_to_hw_queue(args)
        })
    }

    fn reset_hw_engine(&self, node: u16) -> DdiResult<()> {
        self.record(Call::ResetHwEngine(node), |driver| {
            driver.reset_hw_engine(node)
        })
    }

    fn resume_hw_engine(&self, node: u16) -> DdiResult<()> {
        self.record(Call::ResumeHwEngine(node), |driver| {
            driver.resume_hw_engine(node)
        })
    }

    fn create_allocation(&self, args: &CreateAllocation) -> DdiResult<AllocationHandle> {
        self.record(Call::CreateAllocation(*args), |driver| {
            driver.create_allocation(args)
        })
    }

    fn destroy_allocation(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        self.record(Call::DestroyAllocation(process, allocation), |driver| {
            driver.destroy_allocation(process, allocation)
        })
    }

    fn open_allocation(&self, device: DeviceHandle, allocation: AllocationHandle) -> DdiResult<()> {
        self.record(Call::OpenAllocation(device, allocation), |driver| {
            driver.open_allocation(device, allocation)
        })
    }

    fn close_allocation(
        &self,
        device: DeviceHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<()> {
        self.record(Call::CloseAllocation(device, allocation), |driver| {
            driver.close_allocation(device, allocation)
        })
    }

    fn build_paging_buffer(&self, args: &PagingOperation) -> DdiResult<()> {
        self.record(Call::BuildPagingBuffer(args.clone()), |driver| {
            driver.build_paging_buffer(args)
        })
    }

    fn create_shared_object(
        &self,
        process: KmdProcessHandle,
        allocation: AllocationHandle,
    ) -> DdiResult<Guid> {
        self.record(Call::CreateSharedObject(process, allocation), |driver| {
            driver.create_shared_object(process, allocation)
        })
    }

    fn query_child_status(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ChildStatus>> {
        self.record(Call::QueryChildStatus(worker), |driver| {
            driver.query_child_status(worker)
        })
    }

    fn query_device_descriptor(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
    ) -> DdiResult<Vec<u8>> {
        self.record(Call::QueryDeviceDescriptor(worker, source), |driver| {
            driver.query_device_descriptor(worker, source)
        })
    }

    fn commit_vidpn(&self, args: &CommitVidPn) -> DdiResult<()> {
        self.record(Call::CommitVidPn(*args), |driver| driver.commit_vidpn(args))
    }

    fn set_vidpn_source_address(&self, args: &SetVidPnSourceAddress) -> DdiResult<()> {
        self.record(Call::SetVidPnSourceAddress(*args), |driver| {
            driver.set_vidpn_source_address(args)
        })
    }

    fn set_vidpn_source_visibility(
        &self,
        process: KmdProcessHandle,
        source: VidPnSourceId,
        visible: bool,
    ) -> DdiResult<()> {
        self.record(
            Call::SetVidPnSourceVisibility(process, source, visible),
            |driver| driver.set_vidpn_source_visibility(process, source, visible),
        )
    }

    fn set_pointer_shape(&self, args: &SetPointerShape) -> DdiResult<()> {
        self.record(Call::SetPointerShape(*args), |driver| {
            driver.set_pointer_shape(args)
        })
    }

    fn set_pointer_position(&self, args: &SetPointerPosition) -> DdiResult<()> {
        self.record(Call::SetPointerPosition(*args), |driver| {
            driver.set_pointer_position(args)
        })
    }

    fn notify_focus_present(&self, process: KmdProcessHandle) -> DdiResult<()> {
        self.record(Call::NotifyFocusPresent(process), |driver| {
            driver.notify_focus_present(process)
        })
    }

    fn query_statistics(&self, worker: KmdProcessHandle) -> DdiResult<VmStatistics> {
        self.record(Call::QueryStatistics(worker), |driver| {
            driver.query_statistics(worker)
        })
    }
}

impl<D: VmHost + ?Sized> VmHost for Recorder<D> {
    fn connect_vm(&self, worker: KmdProcessHandle, connection: VmConnection) -> DdiResult<()> {
        let screens = connection.screens.len();
        self.record(Call::ConnectVm(worker, screens), |driver| {
            driver.connect_vm(worker, connection)
        })
    }

    fn set_callbacks(
        &self,
        worker: KmdProcessHandle,
        callbacks: Arc<dyn AdapterCallbacks>,
    ) -> DdiResult<()> {
        self.record(Call::SetCallbacks(worker), |driver| {
            driver.set_callbacks(worker, callbacks)
        })
    }

    fn virtual_machine_data(
        &self,
        worker: KmdProcessHandle,
    ) -> DdiResult<Option<SetVirtualMachineData>> {
        self.record(Call::VirtualMachineData(worker), |driver| {
            driver.virtual_machine_data(worker)
        })
    }

    fn set_scheduling_log_buffer(
        &self,
        worker: KmdProcessHandle,
        log: Option<Arc<SchedulingLog>>,
    ) -> DdiResult<()> {
        let entries = log.as_ref().map(|log| log.capacity());
        self.record(Call::SetSchedulingLogBuffer(worker, entries), |driver| {
            driver.set_scheduling_log_buffer(worker, log)
        })
    }

    fn query_contexts(&self, worker: KmdProcessHandle) -> DdiResult<Vec<ContextOwner>> {
        self.record(Call::QueryContexts(worker), |driver| {
            driver.query_contexts(worker)
        })
    }

    fn set_policy(&self, policy: Policy) -> DdiResult<()> {
        self.record(Call::SetPolicy(policy), |driver| driver.set_policy(policy))
    }

    fn query_policy(&self) -> DdiResult<Policy> {
        self.record(Call::QueryPolicy(), |driver| driver.query_policy())
    }

    fn pardon(&self, worker: KmdProcessHandle) -> DdiResult<()> {
        self.record(Call::Pardon(worker), |driver| driver.pardon(worker))
    }

    fn set_child_status(
        &self,
        worker: KmdProcessHandle,
        source: VidPnSourceId,
        status: ChildStatus,
    ) -> DdiResult<()> {
        self.record(Call::SetChildStatus(worker, source, status), |driver| {
            driver.set_child_status(worker, source, status)
        })
    }
}

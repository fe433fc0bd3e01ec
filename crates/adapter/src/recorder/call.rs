// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Driver calls and their answers as plain data.

use rondo_scheduler::Policy;

use crate::ddi::{
    AdapterCaps, ChildStatus, CommitVidPn, ContextOwner, ContextSchedulingProperties,
    CreateAllocation, CreateContext, CreateProcess, Guid, PagingOperation, PriorityBands,
    SetPointerPosition, SetPointerShape, SetVidPnSourceAddress, SetVirtualMachineData,
    SubmitCommand, Suspension, VidPnSourceId, VirtualGpuProfile, VmStatistics,
};
use crate::handle::{
    AllocationHandle, ContextHandle, DeviceHandle, HwQueueHandle, KmdProcessHandle,
};

macro_rules! calls {
    ($($(#[$doc:meta])* $verb:ident($($args:ty),*);)*) => {
        /// Which call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Verb {
            $($(#[$doc])* $verb,)*
        }

        impl Verb {
            /// All of them, in the order of the driver's table.
            pub const ALL: &'static [Self] = &[$(Self::$verb,)*];
        }

        /// A call with its arguments, in their order.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Call {
            $($(#[$doc])* $verb($($args),*),)*
        }

        impl Call {
            /// Which call it is.
            #[must_use]
            pub const fn verb(&self) -> Verb {
                match self {
                    $(Self::$verb(..) => Verb::$verb,)*
                }
            }
        }
    };
}

calls! {
    /// `query_adapter_info`.
    QueryAdapterInfo();
    /// `setup_priority_bands`.
    SetupPriorityBands(PriorityBands);
    /// `create_process`.
    CreateProcess(CreateProcess);
    /// `destroy_process`.
    DestroyProcess(KmdProcessHandle);
    /// `set_virtual_machine_data`.
    SetVirtualMachineData(SetVirtualMachineData);
    /// `set_virtual_gpu_profile`.
    SetVirtualGpuProfile(KmdProcessHandle, VirtualGpuProfile);
    /// `create_device`.
    CreateDevice(KmdProcessHandle);
    /// `destroy_device`.
    DestroyDevice(DeviceHandle);
    /// `create_context`.
    CreateContext(CreateContext);
    /// `destroy_context`.
    DestroyContext(ContextHandle);
    /// `set_context_scheduling_properties`.
    SetContextSchedulingProperties(ContextSchedulingProperties);
    /// `suspend_context`, with the fence.
    SuspendContext(ContextHandle, u64);
    /// `resume_context`.
    ResumeContext(ContextHandle);
    /// `create_hw_queue`.
    CreateHwQueue(ContextHandle);
    /// `destroy_hw_queue`.
    DestroyHwQueue(HwQueueHandle);
    /// `submit_command_to_hw_queue`.
    SubmitCommandToHwQueue(SubmitCommand);
    /// `reset_hw_engine`.
    ResetHwEngine(u16);
    /// `resume_hw_engine`.
    ResumeHwEngine(u16);
    /// `create_allocation`.
    CreateAllocation(CreateAllocation);
    /// `destroy_allocation`.
    DestroyAllocation(KmdProcessHandle, AllocationHandle);
    /// `open_allocation`.
    OpenAllocation(DeviceHandle, AllocationHandle);
    /// `close_allocation`.
    CloseAllocation(DeviceHandle, AllocationHandle);
    /// `build_paging_buffer`.
    BuildPagingBuffer(PagingOperation);
    /// `create_shared_object`.
    CreateSharedObject(KmdProcessHandle, AllocationHandle);
    /// `query_child_status`.
    QueryChildStatus(KmdProcessHandle);
    /// `query_device_descriptor`.
    QueryDeviceDescriptor(KmdProcessHandle, VidPnSourceId);
    /// `commit_vidpn`.
    CommitVidPn(CommitVidPn);
    /// `set_vidpn_source_address`.
    SetVidPnSourceAddress(SetVidPnSourceAddress);
    /// `set_vidpn_source_visibility`, with whether it is visible.
    SetVidPnSourceVisibility(KmdProcessHandle, VidPnSourceId, bool);
    /// `set_pointer_shape`.
    SetPointerShape(SetPointerShape);
    /// `set_pointer_position`.
    SetPointerPosition(SetPointerPosition);
    /// `notify_focus_present`.
    NotifyFocusPresent(KmdProcessHandle);
    /// `query_statistics`.
    QueryStatistics(KmdProcessHandle);
    /// `connect_vm`, with the number of screens.
    ConnectVm(KmdProcessHandle, usize);
    /// `set_callbacks`.
    SetCallbacks(KmdProcessHandle);
    /// `virtual_machine_data`.
    VirtualMachineData(KmdProcessHandle);
    /// `set_scheduling_log_buffer`, with the number of entries.
    SetSchedulingLogBuffer(KmdProcessHandle, Option<usize>);
    /// `query_contexts`.
    QueryContexts(KmdProcessHandle);
    /// `set_policy`.
    SetPolicy(Policy);
    /// `query_policy`.
    QueryPolicy();
    /// `pardon`.
    Pardon(KmdProcessHandle);
    /// `set_child_status`.
    SetChildStatus(KmdProcessHandle, VidPnSourceId, ChildStatus);
}

macro_rules! answers {
    ($($(#[$doc:meta])* $answer:ident($value:ty);)*) => {
        /// What a call that succeeded answered.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Answer {
            /// Success says it all.
            Done,
            $($(#[$doc])* $answer($value),)*
        }

        impl From<()> for Answer {
            fn from((): ()) -> Self {
                Self::Done
            }
        }

        $(impl From<$value> for Answer {
            fn from(value: $value) -> Self {
                Self::$answer(value)
            }
        })*
    };
}

answers! {
    /// The adapter's abilities.
    AdapterInfo(AdapterCaps);
    /// A new process.
    Process(KmdProcessHandle);
    /// A new device.
    Device(DeviceHandle);
    /// A new context.
    Context(ContextHandle);
    /// A new queue.
    HwQueue(HwQueueHandle);
    /// A new allocation.
    Allocation(AllocationHandle);
    /// Whether a suspension will be told.
    Suspension(Suspension);
    /// A shared object's name.
    SharedObject(Guid);
    /// The monitors.
    Children(Vec<ChildStatus>);
    /// An EDID.
    Descriptor(Vec<u8>);
    /// What a VM has used.
    Statistics(VmStatistics);
    /// A VM's contexts.
    Contexts(Vec<ContextOwner>);
    /// How VMs share the engines.
    Policy(Policy);
    /// Who a VM is.
    Identity(Option<SetVirtualMachineData>);
}

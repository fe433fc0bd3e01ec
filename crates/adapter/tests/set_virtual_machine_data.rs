// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The contract of `SetVirtualMachineData`: each guarantee and each row of the table of errors is a test.

#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use rondo_adapter::adapter::Adapter;
use rondo_adapter::ddi::*;
use rondo_adapter::gpu::{SoftwareGpu, SoftwareGpuConfig};
use rondo_adapter::handle::*;
use rondo_adapter::status::NtStatus::{self, *};
use support::*;

const SECURE: u32 = VirtualMachineDataFlags::SECURE;
const LINUX: u32 = VirtualMachineDataFlags::LINUX;

fn set(ddi: &dyn VmHost, worker: KmdProcessHandle, number: u8, flags: u32) -> Result<(), NtStatus> {
    ddi.set_virtual_machine_data(&identity(worker, number, flags))
}

fn data(ddi: &dyn VmHost, worker: KmdProcessHandle) -> Option<(Guid, u32)> {
    let data = ddi.virtual_machine_data(worker).unwrap()?;
    Some((data.vm_guid, data.flags.0))
}

// Guarantee 1: identity is host-supplied.

#[test]
fn guarantee_1_nothing_a_guest_supplies_reaches_the_identity() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    // All that comes from a guest in process creation is a name; it may look like anything.
    let process = ddi.create_process(&CreateProcess {
        name: Some(guid(2).to_string()),
        ..vm_process(worker)
    });
    assert!(process.is_ok());
    assert_eq!(data(&*ddi, worker), Some((guid(1), LINUX)));
}

#[test]
fn guarantee_1_every_call_leads_by_its_handle_to_its_own_vm() {
    let ddi = adapter();
    let (a, b) = (TestVm::new(&ddi, 1), TestVm::new(&ddi, 2));
    let image = a.backed_image(size(8, 8));
    a.submit(TestVm::transfer(image, size(8, 8))).unwrap();
    a.told.wait_for(1);
    assert_eq!(a.statistics().commands, 1);
    assert_eq!(b.statistics().commands, 0);
    assert!(b.told.completions().is_empty());
}

// Guarantee 2: order.

#[test]
fn guarantee_2_bands_are_set_up_before_the_first_process() {
    let gpu = SoftwareGpu::new(SoftwareGpuConfig::default()).unwrap();
    let worker = CreateProcess {
        flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS),
        ..CreateProcess::default()
    };
    assert_eq!(gpu.create_process(&worker), refused(InvalidDeviceState));
    assert_eq!(gpu.setup_priority_bands(&PriorityBands::default()), OK);
    assert!(gpu.create_process(&worker).is_ok());
}

#[test]
fn guarantee_2_the_identity_is_set_before_the_first_vm_process() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    let process = vm_process(worker);
    assert_eq!(ddi.create_process(&process), refused(InvalidDeviceState));
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    assert!(ddi.create_process(&process).is_ok());
}

#[test]
fn guarantee_2_scheduling_properties_are_set_before_the_first_submission() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(8, 8));
    let args = CreateContext {
        device: vm.device,
        node: 0,
    };
    let context = ddi.create_context(&args).unwrap();
    let queue = ddi.create_hw_queue(context).unwrap();
    let command = TestVm::transfer(image, size(8, 8));
    assert_eq!(vm.submit_to(queue, command), refused(InvalidDeviceState));
    let set = ddi.set_context_scheduling_properties(&properties(context));
    assert_eq!(set, OK);
    assert!(vm.submit_to(queue, command).is_ok());
    vm.told.wait_for(1);
}

// Guarantee 3: the worker owns nothing.

#[test]
fn guarantee_3_nothing_is_created_in_a_worker() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    assert_eq!(ddi.create_device(vm.worker), refused(InvalidParameter));
    let context = CreateContext {
        device: DeviceHandle(vm.worker.0),
        node: 0,
    };
    assert_eq!(ddi.create_context(&context), refused(InvalidParameter));
    let allocation = CreateAllocation {
        process: vm.worker,
        kind: AllocationKind::GuestBlob { size: 4096 },
    };
    assert_eq!(
        ddi.create_allocation(&allocation),
        refused(InvalidParameter)
    );
}

// Guarantee 4: repeated calls.

#[test]
fn guarantee_4_the_same_call_again_changes_nothing_even_with_processes() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    ddi.create_process(&vm_process(worker)).unwrap();
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    assert_eq!(data(&*ddi, worker), Some((guid(1), LINUX)));
}

#[test]
fn guarantee_4_secure_may_be_added_while_there_is_no_vm_process() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    assert_eq!(set(&*ddi, worker, 1, LINUX | SECURE), OK);
    assert_eq!(data(&*ddi, worker), Some((guid(1), LINUX | SECURE)));
}

// Guarantee 5: lifetime.

#[test]
fn guarantee_5_destroying_a_worker_takes_all_of_its_vm_along() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(8, 8));
    assert!(vm.holders_of_guest_memory() > 0);
    assert_eq!(ddi.destroy_process(vm.worker), OK);
    assert_eq!(vm.holders_of_guest_memory(), 0);
    assert_eq!(ddi.destroy_process(vm.worker), refused(InvalidHandle));
    assert_eq!(ddi.destroy_process(vm.process), refused(InvalidHandle));
    assert_eq!(ddi.destroy_device(vm.device), refused(InvalidHandle));
    assert_eq!(ddi.destroy_context(vm.context), refused(InvalidHandle));
    assert_eq!(ddi.destroy_hw_queue(vm.queue), refused(InvalidHandle));
    assert_eq!(
        ddi.destroy_allocation(vm.process, image),
        refused(InvalidHandle)
    );
}

#[test]
fn guarantee_5_the_guid_is_free_again_when_its_worker_is_gone() {
    let ddi = adapter();
    let first = create_worker(&*ddi);
    assert_eq!(set(&*ddi, first, 1, 0), OK);
    assert_eq!(ddi.destroy_process(first), OK);
    let second = create_worker(&*ddi);
    assert_eq!(set(&*ddi, second, 1, 0), OK);
}

#[test]
fn guarantee_5_no_handle_is_used_twice() {
    let ddi = adapter();
    let mut seen = std::collections::HashSet::new();
    for round in 0..20 {
        let vm = TestVm::new(&ddi, 1);
        let image = vm.image(size(1, 1));
        ddi.destroy_allocation(vm.process, image).unwrap();
        let again = vm.image(size(1, 1));
        for handle in [
            vm.worker.0,
            vm.process.0,
            vm.device.0,
            vm.context.0,
            vm.queue.0,
            image.0,
            again.0,
        ] {
            assert!(seen.insert(handle), "{handle:#x} again in round {round}");
        }
        ddi.destroy_process(vm.worker).unwrap();
    }
}

// Guarantee 6: atomicity.

#[test]
fn guarantee_6_a_refused_call_changes_nothing() {
    let ddi = adapter();
    let (one, two) = (create_worker(&*ddi), create_worker(&*ddi));
    assert_eq!(set(&*ddi, one, 1, 0x4), refused(InvalidParameter));
    assert_eq!(data(&*ddi, one), None);
    assert_eq!(set(&*ddi, one, 1, LINUX), OK);
    assert_eq!(
        set(&*ddi, one, 2, LINUX | SECURE),
        refused(InvalidDeviceState)
    );
    assert_eq!(data(&*ddi, one), Some((guid(1), LINUX)));
    // The GUID of the refused call is not taken.
    assert_eq!(set(&*ddi, two, 1, 0), refused(ObjectNameCollision));
    assert_eq!(data(&*ddi, two), None);
    assert_eq!(set(&*ddi, two, 2, 0), OK);
}

#[test]
fn guarantee_6_a_refused_profile_leaves_the_old_one() {
    let ddi = adapter();
    let (one, two) = (create_worker(&*ddi), create_worker(&*ddi));
    assert_eq!(ddi.set_virtual_gpu_profile(one, &share(600_000)), OK);
    assert_eq!(ddi.set_virtual_gpu_profile(two, &share(400_000)), OK);
    assert_eq!(
        ddi.set_virtual_gpu_profile(two, &share(400_001)),
        refused(InsufficientResources)
    );
    // Had the refused share been taken or the old one been lost, one of these would not come out as it does.
    assert_eq!(
        ddi.set_virtual_gpu_profile(one, &share(600_001)),
        refused(InsufficientResources)
    );
    assert_eq!(ddi.set_virtual_gpu_profile(one, &share(600_000)), OK);
}

// Guarantee 7: secure VMs.

#[test]
fn guarantee_7_a_secure_vm_stays_secure_and_is_known_as_such() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, SECURE), OK);
    assert_eq!(data(&*ddi, worker), Some((guid(1), SECURE)));
    assert_eq!(set(&*ddi, worker, 1, 0), refused(AccessDenied));
    assert_eq!(data(&*ddi, worker), Some((guid(1), SECURE)));
}

// Guarantee 8: across VMs.

#[test]
fn guarantee_8_no_handle_of_one_vm_resolves_in_another() {
    let ddi = adapter();
    let (a, b) = (TestVm::new(&ddi, 1), TestVm::new(&ddi, 2));
    let of_b = b.backed_image(size(8, 8));
    let whole = TestVm::transfer(of_b, size(8, 8));
    assert_eq!(a.submit(whole), refused(InvalidHandle));
    assert_eq!(ddi.open_allocation(a.device, of_b), refused(InvalidHandle));
    assert_eq!(ddi.close_allocation(a.device, of_b), refused(InvalidHandle));
    assert_eq!(
        ddi.destroy_allocation(a.process, of_b),
        refused(InvalidHandle)
    );
    assert_eq!(a.map(of_b, 4), refused(InvalidHandle));
    assert_eq!(a.unmap(of_b), refused(InvalidHandle));
    assert_eq!(
        ddi.create_shared_object(a.process, of_b),
        refused(InvalidHandle)
    );
    assert_eq!(
        ddi.set_vidpn_source_address(&SetVidPnSourceAddress {
            process: a.process,
            source: VidPnSourceId(0),
            allocation: of_b,
            surface: surface(size(8, 8)),
            rect: rondo_renderer::geometry::Rect::whole(size(8, 8)),
        }),
        refused(InvalidHandle)
    );
    assert_eq!(
        ddi.set_pointer_shape(&SetPointerShape {
            process: a.process,
            source: VidPnSourceId(0),
            allocation: Some(of_b),
            hot_x: 0,
            hot_y: 0,
        }),
        refused(InvalidHandle)
    );
    // The answer is that of a handle which was never given to anybody.
    let nobodys = AllocationHandle(of_b.0 + 1_000_000);
    assert_eq!(
        ddi.open_allocation(a.device, nobodys),
        ddi.open_allocation(a.device, of_b)
    );
}

// Guarantee 9: names.

#[test]
fn guarantee_9_a_name_may_be_absent_or_of_any_length() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, 0), OK);
    for name in [None, Some(String::new()), Some("ß".repeat(1 << 16))] {
        let args = CreateProcess {
            name,
            ..vm_process(worker)
        };
        assert!(ddi.create_process(&args).is_ok());
    }
    // What is kept of a name is part of what is charged for its process.
    assert!(ddi.query_statistics(worker).unwrap().memory < 4096);
}

// The table of errors, row by row.

#[test]
fn error_unknown_stale_or_destroyed_worker_is_invalid_handle() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    let unknown = [0, 1, worker.0 + 1, worker.0 ^ 1 << 45, u64::MAX];
    for handle in unknown {
        let handle = KmdProcessHandle(handle);
        assert_eq!(
            set(&*ddi, handle, 1, 0),
            refused(InvalidHandle),
            "{handle:?}"
        );
    }
    ddi.destroy_process(worker).unwrap();
    assert_eq!(set(&*ddi, worker, 1, 0), refused(InvalidHandle));
}

#[test]
fn error_a_handle_that_is_no_worker_is_object_type_mismatch() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.image(size(1, 1));
    let ordinary = ddi.create_process(&CreateProcess::default()).unwrap();
    for handle in [
        vm.process.0,
        vm.device.0,
        vm.context.0,
        vm.queue.0,
        image.0,
        ordinary.0,
    ] {
        let handle = KmdProcessHandle(handle);
        let result = set(&*ddi, handle, 2, 0);
        assert_eq!(result, refused(ObjectTypeMismatch), "{handle:?}");
    }
}

#[test]
fn error_a_guid_of_zeros_is_invalid_parameter() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 0, 0), refused(InvalidParameter));
}

#[test]
fn error_unknown_flags_and_contradictory_processes_are_invalid_parameter() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    for bit in 2..32 {
        assert_eq!(set(&*ddi, worker, 1, 1 << bit), refused(InvalidParameter));
    }
    assert_eq!(set(&*ddi, worker, 1, 0), OK);
    let vm_flag = CreateProcessFlags::VIRTUAL_MACHINE_PROCESS;
    let worker_flag = CreateProcessFlags::VIRTUAL_MACHINE_WORKER_PROCESS;
    let cases = [
        (vm_flag | worker_flag, None),
        (vm_flag | worker_flag, Some(worker)),
        (vm_flag, None),
        (worker_flag, Some(worker)),
        (0, Some(worker)),
        (CreateProcessFlags::SYSTEM_PROCESS, Some(worker)),
        (0x20, None),
        (0x8000_0000 | vm_flag, Some(worker)),
    ];
    for (flags, worker) in cases {
        let args = CreateProcess {
            flags: CreateProcessFlags(flags),
            worker,
            name: None,
        };
        assert_eq!(
            ddi.create_process(&args),
            refused(InvalidParameter),
            "{args:?}"
        );
    }
}

#[test]
fn error_a_guid_of_another_live_worker_is_object_name_collision() {
    let ddi = adapter();
    let (one, two) = (create_worker(&*ddi), create_worker(&*ddi));
    assert_eq!(set(&*ddi, one, 1, 0), OK);
    assert_eq!(set(&*ddi, two, 1, 0), refused(ObjectNameCollision));
}

#[test]
fn error_another_guid_for_the_same_worker_is_invalid_device_state() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, 0), OK);
    assert_eq!(set(&*ddi, worker, 2, 0), refused(InvalidDeviceState));
}

#[test]
fn error_loosening_secure_or_changing_flags_with_processes_is_access_denied() {
    let ddi = adapter();
    let secure = create_worker(&*ddi);
    assert_eq!(set(&*ddi, secure, 1, SECURE | LINUX), OK);
    assert_eq!(set(&*ddi, secure, 1, LINUX), refused(AccessDenied));
    assert_eq!(set(&*ddi, secure, 1, SECURE), refused(AccessDenied));
    let busy = create_worker(&*ddi);
    assert_eq!(set(&*ddi, busy, 2, 0), OK);
    ddi.create_process(&vm_process(busy)).unwrap();
    for flags in [SECURE, LINUX, SECURE | LINUX] {
        assert_eq!(set(&*ddi, busy, 2, flags), refused(AccessDenied));
    }
}

#[test]
fn error_secure_without_isolation_is_not_supported() {
    let ddi = start(SoftwareGpuConfig::default());
    assert!(!ddi.caps().isolation);
    let worker = create_worker(&*ddi);
    assert_eq!(set(&*ddi, worker, 1, SECURE), refused(NotSupported));
    assert_eq!(set(&*ddi, worker, 1, LINUX), OK);
    assert_eq!(set(&*ddi, worker, 1, SECURE | LINUX), refused(NotSupported));
}

#[test]
fn error_a_stopped_adapter_is_device_removed() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    ddi.stop();
    assert_eq!(set(&*ddi, vm.worker, 1, 0), refused(DeviceRemoved));
    assert_eq!(ddi.query_adapter_info(), refused(DeviceRemoved));
    assert_eq!(ddi.create_device(vm.process), refused(DeviceRemoved));
    assert_eq!(ddi.destroy_process(vm.worker), refused(DeviceRemoved));
    assert_eq!(
        ddi.set_child_status(vm.worker, VidPnSourceId(0), MONITOR),
        refused(DeviceRemoved)
    );
}

#[test]
fn stopping_an_adapter_destroys_its_vms() {
    let gpu = Arc::new(SoftwareGpu::new(SoftwareGpuConfig::default()).unwrap());
    let ddi = Adapter::start(
        Arc::clone(&gpu) as Arc<dyn VmHost>,
        &PriorityBands::default(),
    );
    let ddi = ddi.unwrap();
    let vm = TestVm::new(&ddi, 1);
    ddi.stop();
    assert_eq!(gpu.query_statistics(vm.worker), refused(InvalidHandle));
}

#[test]
fn error_a_worker_that_is_being_destroyed_is_delete_pending() {
    let (ddi, gate) = gated();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(8, 8));
    vm.submit(TestVm::transfer(image, size(8, 8))).unwrap();
    gate.wait_for_unit();
    std::thread::scope(|scope| {
        // Waits for the unit, which stands before the gate.
        let destruction = scope.spawn(|| ddi.destroy_process(vm.worker));
        while ddi.query_statistics(vm.worker).is_ok() {
            std::thread::yield_now();
        }
        assert_eq!(set(&*ddi, vm.worker, 1, 0), refused(DeletePending));
        assert_eq!(ddi.destroy_process(vm.worker), refused(DeletePending));
        assert_eq!(
            ddi.create_process(&vm_process(vm.worker)),
            refused(DeletePending)
        );
        gate.open();
        assert_eq!(destruction.join().unwrap(), OK);
    });
    assert_eq!(set(&*ddi, vm.worker, 1, 0), refused(InvalidHandle));
}

#[test]
fn error_shares_above_the_whole_are_insufficient_resources() {
    let ddi = adapter();
    let (one, two) = (create_worker(&*ddi), create_worker(&*ddi));
    assert_eq!(ddi.set_virtual_gpu_profile(one, &share(750_000)), OK);
    assert_eq!(
        ddi.set_virtual_gpu_profile(two, &share(250_001)),
        refused(InsufficientResources)
    );
    assert_eq!(ddi.set_virtual_gpu_profile(two, &share(250_000)), OK);
    // The share of a VM that is gone is free.
    assert_eq!(ddi.destroy_process(one), OK);
    assert_eq!(ddi.set_virtual_gpu_profile(two, &share(1_000_000)), OK);
}

#[test]
fn error_focus_and_realtime_without_the_privilege_are_privilege_not_held() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    for band in [PriorityBand::Focus, PriorityBand::Realtime] {
        let args = ContextSchedulingProperties {
            band,
            ..properties(vm.context)
        };
        let result = ddi.set_context_scheduling_properties(&args);
        assert_eq!(result, refused(PrivilegeNotHeld));
    }
    let idle = ContextSchedulingProperties {
        band: PriorityBand::Idle,
        ..properties(vm.context)
    };
    assert_eq!(ddi.set_context_scheduling_properties(&idle), OK);
}

#[test]
fn error_scheduling_values_out_of_range_are_invalid_parameter() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let good = properties(vm.context);
    let bad = [
        ContextSchedulingProperties {
            in_process_priority: 8,
            ..good
        },
        ContextSchedulingProperties {
            in_process_priority: -8,
            ..good
        },
        ContextSchedulingProperties {
            band: PriorityBand::Realtime,
            realtime_level: 32,
            ..good
        },
        ContextSchedulingProperties {
            band: PriorityBand::Realtime,
            realtime_level: -1,
            ..good
        },
        ContextSchedulingProperties { quantum: 0, ..good },
    ];
    for args in bad {
        let result = ddi.set_context_scheduling_properties(&args);
        assert_eq!(result, refused(InvalidParameter), "{args:?}");
    }
    for in_process_priority in [-7, 7] {
        let args = ContextSchedulingProperties {
            in_process_priority,
            realtime_level: 99,
            ..good
        };
        assert_eq!(ddi.set_context_scheduling_properties(&args), OK);
    }
    for (percentage, result) in [(50, OK), (51, refused(InvalidParameter))] {
        let bands = PriorityBands {
            target_normal_band_percentage: percentage,
            ..PriorityBands::default()
        };
        assert_eq!(ddi.setup_priority_bands(&bands), result);
    }
}

#[test]
fn error_memory_above_the_limit_is_no_memory() {
    let ddi = adapter();
    let vm = TestVm::with_profile(
        &ddi,
        1,
        &VirtualGpuProfile {
            memory_limit: 1 << 20,
            ..share(0)
        },
    );
    let before = vm.statistics().memory;
    assert_eq!(vm.try_image(size(512, 512)), refused(NoMemory));
    assert_eq!(vm.statistics().memory, before);
    assert!(vm.try_image(size(512, 256)).is_ok());
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Processes, devices, contexts, allocations, monitors and pointers: what each call does, refuses and gives back.

#![allow(clippy::unwrap_used)]

mod support;

use rondo_adapter::ddi::*;
use rondo_adapter::handle::*;
use rondo_adapter::status::NtStatus::*;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::Rect;
use support::*;

#[test]
fn a_handle_of_another_kind_is_told_apart_from_one_that_is_unknown() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.image(size(1, 1));
    assert_eq!(
        ddi.destroy_device(DeviceHandle(vm.context.0)),
        refused(ObjectTypeMismatch)
    );
    assert_eq!(
        ddi.create_hw_queue(ContextHandle(vm.queue.0)),
        refused(ObjectTypeMismatch)
    );
    assert_eq!(
        ddi.destroy_allocation(vm.process, AllocationHandle(vm.device.0)),
        refused(ObjectTypeMismatch)
    );
    assert_eq!(
        ddi.destroy_hw_queue(HwQueueHandle(image.0)),
        refused(ObjectTypeMismatch)
    );
    ddi.destroy_allocation(vm.process, image).unwrap();
    assert_eq!(
        ddi.destroy_allocation(vm.process, image),
        refused(InvalidHandle)
    );
}

#[test]
fn an_object_with_parts_is_not_destroyed_before_them() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    assert_eq!(ddi.destroy_device(vm.device), refused(InvalidDeviceState));
    assert_eq!(ddi.destroy_context(vm.context), refused(InvalidDeviceState));
    assert_eq!(ddi.destroy_hw_queue(vm.queue), OK);
    assert_eq!(ddi.destroy_context(vm.context), OK);
    assert_eq!(ddi.destroy_device(vm.device), OK);
    assert_eq!(ddi.destroy_process(vm.process), OK);
    assert_eq!(vm.statistics().memory, 0);
}

#[test]
fn destroying_a_vm_process_gives_all_of_its_memory_back() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(64, 64));
    vm.show(1, image, size(64, 64));
    ddi.open_allocation(vm.device, image).unwrap();
    let pointer = SetPointerShape {
        process: vm.process,
        source: VidPnSourceId(0),
        allocation: Some(image),
        hot_x: 1,
        hot_y: 2,
    };
    assert_eq!(ddi.set_pointer_shape(&pointer), OK);
    assert!(vm.holders_of_guest_memory() > 0);
    assert_eq!(ddi.destroy_process(vm.process), OK);
    assert_eq!(vm.statistics().memory, 0);
    assert_eq!(vm.holders_of_guest_memory(), 0);
    assert_eq!(vm.screens[1].0.lock().unwrap().mode, None);
    assert_eq!(vm.screens[0].0.lock().unwrap().cursor, None);
}

#[test]
fn a_context_is_created_on_a_node_that_there_is() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let args = CreateContext {
        device: vm.device,
        node: ddi.caps().nodes,
    };
    assert_eq!(ddi.create_context(&args), refused(InvalidParameter));
}

#[test]
fn host_processes_own_nothing_and_end() {
    let ddi = adapter();
    let process = ddi.create_process(&CreateProcess::default()).unwrap();
    assert_eq!(ddi.create_device(process), refused(NotSupported));
    assert_eq!(ddi.destroy_process(process), OK);
    assert_eq!(ddi.destroy_process(process), refused(InvalidHandle));
}

#[test]
fn an_image_without_pixels_and_a_blob_without_bytes_are_refused() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let before = vm.statistics().memory;
    assert_eq!(vm.try_image(size(0, 5)), refused(InvalidParameter));
    assert_eq!(vm.blob(0), refused(InvalidParameter));
    assert_eq!(vm.try_image(size(u32::MAX, u32::MAX)), refused(NoMemory));
    assert_eq!(vm.statistics().memory, before);
}

#[test]
fn backing_lies_in_guest_memory_is_there_once_and_goes_once() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.image(size(8, 8));
    let before = vm.statistics().memory;
    let outside = u32::try_from(GUEST_BYTES).unwrap() + 1;
    assert_eq!(vm.map(image, outside), refused(InvalidParameter));
    assert_eq!(vm.unmap(image), refused(InvalidDeviceState));
    assert_eq!(vm.statistics().memory, before);
    assert_eq!(vm.map(image, 256), OK);
    assert!(vm.statistics().memory > before);
    assert_eq!(vm.map(image, 256), refused(InvalidDeviceState));
    assert_eq!(vm.unmap(image), OK);
    assert_eq!(vm.unmap(image), refused(InvalidDeviceState));
    assert_eq!(vm.statistics().memory, before);
    assert_eq!(vm.holders_of_guest_memory(), 0);
}

#[test]
fn a_table_of_too_many_pieces_is_no_memory() {
    let ddi = adapter();
    let profile = VirtualGpuProfile {
        memory_limit: 64 << 10,
        ..share(0)
    };
    let vm = TestVm::with_profile(&ddi, 1, &profile);
    let image = vm.image(size(8, 8));
    let map = PagingOperation::MapApertureSegment {
        process: vm.process,
        allocation: image,
        pages: vec![GuestRange { addr: 0, len: 1 }; 1 << 14],
    };
    assert_eq!(ddi.build_paging_buffer(&map), refused(NoMemory));
}

#[test]
fn a_blob_needs_all_of_its_bytes() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let blob = vm.blob(4096).unwrap();
    assert_eq!(vm.map(blob, 4095), refused(InvalidParameter));
    assert_eq!(vm.map(blob, 4096), OK);
}

#[test]
fn a_device_uses_what_is_its_process_own_or_what_it_has_opened() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(8, 8));
    let process = ddi.create_process(&vm_process(vm.worker)).unwrap();
    let device = ddi.create_device(process).unwrap();
    let context = ddi
        .create_context(&CreateContext { device, node: 0 })
        .unwrap();
    ddi.set_context_scheduling_properties(&properties(context))
        .unwrap();
    let queue = ddi.create_hw_queue(context).unwrap();
    let command = TestVm::transfer(image, size(8, 8));
    assert_eq!(vm.submit_to(queue, command), refused(InvalidHandle));
    assert_eq!(ddi.close_allocation(device, image), refused(InvalidHandle));
    assert_eq!(ddi.open_allocation(device, image), OK);
    assert_eq!(ddi.open_allocation(device, image), OK);
    assert!(vm.submit_to(queue, command).is_ok());
    assert_eq!(ddi.close_allocation(device, image), OK);
    assert_eq!(vm.submit_to(queue, command), refused(InvalidHandle));
    vm.told.wait_for(1);
    // Only its owner destroys it.
    assert_eq!(
        ddi.destroy_allocation(process, image),
        refused(InvalidHandle)
    );
}

#[test]
fn a_command_beyond_its_image_is_refused_at_submission() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(8, 8));
    let blob = vm.blob(4096).unwrap();
    let beyond = [
        TestVm::transfer(image, size(9, 8)),
        TestVm::present(image, size(8, 9)),
        GpuCommand::TransferToHost2d {
            allocation: image,
            rect: Rect {
                x: u32::MAX,
                y: 0,
                width: u32::MAX,
                height: 1,
            },
            offset: 0,
        },
        TestVm::transfer(blob, size(1, 1)),
    ];
    for command in beyond {
        assert_eq!(vm.submit(command), refused(InvalidParameter), "{command:?}");
    }
}

#[test]
fn a_shared_object_has_one_name_in_the_world() {
    let ddi = adapter();
    let (a, b) = (TestVm::new(&ddi, 1), TestVm::new(&ddi, 2));
    let (one, two) = (a.image(size(1, 1)), b.image(size(1, 1)));
    let name = ddi.create_shared_object(a.process, one).unwrap();
    assert_eq!(ddi.create_shared_object(a.process, one), Ok(name));
    assert_ne!(ddi.create_shared_object(b.process, two), Ok(name));
    assert!(!name.is_nil());
    assert_ne!(name, guid(1));
}

#[test]
fn a_vm_is_connected_once_with_one_to_sixteen_screens() {
    let ddi = adapter();
    let connection = |screens: usize| VmConnection {
        memory: guest_memory(),
        screens: (0..screens)
            .map(|_| Screen {
                status: MONITOR,
                sink: Box::new(MemorySink::default()),
            })
            .collect(),
    };
    let worker = create_worker(&*ddi);
    assert_eq!(ddi.query_child_status(worker), refused(InvalidDeviceState));
    for screens in [0, 17] {
        let result = ddi.connect_vm(worker, connection(screens));
        assert_eq!(result, refused(InvalidParameter));
    }
    assert_eq!(ddi.connect_vm(worker, connection(16)), OK);
    assert_eq!(
        ddi.connect_vm(worker, connection(1)),
        refused(InvalidDeviceState)
    );
    assert_eq!(ddi.query_child_status(worker), Ok(vec![MONITOR; 16]));
}

#[test]
fn a_monitor_that_changes_is_told_and_described_anew() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let source = VidPnSourceId(1);
    let before = ddi.query_device_descriptor(vm.worker, source).unwrap();
    assert_eq!(before.len() % 128, 0);
    let wide = ChildStatus {
        size: size(1920, 1080),
        position: (64, 0),
        ..MONITOR
    };
    assert_eq!(ddi.set_child_status(vm.worker, source, wide), OK);
    assert_eq!(vm.told.hot_plugs(), 1);
    assert_eq!(ddi.query_child_status(vm.worker), Ok(vec![MONITOR, wide]));
    let after = ddi.query_device_descriptor(vm.worker, source).unwrap();
    assert_ne!(before, after);
    let no_pixels = ChildStatus {
        size: size(0, 0),
        ..MONITOR
    };
    assert_eq!(
        ddi.set_child_status(vm.worker, source, no_pixels),
        refused(InvalidParameter)
    );
    let none = VidPnSourceId(2);
    assert_eq!(
        ddi.set_child_status(vm.worker, none, MONITOR),
        refused(InvalidHandle)
    );
    assert_eq!(
        ddi.query_device_descriptor(vm.worker, none),
        refused(InvalidHandle)
    );
    assert_eq!(vm.told.hot_plugs(), 1);
}

#[test]
fn a_source_shows_only_what_fits_its_mode_and_its_surface() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let image = vm.backed_image(size(16, 8));
    let source = VidPnSourceId(0);
    let mode = CommitVidPn {
        process: vm.process,
        source,
        size: size(8, 8),
        format: PixelFormat::B8G8R8X8,
    };
    let address = SetVidPnSourceAddress {
        process: vm.process,
        source,
        allocation: image,
        surface: surface(size(16, 8)),
        rect: Rect {
            x: 8,
            y: 0,
            width: 8,
            height: 8,
        },
    };
    // Off: there is no mode yet.
    assert_eq!(
        ddi.set_vidpn_source_address(&address),
        refused(GraphicsInvalidVidpnTopology)
    );
    let no_pixels = CommitVidPn {
        size: size(0, 8),
        ..mode
    };
    assert_eq!(
        ddi.commit_vidpn(&no_pixels),
        refused(GraphicsInvalidVidpnTopology)
    );
    assert_eq!(ddi.commit_vidpn(&mode), OK);
    assert_eq!(ddi.set_vidpn_source_address(&address), OK);
    let outside = SetVidPnSourceAddress {
        rect: Rect {
            x: 9,
            ..address.rect
        },
        ..address
    };
    assert_eq!(
        ddi.set_vidpn_source_address(&outside),
        refused(InvalidParameter)
    );
    let other_shape = SetVidPnSourceAddress {
        surface: surface(size(8, 16)),
        ..address
    };
    assert_eq!(
        ddi.set_vidpn_source_address(&other_shape),
        refused(InvalidParameter)
    );
    let other_mode = SetVidPnSourceAddress {
        rect: Rect {
            width: 4,
            ..address.rect
        },
        ..address
    };
    assert_eq!(
        ddi.set_vidpn_source_address(&other_mode),
        refused(GraphicsInvalidVidpnTopology)
    );
    let unbacked_blob = vm.blob(4096).unwrap();
    let blob = SetVidPnSourceAddress {
        allocation: unbacked_blob,
        ..address
    };
    assert_eq!(
        ddi.set_vidpn_source_address(&blob),
        refused(InvalidParameter)
    );
    vm.map(unbacked_blob, 4096).unwrap();
    assert_eq!(ddi.set_vidpn_source_address(&blob), OK);
}

#[test]
fn frames_count_against_the_limit_and_an_invisible_source_gives_them_back() {
    let ddi = adapter();
    let profile = VirtualGpuProfile {
        memory_limit: 256 << 10,
        ..share(0)
    };
    let vm = TestVm::with_profile(&ddi, 1, &profile);
    let before = vm.statistics().memory;
    let mode = |edge| CommitVidPn {
        process: vm.process,
        source: VidPnSourceId(0),
        size: size(edge, edge),
        format: PixelFormat::B8G8R8X8,
    };
    assert_eq!(ddi.commit_vidpn(&mode(64)), OK);
    let with_frame = vm.statistics().memory;
    assert!(with_frame > before);
    assert_eq!(ddi.commit_vidpn(&mode(4096)), refused(NoMemory));
    assert_eq!(vm.statistics().memory, with_frame);
    let shown = vm.screens[0].0.lock().unwrap().mode.unwrap();
    assert_eq!(shown.size, size(64, 64));
    for _ in 0..2 {
        let off = ddi.set_vidpn_source_visibility(vm.process, VidPnSourceId(0), false);
        assert_eq!(off, OK);
        assert_eq!(vm.statistics().memory, before);
    }
    assert_eq!(vm.screens[0].0.lock().unwrap().mode, None);
}

#[test]
fn a_pointer_is_a_picture_of_its_time_and_place() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    let pointer = |allocation| SetPointerShape {
        process: vm.process,
        source: VidPnSourceId(0),
        allocation,
        hot_x: 3,
        hot_y: 4,
    };
    let before = vm.statistics().memory;
    let wrong = vm.image(size(32, 32));
    assert_eq!(
        ddi.set_pointer_shape(&pointer(Some(wrong))),
        refused(InvalidParameter)
    );
    ddi.destroy_allocation(vm.process, wrong).unwrap();
    let image = vm.image(size(64, 64));
    assert_eq!(ddi.set_pointer_shape(&pointer(Some(image))), OK);
    assert_eq!(ddi.set_pointer_shape(&pointer(Some(image))), OK);
    let position = SetPointerPosition {
        process: vm.process,
        source: VidPnSourceId(0),
        x: 10,
        y: 20,
    };
    assert_eq!(ddi.set_pointer_position(&position), OK);
    {
        let shot = vm.screens[0].0.lock().unwrap();
        let cursor = shot.cursor.as_ref().unwrap();
        assert_eq!((cursor.hot_x, cursor.hot_y), (3, 4));
        assert_eq!(shot.cursor_at, (10, 20));
    }
    assert_eq!(ddi.set_pointer_shape(&pointer(None)), OK);
    assert_eq!(ddi.set_pointer_shape(&pointer(None)), OK);
    assert_eq!(vm.screens[0].0.lock().unwrap().cursor, None);
    ddi.destroy_allocation(vm.process, image).unwrap();
    assert_eq!(vm.statistics().memory, before);
}

#[test]
fn a_focus_present_comes_from_a_vm_process() {
    let ddi = adapter();
    let vm = TestVm::new(&ddi, 1);
    assert_eq!(ddi.notify_focus_present(vm.process), OK);
    assert_eq!(
        ddi.notify_focus_present(vm.worker),
        refused(InvalidParameter)
    );
}

#[test]
fn a_profile_without_length_is_refused_and_a_limit_below_the_guarantee_too() {
    let ddi = adapter();
    let worker = create_worker(&*ddi);
    let none = rondo_scheduler::Nanos(0);
    let half = share(500_000);
    let bad = [
        VirtualGpuProfile {
            slice: none,
            ..half
        },
        VirtualGpuProfile {
            hang_timeout: none,
            ..half
        },
        VirtualGpuProfile {
            max_unit: Some(none),
            ..half
        },
        VirtualGpuProfile {
            limit: Some(share(499_999).guarantee),
            ..half
        },
    ];
    for profile in bad {
        let result = ddi.set_virtual_gpu_profile(worker, &profile);
        assert_eq!(result, refused(InvalidParameter), "{profile:?}");
    }
}

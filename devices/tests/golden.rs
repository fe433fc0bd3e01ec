// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The translation table as golden tests: for each virtio-gpu command the exact driver calls, in order, and the response
//! for every status that a call can fail with. 3D commands, which are not offered, make no call and get ERR_UNSPEC.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use rondo_adapter::ddi::*;
use rondo_adapter::handle::{AllocationHandle, KmdProcessHandle};
use rondo_adapter::recorder::{Answer as DriverAnswer, Call, Verb};
use rondo_adapter::status::NtStatus;
use rondo_devices::virtio::registers as reg;
use rondo_protocol::*;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::{Rect as Area, Size};
use support::{BACKINGS, Rig, RigConfig};

const STATUSES: [NtStatus; 19] = [
    NtStatus::InvalidParameter,
    NtStatus::InvalidHandle,
    NtStatus::NotImplemented,
    NtStatus::NoMemory,
    NtStatus::AccessDenied,
    NtStatus::BufferTooSmall,
    NtStatus::ObjectTypeMismatch,
    NtStatus::ObjectNameCollision,
    NtStatus::DeletePending,
    NtStatus::PrivilegeNotHeld,
    NtStatus::InsufficientResources,
    NtStatus::NotSupported,
    NtStatus::InvalidUserBuffer,
    NtStatus::InvalidDeviceState,
    NtStatus::Cancelled,
    NtStatus::DeviceRemoved,
    NtStatus::GraphicsAllocationBusy,
    NtStatus::GraphicsGpuExceptionOnDevice,
    NtStatus::GraphicsInvalidVidpnTopology,
];

/// The table of statuses, written out once more.
fn expected_error(status: NtStatus, invalid_handle: ErrorCode) -> ErrorCode {
    match status.code() {
        0xC000_0017 | 0xC000_009A => ErrorCode::OutOfMemory,
        0xC000_000D | 0xC000_0023 | 0xC000_00E8 => ErrorCode::InvalidParameter,
        0xC000_0008 => invalid_handle,
        _ => ErrorCode::Unspec,
    }
}

fn res(id: u32) -> ResourceId {
    ResourceId::new(id).unwrap()
}

fn scanout(id: u32) -> ScanoutId {
    ScanoutId::new(id).unwrap()
}

const SIZE: Size = Size {
    width: 64,
    height: 64,
};
const BYTES: u32 = 64 * 64 * 4;

fn create_2d(id: u32) -> Command<'static> {
    Command::ResourceCreate2d(ResourceCreate2d {
        resource: res(id),
        format: Format::B8G8R8X8,
        width: 64,
        height: 64,
    })
}

fn entries() -> [RawMemEntry; 2] {
    [
        RawMemEntry::new(BACKINGS, 4096),
        RawMemEntry::new(BACKINGS + 65536, BYTES - 4096),
    ]
}

fn ranges() -> Vec<GuestRange> {
    vec![
        GuestRange {
            addr: BACKINGS,
            len: 4096,
        },
        GuestRange {
            addr: BACKINGS + 65536,
            len: BYTES - 4096,
        },
    ]
}

fn create_blob(id: u32, entries: &[RawMemEntry]) -> Command<'_> {
    Command::ResourceCreateBlob(ResourceCreateBlob {
        resource: res(id),
        mem: BlobMem::Guest,
        flags: BlobFlags::SHAREABLE,
        blob_id: 0,
        size: u64::from(BYTES),
        entries: MemEntries::new(entries),
    })
}

fn attach(id: u32, entries: &[RawMemEntry]) -> Command<'_> {
    Command::ResourceAttachBacking(ResourceAttachBacking {
        resource: res(id),
        entries: MemEntries::new(entries),
    })
}

const fn show(scanout: ScanoutId, source: Option<ScanoutSource>) -> Command<'static> {
    Command::SetScanout(SetScanout { scanout, source })
}

/// Resource 1: an image with backing, on scanout 0. Resource 2: an image without. Resource 3: a blob.
struct Golden {
    rig: Rig,
    process: KmdProcessHandle,
    image: AllocationHandle,
    bare: AllocationHandle,
    blob: AllocationHandle,
    queue: rondo_adapter::handle::HwQueueHandle,
    context: rondo_adapter::handle::ContextHandle,
    device: rondo_adapter::handle::DeviceHandle,
}

impl Golden {
    fn new() -> Self {
        let mut rig = Rig::default();
        let pieces = entries();
        for command in [
            create_2d(1),
            attach(1, &pieces),
            show(
                scanout(0),
                Some(ScanoutSource {
                    resource: res(1),
                    rect: Rect::of_size(64, 64),
                }),
            ),
            create_2d(2),
            create_blob(3, &pieces),
        ] {
            rig.ok(&Request::new(command));
        }
        let records = rig.ddi.take_records();
        let mut processes = Vec::new();
        let mut allocations = Vec::new();
        let (mut queue, mut context, mut device) = (None, None, None);
        for record in records {
            match record.result.unwrap() {
                DriverAnswer::Process(handle) => processes.push(handle),
                DriverAnswer::Allocation(handle) => allocations.push(handle),
                DriverAnswer::HwQueue(handle) => queue = Some(handle),
                DriverAnswer::Context(handle) => context = Some(handle),
                DriverAnswer::Device(handle) => device = Some(handle),
                _ => {}
            }
        }
        Self {
            rig,
            process: processes[1],
            image: allocations[0],
            bare: allocations[1],
            blob: allocations[2],
            queue: queue.unwrap(),
            context: context.unwrap(),
            device: device.unwrap(),
        }
    }

    /// The calls since the last time. A completion is wholly handled once the device's lock is free again.
    fn calls(&self) -> Vec<Call> {
        self.rig.gpu.service_queues();
        let records = self.rig.ddi.take_records();
        records.into_iter().map(|record| record.call).collect()
    }

    fn send(&mut self, command: Command<'_>) -> support::Answer {
        if command.code().queue() == Queue::Cursor {
            self.rig.send_cursor(&Request::new(command));
            return support::Answer {
                len: 0,
                bytes: Vec::new(),
            };
        }
        let in_context = ContextId::new(9);
        let mut request = Request::new(command);
        if command.code().needs_context() {
            request = request.in_context(in_context);
        }
        self.rig.send(&request)
    }
}

/// One row: the command, the calls it makes.
#[track_caller]
fn row(command: Command<'_>, expected: impl Fn(&Golden) -> Vec<Call>) {
    let mut golden = Golden::new();
    let answer = golden.send(command);
    if answer.len > 0 {
        assert!(answer.response().is_ok(), "{command:?}: {answer:?}");
    }
    assert_eq!(golden.calls(), expected(&golden), "{}", command.name());
    // For each call and each status it may fail with: the response.
    let verbs: BTreeSet<Verb> = expected(&golden).iter().map(Call::verb).collect();
    let scanout_verbs = [
        Verb::CommitVidPn,
        Verb::SetVidPnSourceAddress,
        Verb::SetVidPnSourceVisibility,
        Verb::QueryChildStatus,
        Verb::QueryDeviceDescriptor,
    ];
    for verb in verbs {
        if verb == Verb::NotifyFocusPresent {
            continue;
        }
        for status in STATUSES {
            let mut golden = Golden::new();
            golden.rig.ddi.fail_next(verb, status);
            let answer = golden.send(command);
            if command.code().queue() == Queue::Cursor {
                continue;
            }
            let invalid = if scanout_verbs.contains(&verb) {
                ErrorCode::InvalidScanoutId
            } else {
                ErrorCode::InvalidResourceId
            };
            assert_eq!(
                answer.response(),
                Response::Err(expected_error(status, invalid)),
                "{} when {verb:?} fails with {status:?}",
                command.name()
            );
        }
    }
}

#[test]
fn driver_ok_makes_a_display_process_with_context_and_queue() {
    let mut rig = Rig::powered_on(RigConfig::default());
    rig.ddi.take_records();
    rig.probe();
    let records = rig.ddi.take_records();
    let calls: Vec<Verb> = records.iter().map(|record| record.call.verb()).collect();
    assert_eq!(
        calls,
        [
            Verb::CreateProcess,
            Verb::CreateDevice,
            Verb::CreateContext,
            Verb::SetContextSchedulingProperties,
            Verb::CreateHwQueue
        ]
    );
    assert_eq!(
        records[0].call,
        Call::CreateProcess(CreateProcess {
            flags: CreateProcessFlags(CreateProcessFlags::VIRTUAL_MACHINE_PROCESS),
            worker: Some(rig.worker),
            name: Some("display".to_owned()),
        })
    );
    let Call::SetContextSchedulingProperties(properties) = &records[3].call else {
        panic!("{:?}", records[3]);
    };
    assert_eq!(properties.band, PriorityBand::Normal);
}

#[test]
fn given_a_driver_that_refuses_a_step_then_the_steps_before_are_undone_and_a_reset_is_asked_for() {
    let steps = [
        (Verb::CreateProcess, vec![]),
        (Verb::CreateDevice, vec![Verb::DestroyProcess]),
        (
            Verb::CreateContext,
            vec![Verb::DestroyDevice, Verb::DestroyProcess],
        ),
        (
            Verb::SetContextSchedulingProperties,
            vec![
                Verb::DestroyContext,
                Verb::DestroyDevice,
                Verb::DestroyProcess,
            ],
        ),
        (
            Verb::CreateHwQueue,
            vec![
                Verb::DestroyContext,
                Verb::DestroyDevice,
                Verb::DestroyProcess,
            ],
        ),
    ];
    for (verb, undone) in steps {
        let mut rig = Rig::powered_on(RigConfig::default());
        rig.ddi.take_records();
        rig.ddi.fail_next(verb, NtStatus::NoMemory);
        rig.probe();
        assert_eq!(rig.read32(reg::STATUS) & 64, 64, "{verb:?}");
        let calls: Vec<Verb> = rig
            .ddi
            .take_records()
            .iter()
            .map(|r| r.call.verb())
            .collect();
        let failed = calls.iter().position(|call| *call == verb).unwrap();
        assert_eq!(calls[failed + 1..], undone, "{verb:?}");
        // And a reset makes it whole.
        rig.probe();
        assert_eq!(rig.read32(reg::STATUS), 15);
        rig.ok(&Request::new(create_2d(1)));
    }
}

#[test]
fn reset_destroys_all_but_the_worker() {
    let mut golden = Golden::new();
    golden.send(Command::UpdateCursor(UpdateCursor {
        scanout: scanout(0),
        x: 1,
        y: 2,
        resource: Some(res(2)),
        hot_x: 0,
        hot_y: 0,
    }));
    golden.calls();
    golden.rig.write32(reg::STATUS, 0);
    let mut calls = golden.calls();
    let destroyed: BTreeSet<u64> = calls
        .iter()
        .filter_map(|call| match call {
            Call::DestroyAllocation(process, allocation) if *process == golden.process => {
                Some(allocation.0)
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        destroyed,
        BTreeSet::from([golden.image.0, golden.bare.0, golden.blob.0])
    );
    calls.retain(|call| call.verb() != Verb::DestroyAllocation);
    assert_eq!(
        calls,
        [
            Call::SuspendContext(golden.context, 1),
            Call::DestroyHwQueue(golden.queue),
            Call::SetVidPnSourceVisibility(golden.process, VidPnSourceId(0), false),
            Call::SetPointerShape(SetPointerShape {
                process: golden.process,
                source: VidPnSourceId(0),
                allocation: None,
                hot_x: 0,
                hot_y: 0,
            }),
            Call::DestroyContext(golden.context),
            Call::DestroyDevice(golden.device),
            Call::DestroyProcess(golden.process),
        ]
    );
    golden.rig.write32(reg::STATUS, 0);
    assert_eq!(golden.calls(), [], "a second reset finds nothing to do");
}

#[test]
fn get_display_info() {
    row(Command::GetDisplayInfo, |g| {
        vec![Call::QueryChildStatus(g.rig.worker)]
    });
}

#[test]
fn get_edid() {
    row(
        Command::GetEdid {
            scanout: scanout(1),
        },
        |g| vec![Call::QueryDeviceDescriptor(g.rig.worker, VidPnSourceId(1))],
    );
}

#[test]
fn resource_create_2d() {
    row(create_2d(10), |g| {
        vec![Call::CreateAllocation(CreateAllocation {
            process: g.process,
            kind: AllocationKind::Image {
                size: SIZE,
                format: PixelFormat::B8G8R8X8,
            },
        })]
    });
}

#[test]
fn resource_create_blob() {
    let pieces = entries();
    let created = |g: &Golden| AllocationHandle(g.blob.0 + 1);
    row(create_blob(10, &pieces), |g| {
        vec![
            Call::CreateAllocation(CreateAllocation {
                process: g.process,
                kind: AllocationKind::GuestBlob {
                    size: u64::from(BYTES),
                },
            }),
            Call::BuildPagingBuffer(PagingOperation::MapApertureSegment {
                process: g.process,
                allocation: created(g),
                pages: ranges(),
            }),
        ]
    });
    // What was created for a blob whose pages are refused is destroyed again.
    let mut golden = Golden::new();
    golden
        .rig
        .ddi
        .fail_next(Verb::BuildPagingBuffer, NtStatus::NoMemory);
    golden.send(create_blob(10, &pieces));
    let last = golden.calls().pop();
    assert_eq!(
        last,
        Some(Call::DestroyAllocation(golden.process, created(&golden)))
    );
    golden.rig.ok(&Request::new(create_blob(10, &pieces)));
}

#[test]
fn resource_unref() {
    row(Command::ResourceUnref { resource: res(1) }, |g| {
        vec![Call::DestroyAllocation(g.process, g.image)]
    });
}

#[test]
fn resource_attach_backing() {
    let pieces = entries();
    row(attach(2, &pieces), |g| {
        vec![Call::BuildPagingBuffer(
            PagingOperation::MapApertureSegment {
                process: g.process,
                allocation: g.bare,
                pages: ranges(),
            },
        )]
    });
}

#[test]
fn resource_detach_backing() {
    row(Command::ResourceDetachBacking { resource: res(1) }, |g| {
        vec![Call::BuildPagingBuffer(
            PagingOperation::UnmapApertureSegment {
                process: g.process,
                allocation: g.image,
            },
        )]
    });
}

fn rect() -> Rect {
    Rect::new(3, 5, 7, 11)
}

const AREA: Area = Area {
    x: 3,
    y: 5,
    width: 7,
    height: 11,
};

#[test]
fn transfer_to_host_2d() {
    row(
        Command::TransferToHost2d(TransferToHost2d {
            resource: res(1),
            rect: rect(),
            offset: 1292,
        }),
        |g| {
            vec![Call::SubmitCommandToHwQueue(SubmitCommand {
                queue: g.queue,
                progress_fence_id: 1,
                command: GpuCommand::TransferToHost2d {
                    allocation: g.image,
                    rect: AREA,
                    offset: 1292,
                },
            })]
        },
    );
}

#[test]
fn transfer_to_host_2d_of_a_blob_makes_no_call() {
    row(
        Command::TransferToHost2d(TransferToHost2d {
            resource: res(3),
            rect: rect(),
            offset: 1292,
        }),
        |_| vec![],
    );
}

#[test]
fn resource_flush_of_a_visible_resource_is_a_present_and_tells_the_focus() {
    row(
        Command::ResourceFlush(ResourceFlush {
            resource: res(1),
            rect: rect(),
        }),
        |g| {
            vec![
                Call::SubmitCommandToHwQueue(SubmitCommand {
                    queue: g.queue,
                    progress_fence_id: 1,
                    command: GpuCommand::Present {
                        allocation: g.image,
                        rect: AREA,
                    },
                }),
                Call::NotifyFocusPresent(g.process),
            ]
        },
    );
}

#[test]
fn resource_flush_of_a_resource_that_no_scanout_shows_moves_no_focus() {
    row(
        Command::ResourceFlush(ResourceFlush {
            resource: res(2),
            rect: rect(),
        }),
        |g| {
            vec![Call::SubmitCommandToHwQueue(SubmitCommand {
                queue: g.queue,
                progress_fence_id: 1,
                command: GpuCommand::Present {
                    allocation: g.bare,
                    rect: AREA,
                },
            })]
        },
    );
}

fn address(g: &Golden, source: u32, allocation: AllocationHandle, rect: Area) -> Call {
    Call::SetVidPnSourceAddress(SetVidPnSourceAddress {
        process: g.process,
        source: VidPnSourceId(source),
        allocation,
        surface: Surface {
            size: SIZE,
            format: PixelFormat::B8G8R8X8,
            stride: 256,
            offset: 0,
        },
        rect,
    })
}

#[test]
fn set_scanout_with_a_new_mode() {
    row(
        show(
            scanout(1),
            Some(ScanoutSource {
                resource: res(2),
                rect: rect(),
            }),
        ),
        |g| {
            vec![
                Call::CommitVidPn(CommitVidPn {
                    process: g.process,
                    source: VidPnSourceId(1),
                    size: Size {
                        width: 7,
                        height: 11,
                    },
                    format: PixelFormat::B8G8R8X8,
                }),
                address(g, 1, g.bare, AREA),
            ]
        },
    );
}

#[test]
fn set_scanout_with_the_mode_it_has_is_a_flip() {
    row(
        show(
            scanout(0),
            Some(ScanoutSource {
                resource: res(2),
                rect: Rect::of_size(64, 64),
            }),
        ),
        |g| vec![address(g, 0, g.bare, Area::whole(SIZE))],
    );
}

#[test]
fn set_scanout_of_resource_0_makes_it_invisible() {
    let off = |g: &Golden| {
        vec![Call::SetVidPnSourceVisibility(
            g.process,
            VidPnSourceId(0),
            false,
        )]
    };
    row(show(scanout(0), None), off);
    row(
        Command::SetScanoutBlob(SetScanoutBlob {
            scanout: scanout(0),
            source: None,
        }),
        off,
    );
}

#[test]
fn set_scanout_blob_passes_stride_and_offset_on() {
    row(
        Command::SetScanoutBlob(SetScanoutBlob {
            scanout: scanout(1),
            source: Some(BlobFramebuffer {
                resource: res(3),
                rect: rect(),
                width: 32,
                height: 20,
                format: Format::R8G8B8A8,
                strides: [160, 1, 2, 3],
                offsets: [512, 4, 5, 6],
            }),
        }),
        |g| {
            vec![
                Call::CommitVidPn(CommitVidPn {
                    process: g.process,
                    source: VidPnSourceId(1),
                    size: Size {
                        width: 7,
                        height: 11,
                    },
                    format: PixelFormat::R8G8B8A8,
                }),
                Call::SetVidPnSourceAddress(SetVidPnSourceAddress {
                    process: g.process,
                    source: VidPnSourceId(1),
                    allocation: g.blob,
                    surface: Surface {
                        size: Size {
                            width: 32,
                            height: 20,
                        },
                        format: PixelFormat::R8G8B8A8,
                        stride: 160,
                        offset: 512,
                    },
                    rect: AREA,
                }),
            ]
        },
    );
}

#[test]
fn resource_assign_uuid_names_a_resource_once() {
    let command = Command::ResourceAssignUuid { resource: res(1) };
    row(command, |g| {
        vec![Call::CreateSharedObject(g.process, g.image)]
    });
    let mut golden = Golden::new();
    let first = golden.send(command);
    let second = golden.send(command);
    assert_eq!(first, second);
    assert!(matches!(first.response(), Response::OkResourceUuid(uuid) if uuid != [0; 16]));
    assert_eq!(golden.calls().len(), 1);
}

#[test]
fn update_cursor() {
    let cursor = |resource| {
        Command::UpdateCursor(UpdateCursor {
            scanout: scanout(1),
            x: -3,
            y: 40,
            resource,
            hot_x: 5,
            hot_y: 6,
        })
    };
    let calls = |g: &Golden, allocation| {
        vec![
            Call::SetPointerShape(SetPointerShape {
                process: g.process,
                source: VidPnSourceId(1),
                allocation,
                hot_x: 5,
                hot_y: 6,
            }),
            Call::SetPointerPosition(SetPointerPosition {
                process: g.process,
                source: VidPnSourceId(1),
                x: 0xffff_fffd,
                y: 40,
            }),
        ]
    };
    row(cursor(Some(res(2))), |g| calls(g, Some(g.bare)));
    row(cursor(None), |g| calls(g, None));
}

#[test]
fn move_cursor() {
    row(
        Command::MoveCursor(MoveCursor {
            scanout: scanout(1),
            x: 8,
            y: 9,
        }),
        |g| {
            vec![Call::SetPointerPosition(SetPointerPosition {
                process: g.process,
                source: VidPnSourceId(1),
                x: 8,
                y: 9,
            })]
        },
    );
}

/// All bytes of every command that is not in the rows above: no call, and the error.
#[test]
fn commands_that_are_not_offered_make_no_call() {
    let no_call = [
        (CommandCode::GetCapsetInfo, ErrorCode::InvalidParameter),
        (CommandCode::GetCapset, ErrorCode::InvalidParameter),
        (CommandCode::CtxCreate, ErrorCode::Unspec),
        (CommandCode::CtxDestroy, ErrorCode::Unspec),
        (CommandCode::CtxAttachResource, ErrorCode::Unspec),
        (CommandCode::CtxDetachResource, ErrorCode::Unspec),
        (CommandCode::ResourceCreate3d, ErrorCode::Unspec),
        (CommandCode::TransferToHost3d, ErrorCode::Unspec),
        (CommandCode::TransferFromHost3d, ErrorCode::Unspec),
        (CommandCode::Submit3d, ErrorCode::Unspec),
        (CommandCode::ResourceMapBlob, ErrorCode::Unspec),
        (CommandCode::ResourceUnmapBlob, ErrorCode::Unspec),
    ];
    let rows = [
        CommandCode::GetDisplayInfo,
        CommandCode::GetEdid,
        CommandCode::ResourceCreate2d,
        CommandCode::ResourceCreateBlob,
        CommandCode::ResourceUnref,
        CommandCode::ResourceAttachBacking,
        CommandCode::ResourceDetachBacking,
        CommandCode::TransferToHost2d,
        CommandCode::ResourceFlush,
        CommandCode::SetScanout,
        CommandCode::SetScanoutBlob,
        CommandCode::ResourceAssignUuid,
        CommandCode::UpdateCursor,
        CommandCode::MoveCursor,
    ];
    let mut covered: BTreeSet<CommandCode> = rows.into();
    let mut golden = Golden::new();
    for (code, error) in no_call {
        covered.insert(code);
        let mut bytes = vec![0; code.fixed_len()];
        bytes[..4].copy_from_slice(&code.get().to_le_bytes());
        bytes[16] = 9; // ctx_id
        // The first number of each body names a resource or a context's parameter; 3 is a blob.
        bytes.iter_mut().skip(24).take(1).for_each(|byte| *byte = 3);
        let answer = golden.rig.send_bytes(&bytes, 64);
        assert_eq!(answer.response(), Response::Err(error), "{}", code.name());
    }
    assert_eq!(golden.calls(), []);
    assert_eq!(
        covered,
        BTreeSet::from(CommandCode::ALL),
        "the table is complete"
    );
}

#[test]
fn commands_of_features_that_the_driver_refused_make_no_call() {
    let features = [Feature::Edid, Feature::ResourceUuid, Feature::ResourceBlob];
    let mut rig = Rig::new(RigConfig {
        refused_features: features.iter().map(|feature| feature.mask()).sum(),
        ..RigConfig::default()
    });
    rig.ok(&Request::new(create_2d(1)));
    rig.ddi.take_records();
    for code in CommandCode::ALL {
        if code
            .feature()
            .is_some_and(|feature| features.contains(&feature))
        {
            let mut bytes = vec![0; code.fixed_len()];
            bytes[..4].copy_from_slice(&code.get().to_le_bytes());
            bytes[24] = 1;
            let answer = rig.send_bytes(&bytes, 1100);
            assert_eq!(answer.len, 24);
            assert_eq!(
                answer.response(),
                Response::Err(ErrorCode::Unspec),
                "{}",
                code.name()
            );
        }
    }
    assert_eq!(rig.ddi.take_records(), []);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The translation table as golden tests: for each virtio-gpu command the exact driver calls, in order, and the response
//! for every status that a call can fail with. 3D commands, which are not offered, make no call and get ERR_UNSPEC.

mod completions;
mod display;
mod lifecycle;
mod not_offered;
mod resources;

use std::collections::BTreeSet;

use crate::support;
use crate::support::{BACKINGS, Rig, RigConfig};
use rondo_adapter::ddi::*;
use rondo_adapter::handle::{AllocationHandle, KmdProcessHandle};
use rondo_adapter::recorder::{Answer as DriverAnswer, Call, Verb};
use rondo_adapter::status::NtStatus;
use rondo_devices::virtio::registers as reg;
use rondo_protocol::*;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::{Rect as Area, Size};

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

fn rect() -> Rect {
    Rect::new(3, 5, 7, 11)
}

const AREA: Area = Area {
    x: 3,
    y: 5,
    width: 7,
    height: 11,
};

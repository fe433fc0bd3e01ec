// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rows of queries, resources and transfers.

use super::*;

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

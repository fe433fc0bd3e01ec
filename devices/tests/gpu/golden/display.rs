// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rows of presents, scanouts and cursors.

use super::*;

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

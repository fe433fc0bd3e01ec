// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Defects that were found in other virtio-gpu device models, each with a test that this one does not have it.

use crate::support::{BACKINGS, MONITOR, Rig, RigConfig, encode};
use rondo_adapter::ddi::{ChildStatus, Ddi, VidPnSourceId, VmHost};
use rondo_devices::virtio::registers as reg;
use rondo_protocol::*;
use rondo_renderer::geometry::Size;

fn res(id: u32) -> ResourceId {
    ResourceId::new(id).unwrap()
}

fn scanout(id: u32) -> ScanoutId {
    ScanoutId::new(id).unwrap()
}

fn create(id: u32, width: u32, height: u32) -> Request<'static> {
    Request::new(Command::ResourceCreate2d(ResourceCreate2d {
        resource: res(id),
        format: Format::B8G8R8X8,
        width,
        height,
    }))
}

fn attach(id: u32, entries: &[RawMemEntry]) -> Request<'_> {
    Request::new(Command::ResourceAttachBacking(ResourceAttachBacking {
        resource: res(id),
        entries: MemEntries::new(entries),
    }))
}

fn transfer(id: u32, rect: Rect, offset: u64) -> Request<'static> {
    Request::new(Command::TransferToHost2d(TransferToHost2d {
        resource: res(id),
        rect,
        offset,
    }))
}

fn flush(id: u32, rect: Rect) -> Request<'static> {
    Request::new(Command::ResourceFlush(ResourceFlush {
        resource: res(id),
        rect,
    }))
}

fn show(id: u32, rect: Rect) -> Request<'static> {
    Request::new(Command::SetScanout(SetScanout {
        scanout: scanout(0),
        source: Some(ScanoutSource {
            resource: res(id),
            rect,
        }),
    }))
}

fn error(code: ErrorCode) -> Response<'static> {
    Response::Err(code)
}

/// An image of `width` x `height` on scanout 0 whose backing has row y filled with y + 1.
fn striped(rig: &mut Rig, width: u32, height: u32) {
    for row in 0..height {
        let line = vec![row as u8 + 1; width as usize * 4];
        rig.write_guest(BACKINGS + u64::from(row * width * 4), &line);
    }
    rig.ok(&create(1, width, height));
    rig.ok(&attach(
        1,
        &[RawMemEntry::new(BACKINGS, width * height * 4)],
    ));
    rig.ok(&show(1, Rect::of_size(width, height)));
}

fn shot(rig: &Rig) -> rondo_devices::display::Screenshot {
    rig.screens[0].capture().unwrap()
}

#[test]
fn d1_partial_damage_takes_the_rows_that_the_offset_names_last_row_included() {
    for row in [0, 1, 7] {
        let mut rig = Rig::default();
        striped(&mut rig, 8, 8);
        let rect = Rect::new(2, row, 3, 1);
        // As Linux computes it.
        let offset = u64::from(row) * 32 + 2 * 4;
        rig.ok(&transfer(1, rect, offset));
        rig.ok(&flush(1, rect));
        let shot = shot(&rig);
        for y in 0..8 {
            for x in 0..8 {
                let damaged = y == row && (2..5).contains(&x);
                let expected = if damaged { [row as u8 + 1; 3] } else { [0; 3] };
                assert_eq!(shot.pixel(x, y), Some(expected), "({x}, {y})");
            }
        }
    }
}

#[test]
fn d2_sizes_that_overflow_or_exceed_the_limit_are_out_of_memory() {
    let mut rig = Rig::new(RigConfig {
        memory_limit: 1 << 20,
        ..RigConfig::default()
    });
    for (width, height) in [
        (0x3fff_ffff, 0xffff_ffff),
        (u32::MAX, u32::MAX),
        (0x8000, 0x8000),
        (1 << 16, 1 << 16),
        (1, u32::MAX),
    ] {
        assert_eq!(
            rig.send(&create(1, width, height)).response(),
            error(ErrorCode::OutOfMemory),
            "{width} x {height}"
        );
    }
    // Nothing of the refused ones is left behind.
    for round in 0..50 {
        rig.ok(&create(1, 400, 500));
        rig.ok(&Request::new(Command::ResourceUnref { resource: res(1) }));
        let used = rig.ddi.query_statistics(rig.worker).unwrap().memory;
        assert!(
            used < 100_000,
            "round {round}: {used} bytes are still accounted"
        );
    }
}

#[test]
fn d3_a_count_of_entries_is_not_believed() {
    let mut rig = Rig::default();
    rig.ok(&create(1, 8, 8));
    for claimed in [2_u32, 16_384, 16_385, 0x1000_0000, u32::MAX] {
        let mut bytes = encode(&attach(1, &[RawMemEntry::new(BACKINGS, 256)]));
        bytes[28..32].copy_from_slice(&claimed.to_le_bytes());
        let answer = rig.send_bytes(&bytes, 24);
        assert!(!answer.response().is_ok(), "{claimed} entries");
    }
    rig.ok(&attach(1, &[RawMemEntry::new(BACKINGS, 256)]));
}

#[test]
fn d3_the_most_entries_are_taken_and_one_more_is_not() {
    let mut rig = Rig::default();
    let mut entries = vec![RawMemEntry::new(BACKINGS, 4); 16_384];
    rig.ok(&create(1, 128, 128));
    rig.ok(&attach(1, &entries));
    rig.ok(&create(2, 128, 128));
    entries.push(RawMemEntry::new(BACKINGS, 4));
    assert_eq!(
        rig.send(&attach(2, &entries)).response(),
        error(ErrorCode::InvalidParameter)
    );
}

#[test]
fn d4_the_size_of_a_command_stream_is_not_believed() {
    let mut rig = Rig::default();
    for size in [0, 4, 1 << 20, u32::MAX] {
        let mut bytes = encode(
            &Request::new(Command::Submit3d { stream: &[0; 4] }).in_context(ContextId::new(1)),
        );
        bytes[24..28].copy_from_slice(&size.to_le_bytes());
        assert_eq!(
            rig.send_bytes(&bytes, 24).response(),
            error(ErrorCode::Unspec)
        );
    }
}

#[test]
fn d5_cursor_commands_on_the_control_queue_and_the_reverse_are_answered() {
    let mut rig = Rig::default();
    let cursor = Request::new(Command::MoveCursor(MoveCursor {
        scanout: scanout(0),
        x: 0,
        y: 0,
    }));
    assert_eq!(
        rig.send(&cursor.fenced(7)).decode().0.fence,
        Some(7),
        "and its fence is echoed"
    );
    rig.send_cursor(&create(1, 8, 8));
    rig.send_cursor(&cursor);
    rig.ok(&create(1, 8, 8));
}

#[test]
fn d6_fences_of_two_rings_and_of_the_device_never_go_backwards() {
    let mut rig = Rig::default();
    striped(&mut rig, 64, 64);
    let context = rig.display_context();
    rig.ddi.suspend_context(context, 1).unwrap();
    let mut sent = Vec::new();
    for fence in 0..30_u64 {
        let request = match fence % 4 {
            // Work that waits, and control commands that are done at once.
            0 => transfer(1, Rect::of_size(64, 64), 0),
            1 => flush(1, Rect::of_size(64, 64)),
            _ => Request::new(Command::GetDisplayInfo),
        };
        let request = request.fenced(100 + fence);
        let request = match fence % 3 {
            0 => request,
            ring => request
                .in_context(ContextId::new(5))
                .on_ring(ring as u8 - 1),
        };
        sent.push((rig.queue(&request), fence));
    }
    rig.kick();
    rig.ddi.resume_context(context).unwrap();
    let used = rig.wait(30);
    let mut last = [None; 3];
    for (head, len) in used {
        let (sent, fence) = sent.iter().find(|(sent, _)| sent.head == head).unwrap();
        let answer = rig.answer(sent, len);
        assert_eq!(answer.decode().0.fence, Some(100 + fence));
        let line = (fence % 3) as usize;
        assert!(last[line] < Some(*fence), "{fence} after {:?}", last[line]);
        last[line] = Some(*fence);
    }
}

#[test]
fn d6_a_fence_on_ring_0_of_a_context_completes() {
    let mut rig = Rig::default();
    let request = Request::new(Command::GetDisplayInfo)
        .fenced(u64::MAX)
        .in_context(ContextId::new(1))
        .on_ring(0);
    let answer = rig.send(&request);
    let (header, _) = answer.decode();
    assert_eq!((header.fence, header.ring_idx), (Some(u64::MAX), Some(0)));
}

#[test]
fn d7_a_queue_full_of_fences_completes_in_order_in_turns_of_the_budget() {
    let mut rig = Rig::default();
    let sent: Vec<_> = (0..128)
        .map(|fence| rig.queue(&Request::new(Command::GetDisplayInfo).fenced(fence)))
        .collect();
    rig.write32(reg::QUEUE_NOTIFY, 0);
    let mut heads = Vec::new();
    let mut turns = 0;
    while rig.mmio.notifiers()[0].read().is_ok() {
        rig.gpu.service_queues();
        let served = rig.control.pop_used();
        assert!(served.len() <= rondo_devices::gpu::limits::DRAIN_BUDGET as usize);
        heads.extend(served.iter().map(|(head, _)| *head));
        turns += 1;
    }
    let expected: Vec<u16> = sent.iter().map(|sent| sent.head).collect();
    assert_eq!(heads, expected);
    assert!(turns > 1, "other devices had no turn");
}

#[test]
fn d8_a_first_entry_shorter_than_the_image_is_never_read_beyond() {
    for id in [1, 1 << 30, 1 << 31, u32::MAX] {
        let mut rig = Rig::default();
        rig.ok(&create(id, 64, 64));
        rig.ok(&attach(id, &[RawMemEntry::new(BACKINGS, 16)]));
        rig.ok(&show(id, Rect::of_size(64, 64)));
        assert_eq!(
            rig.send(&transfer(id, Rect::of_size(64, 64), 0)).response(),
            error(ErrorCode::InvalidParameter)
        );
        rig.ok(&transfer(id, Rect::of_size(4, 1), 0));
        rig.ok(&flush(id, Rect::of_size(64, 64)));
    }
}

#[test]
fn d9_a_scanout_never_shows_what_has_no_pixels() {
    let mut rig = Rig::default();
    let entries = [RawMemEntry::new(BACKINGS, 4096)];
    rig.ok(&Request::new(Command::ResourceCreateBlob(
        ResourceCreateBlob {
            resource: res(1),
            mem: BlobMem::Guest,
            flags: BlobFlags::EMPTY,
            blob_id: 0,
            size: 4096,
            entries: MemEntries::new(&entries),
        },
    )));
    // A blob has no shape of its own.
    assert_eq!(
        rig.send(&show(1, Rect::of_size(4, 4))).response(),
        error(ErrorCode::InvalidParameter)
    );
    let framebuffer = BlobFramebuffer {
        resource: res(1),
        rect: Rect::of_size(32, 32),
        width: 32,
        height: 32,
        format: Format::B8G8R8X8,
        strides: [128, 0, 0, 0],
        offsets: [0; 4],
    };
    let mut set = |source| {
        let command = Command::SetScanoutBlob(SetScanoutBlob {
            scanout: scanout(0),
            source: Some(source),
        });
        rig.send(&Request::new(command)).response().code()
    };
    assert_eq!(set(framebuffer), ResponseType::OkNoData);
    let bad = [
        BlobFramebuffer {
            offsets: [1, 0, 0, 0],
            ..framebuffer
        },
        BlobFramebuffer {
            strides: [127, 0, 0, 0],
            ..framebuffer
        },
        BlobFramebuffer {
            strides: [129, 0, 0, 0],
            ..framebuffer
        },
        BlobFramebuffer {
            strides: [u32::MAX; 4],
            ..framebuffer
        },
        BlobFramebuffer {
            height: u32::MAX,
            ..framebuffer
        },
        BlobFramebuffer {
            width: u32::MAX,
            ..framebuffer
        },
        BlobFramebuffer {
            rect: Rect::new(1, 0, 32, 32),
            ..framebuffer
        },
        BlobFramebuffer {
            rect: Rect::of_size(0, 0),
            ..framebuffer
        },
        BlobFramebuffer {
            width: 0,
            height: 0,
            ..framebuffer
        },
    ];
    for source in bad {
        assert_eq!(set(source), ResponseType::ErrInvalidParameter, "{source:?}");
    }
}

#[test]
fn d10_requests_that_are_too_short_are_answered_with_errors_and_the_queue_goes_on() {
    let mut rig = Rig::default();
    for code in CommandCode::ALL {
        let mut bytes = vec![0; code.fixed_len()];
        bytes[..4].copy_from_slice(&code.get().to_le_bytes());
        bytes[4] = 1; // FENCE
        bytes[8] = 0x5a; // fence_id
        for len in 0..bytes.len() {
            let answer = rig.send_bytes(&bytes[..len], 24);
            assert_eq!(answer.len, 24);
            let (header, response) = answer.decode();
            assert_eq!(
                response,
                error(ErrorCode::Unspec),
                "{} of {len}",
                code.name()
            );
            let fence = (len >= 24).then_some(0x5a);
            assert_eq!(
                header.fence, fence,
                "the fence is echoed as soon as there is one"
            );
        }
    }
    rig.ok(&create(1, 8, 8));
}

#[test]
fn d10c_a_display_event_is_acknowledged_and_nothing_else_is_writable() {
    let mut rig = Rig::default();
    let read = |rig: &Rig| rig.read32(reg::CONFIG);
    let bigger = ChildStatus {
        size: Size {
            width: 1024,
            height: 768,
        },
        ..MONITOR
    };
    assert_eq!(read(&rig), 0);
    let generation = rig.read32(reg::CONFIG_GENERATION);
    let _ = rig.line.read();
    rig.ddi
        .set_child_status(rig.worker, VidPnSourceId(1), bigger)
        .unwrap();
    assert!(rig.line.read().is_ok(), "an interrupt");
    assert_eq!(rig.read32(reg::INTERRUPT_STATUS), 2);
    assert_ne!(rig.read32(reg::CONFIG_GENERATION), generation);
    assert_eq!(read(&rig), 1);
    let answer = rig.send(&Request::new(Command::GetDisplayInfo));
    let Response::OkDisplayInfo(info) = answer.response() else {
        panic!("{answer:?}");
    };
    assert_eq!(info.modes[1].rect, Rect::of_size(1024, 768));
    assert_eq!(info.modes[0].rect, Rect::of_size(640, 480));
    assert!(!info.modes[2].enabled);
    rig.write32(reg::CONFIG + 4, 2);
    assert_eq!(read(&rig), 1, "another bit clears nothing");
    rig.write32(reg::CONFIG, u32::MAX);
    rig.write32(reg::CONFIG + 8, u32::MAX);
    assert_eq!((read(&rig), rig.read32(reg::CONFIG + 8)), (1, 2));
    rig.write32(reg::CONFIG + 4, 1);
    assert_eq!(read(&rig), 0);
}

#[test]
fn d10c_a_change_while_the_driver_handles_the_last_one_is_not_lost() {
    let mut rig = Rig::default();
    let change = |rig: &Rig| {
        rig.ddi
            .set_child_status(rig.worker, VidPnSourceId(0), MONITOR)
            .unwrap();
    };
    change(&rig);
    rig.send(&Request::new(Command::GetDisplayInfo));
    change(&rig);
    let _ = rig.line.read();
    rig.write32(reg::CONFIG + 4, 1);
    assert_eq!(rig.read32(reg::CONFIG), 1, "the event stands");
    assert!(rig.line.read().is_ok(), "and the driver is told");
}

#[test]
fn d11_a_scanout_rectangle_must_lie_in_its_resource() {
    let mut rig = Rig::default();
    rig.ok(&create(1, 64, 48));
    for rect in [
        Rect::of_size(65, 48),
        Rect::of_size(64, 49),
        Rect::new(1, 0, 64, 48),
        Rect::new(0, u32::MAX, 1, 2),
        Rect::new(u32::MAX, u32::MAX, u32::MAX, u32::MAX),
        Rect::new(64, 48, 0, 0),
        Rect::of_size(0x1_0000, 0x1_0001),
    ] {
        assert_eq!(
            rig.send(&show(1, rect)).response(),
            error(ErrorCode::InvalidParameter),
            "{rect:?}"
        );
    }
    rig.ok(&show(1, Rect::new(63, 47, 1, 1)));
    for id in [2, 15] {
        let command = Command::SetScanout(SetScanout {
            scanout: scanout(id),
            source: None,
        });
        assert_eq!(
            rig.send(&Request::new(command)).response(),
            error(ErrorCode::InvalidScanoutId)
        );
    }
}

#[test]
fn d12_a_cursor_image_is_read_after_the_transfer_that_was_queued_before_it() {
    for fence in 0..20 {
        let mut rig = Rig::default();
        rig.ok(&create(1, 64, 64));
        rig.ok(&show(1, Rect::of_size(64, 64)));
        rig.ok(&create(2, 64, 64));
        rig.ok(&attach(2, &[RawMemEntry::new(BACKINGS, 64 * 64 * 4)]));
        rig.write_guest(BACKINGS, &[200; 64 * 64 * 4]);
        let context = rig.display_context();
        if fence % 2 == 0 {
            rig.ddi.suspend_context(context, 1).unwrap();
        }
        // The transfer waits on the control queue, which the device is not told of.
        rig.queue(&transfer(2, Rect::of_size(64, 64), 0));
        rig.queue_cursor(&Request::new(Command::UpdateCursor(UpdateCursor {
            scanout: scanout(0),
            x: 0,
            y: 0,
            resource: Some(res(2)),
            hot_x: 0,
            hot_y: 0,
        })));
        rig.kick_cursor();
        if fence % 2 == 0 {
            assert_eq!(rig.cursor.pop_used(), [], "it waits for its image");
            rig.ddi.resume_context(context).unwrap();
        }
        rig.wait(1);
        rig.wait_cursor(1);
        assert_eq!(shot(&rig).pixel(10, 10), Some([200; 3]));
    }
}

#[test]
fn given_work_that_waits_then_probing_and_mode_setting_do_not() {
    let mut rig = Rig::default();
    striped(&mut rig, 64, 64);
    let context = rig.display_context();
    rig.ddi.suspend_context(context, 1).unwrap();
    let held = rig.queue(&flush(1, Rect::of_size(64, 64)).fenced(1));
    let unref = rig.queue(&Request::new(Command::ResourceUnref { resource: res(1) }));
    rig.kick();
    rig.send(&Request::new(Command::GetDisplayInfo));
    rig.ok(&create(2, 8, 8));
    rig.ok(&Request::new(Command::SetScanout(SetScanout {
        scanout: scanout(1),
        source: Some(ScanoutSource {
            resource: res(2),
            rect: Rect::of_size(8, 8),
        }),
    })));
    rig.ddi.resume_context(context).unwrap();
    let used: Vec<u16> = rig.wait(2).iter().map(|(head, _)| *head).collect();
    assert_eq!(used, [held.head, unref.head]);
}

#[test]
fn ids_twice_ids_missing_and_backings_twice_get_their_errors() {
    let mut rig = Rig::default();
    let entries = [RawMemEntry::new(BACKINGS, 256)];
    let unref = Request::new(Command::ResourceUnref { resource: res(1) });
    let detach = Request::new(Command::ResourceDetachBacking { resource: res(1) });
    let invalid = error(ErrorCode::InvalidResourceId);
    for request in [
        unref,
        detach,
        attach(1, &entries),
        flush(1, Rect::default()),
    ] {
        assert_eq!(rig.send(&request).response(), invalid, "{request:?}");
    }
    rig.ok(&create(1, 8, 8));
    assert_eq!(rig.send(&create(1, 8, 8)).response(), invalid);
    assert_eq!(rig.send(&detach).response(), error(ErrorCode::Unspec));
    assert_eq!(
        rig.send(&transfer(1, Rect::of_size(8, 8), 0)).response(),
        error(ErrorCode::Unspec),
        "no backing"
    );
    rig.ok(&attach(1, &entries));
    assert_eq!(
        rig.send(&attach(1, &entries)).response(),
        error(ErrorCode::Unspec)
    );
    rig.ok(&detach);
    assert_eq!(
        rig.send(&attach(1, &[RawMemEntry::new(u64::MAX - 4, 256)]))
            .response(),
        error(ErrorCode::InvalidParameter),
        "not guest memory"
    );
    rig.ok(&attach(1, &entries));
    rig.ok(&unref);
    assert_eq!(rig.send(&unref).response(), invalid);
    let mut zero = encode(&unref);
    zero[24..28].fill(0);
    assert_eq!(rig.send_bytes(&zero, 24).response(), invalid);
}

#[test]
fn blob_alignment_is_offered_when_asked_for_and_then_kept() {
    let mut rig = Rig::new(RigConfig {
        gpu: rondo_devices::gpu::GpuConfig {
            scanouts: 1,
            blob_alignment: Some(0x4000),
        },
        ..RigConfig::default()
    });
    assert_eq!(rig.read32(reg::CONFIG + 16), 0x4000);
    let entries = [RawMemEntry::new(BACKINGS, 0x8000)];
    let blob = |id, size| {
        Request::new(Command::ResourceCreateBlob(ResourceCreateBlob {
            resource: res(id),
            mem: BlobMem::Guest,
            flags: BlobFlags::EMPTY,
            blob_id: 0,
            size,
            entries: MemEntries::new(&entries),
        }))
    };
    rig.ok(&blob(1, 0x4000));
    assert_eq!(
        rig.send(&blob(2, 0x4001)).response(),
        error(ErrorCode::InvalidParameter)
    );
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A driver that breaks every rule: whatever it writes, the device answers, asks for a reset, or waits; and after a reset
//! it works, with nothing of the old driver left.

use crate::support;
use crate::support::driver::SIZE;
use crate::support::random::Random;
use crate::support::{BACKINGS, Rig, RigConfig, encode};
use rondo_adapter::ddi::Ddi;
use rondo_devices::virtio::registers as reg;
use rondo_protocol::*;

fn res(id: u32) -> ResourceId {
    ResourceId::new(id).unwrap()
}

fn works(rig: &mut Rig) {
    rig.probe();
    assert_eq!(rig.read32(reg::STATUS), 15);
    let answer = rig.send(&Request::new(Command::GetDisplayInfo));
    assert!(answer.response().is_ok());
}

/// Bytes of the pictures that are kept of scanouts that are off.
fn kept(rig: &Rig) -> u64 {
    let dark = rig
        .screens
        .iter()
        .filter(|screen| screen.capture().is_err());
    dark.filter_map(|screen| screen.capture_last().ok())
        .map(|picture| u64::from(picture.size().width) * u64::from(picture.size().height) * 4)
        .sum()
}

/// Some accounted bytes stay for the connection, so the empty state is measured, not assumed.
fn accounted(rig: &Rig) -> u64 {
    rig.ddi.query_statistics(rig.worker).unwrap().memory
}

/// A plausible request of each command, variable parts included.
fn samples() -> Vec<Vec<u8>> {
    CommandCode::ALL
        .into_iter()
        .map(|code| {
            let extra = if code.variable() == Variable::None {
                0
            } else {
                64
            };
            let mut bytes = vec![0; code.fixed_len() + extra];
            bytes[..4].copy_from_slice(&code.get().to_le_bytes());
            for word in bytes[24..].chunks_exact_mut(4) {
                word.copy_from_slice(&2_u32.to_le_bytes());
            }
            bytes
        })
        .collect()
}

#[test]
fn every_command_at_every_length_and_room_in_every_layout_comes_back_once() {
    for split in [false, true] {
        let mut rig = Rig::new(RigConfig {
            split,
            seed: 99,
            ..RigConfig::default()
        });
        for sample in samples() {
            for len in 0..=sample.len() {
                let room = [0, 1, 23, 24, 25, 63, 2000][len % 7];
                if len + room == 0 {
                    continue;
                }
                let answer = rig.send_bytes(&sample[..len], room);
                assert!(answer.len as usize <= room);
                assert!(answer.len == 0 || answer.len >= 24);
                if room >= 24 {
                    answer.decode();
                }
                let untouched = &answer.bytes[answer.len as usize..];
                assert!(
                    untouched.iter().all(|byte| *byte == 0xa5),
                    "wrote beyond its answer"
                );
            }
        }
    }
}

#[test]
fn random_bytes_are_answered_and_the_account_matches_what_lives() {
    for seed in 0..12 {
        let mut rig = Rig::new(RigConfig {
            split: true,
            seed,
            memory_limit: 1 << 20,
            ..RigConfig::default()
        });
        let empty = accounted(&rig);
        let samples = samples();
        for _ in 0..400 {
            let mut random = rig.random.clone();
            let at = random.below(samples.len() as u64) as usize;
            let mut bytes = samples[at].clone();
            for _ in 0..random.below(6) {
                let place = random.below(bytes.len() as u64) as usize;
                bytes[place] = random.pick(&[0, 1, 2, 3, 64, 0x7f, 0x80, 0xff]);
            }
            // Keep the command; the rest is anybody's guess.
            bytes[..4].copy_from_slice(&samples[at][..4]);
            rig.random = random;
            if bytes[1] == 3 {
                let sent = rig.queue_bytes(true, &bytes, 0);
                rig.kick_cursor();
                rig.wait_cursor(1);
                let _ = sent;
            } else {
                rig.send_bytes(&bytes, 1100);
            }
            assert!(accounted(&rig) <= 1 << 20, "seed {seed}");
        }
        works(&mut rig);
        assert_eq!(
            accounted(&rig),
            empty + kept(&rig),
            "seed {seed}: a reset left something behind"
        );
    }
}

#[test]
fn pictures_kept_of_scanouts_that_are_off_count_against_the_limit() {
    let (width, height) = (64, 64);
    let frame = u64::from(width * height * 4);
    let mut rig = Rig::default();
    let empty = accounted(&rig);
    let rect = Rect::new(0, 0, width, height);
    let show = |id: u32, source| {
        Request::new(Command::SetScanout(SetScanout {
            scanout: ScanoutId::new(id).unwrap(),
            source,
        }))
    };
    let image = Request::new(Command::ResourceCreate2d(ResourceCreate2d {
        resource: res(1),
        format: Format::B8G8R8X8,
        width,
        height,
    }));
    let on = Some(ScanoutSource {
        resource: res(1),
        rect,
    });
    let flush = Request::new(Command::ResourceFlush(ResourceFlush {
        resource: res(1),
        rect,
    }));
    rig.ok(&image);
    // The first is switched off, the second goes dark with its resource.
    for id in 0..2 {
        rig.ok(&show(id, on));
    }
    rig.ok(&flush);
    rig.ok(&show(0, None));
    rig.ok(&Request::new(Command::ResourceUnref { resource: res(1) }));
    assert_eq!(accounted(&rig), empty + 2 * frame);
    // They outlive the driver, and go when the scanout is used again.
    rig.probe();
    assert_eq!(accounted(&rig), empty + 2 * frame);
    rig.ok(&image);
    let with_image = accounted(&rig) - 2 * frame;
    rig.ok(&show(0, on));
    assert_eq!(accounted(&rig), with_image + (2 + 1) * frame);
    // Nothing was shown this time, so nothing is kept.
    rig.ok(&show(0, None));
    assert_eq!(accounted(&rig), with_image + frame);
}

#[test]
fn descriptors_outside_of_memory_get_an_error_where_one_can_be_written() {
    let mut rig = Rig::default();
    let end = support::GUEST_BYTES;
    let request = encode(&Request::new(Command::GetDisplayInfo));
    let at = rig.place(24)[0].0;
    rig.write_guest(at, &request);
    for (read, room, len) in [
        ((end, 24), (at + 64, 24), 24),
        ((end - 8, 24), (at + 64, 24), 24),
        ((u64::MAX, 24), (at + 64, 24), 24),
        ((at, 24), (end, 500), 0),
        ((at, 24), (u64::MAX - 3, 500), 0),
        // More than 2^32 bytes in a chain: it ends before the room for an answer.
        ((at, u32::MAX), (at + 64, 500), 0),
        ((at, u32::MAX - 500), (at + 64, 500), 408),
        ((at, 24), (at + 64, u32::MAX - 24), 408),
    ] {
        let chain = [(read.0, read.1, false), (room.0, room.1, true)];
        rig.control.push(&chain, false);
        rig.kick();
        assert_eq!(rig.control.pop_used()[0].1, len, "{read:?} {room:?}");
    }
    works(&mut rig);
}

#[test]
fn rings_that_lie_are_not_believed_and_a_reset_cures() {
    for case in 0..7 {
        let mut rig = Rig::default();
        match case {
            // A head that is no descriptor.
            0 => rig.control.offer(SIZE),
            1 => rig.control.offer(u16::MAX),
            // More chains than there are descriptors.
            2 => rig.control.set_avail(SIZE + 1),
            3 => rig.control.set_avail(0x8000),
            4 => rig.cursor.set_avail(u16::MAX),
            5 => rig.cursor.offer(SIZE),
            // An index that goes back.
            _ => {
                rig.send(&Request::new(Command::GetDisplayInfo));
                rig.control.set_avail(0);
            }
        }
        rig.kick();
        rig.kick_cursor();
        assert_eq!(rig.read32(reg::STATUS), 15 | 64, "case {case}");
        works(&mut rig);
    }
}

#[test]
fn chains_that_loop_or_nest_end() {
    for case in 0..4 {
        let mut rig = Rig::default();
        let memory = rig.memory.clone();
        let base = rig.control.base();
        let desc = |index: u64, addr: u64, len: u32, flags: u16, next: u16| {
            use vm_memory::{Bytes, GuestAddress, GuestAddressSpace};
            let at = base + index * 16;
            let memory = memory.memory();
            memory.write_obj(addr, GuestAddress(at)).unwrap();
            memory.write_obj(len, GuestAddress(at + 8)).unwrap();
            memory.write_obj(flags, GuestAddress(at + 12)).unwrap();
            memory.write_obj(next, GuestAddress(at + 14)).unwrap();
        };
        let head = rig.control.push(&[], true);
        match case {
            0 => desc(u64::from(head), BACKINGS, 0, 1, head),
            1 => desc(u64::from(head), BACKINGS, 24, 3, head),
            // An indirect table that is the descriptor table, and so points to itself.
            2 => desc(u64::from(head), base, 16, 4, 0),
            _ => desc(u64::from(head), base, 17, 4, 0),
        }
        rig.kick();
        assert_eq!(rig.control.pop_used().len(), 1, "case {case}");
        works(&mut rig);
    }
}

#[test]
fn the_same_chain_offered_again_while_it_is_in_flight_takes_no_more_than_the_ring() {
    let mut rig = Rig::default();
    let entries = [RawMemEntry::new(BACKINGS, 64 * 64 * 4)];
    rig.ok(&Request::new(Command::ResourceCreate2d(ResourceCreate2d {
        resource: res(1),
        format: Format::B8G8R8X8,
        width: 64,
        height: 64,
    })));
    rig.ok(&Request::new(Command::ResourceAttachBacking(
        ResourceAttachBacking {
            resource: res(1),
            entries: MemEntries::new(&entries),
        },
    )));
    let context = rig.display_context();
    rig.ddi.suspend_context(context, 1).unwrap();
    let before = rig.ddi.calls_made();
    let transfer = Request::new(Command::TransferToHost2d(TransferToHost2d {
        resource: res(1),
        rect: Rect::of_size(64, 64),
        offset: 0,
    }));
    let sent = rig.queue(&transfer);
    for _ in 0..40 {
        rig.kick();
        for _ in 0..10 {
            rig.control.offer(sent.head);
        }
    }
    rig.kick();
    let submitted = rig.ddi.calls_made() - before;
    assert!(
        submitted <= usize::from(SIZE),
        "{submitted} commands of one ring"
    );
    rig.ddi.resume_context(context).unwrap();
    works(&mut rig);
}

fn any_command(random: &mut Random) -> Request<'static> {
    let resource = res(1 + random.below(3) as u32);
    Request::new(match random.below(6) {
        0 => Command::ResourceCreate2d(ResourceCreate2d {
            resource,
            format: Format::B8G8R8X8,
            width: 64,
            height: 64,
        }),
        1 => Command::SetScanout(SetScanout {
            scanout: ScanoutId::new(0).unwrap(),
            source: Some(ScanoutSource {
                resource,
                rect: Rect::of_size(64, 64),
            }),
        }),
        2 => Command::ResourceUnref { resource },
        3 => Command::ResourceAttachBacking(ResourceAttachBacking {
            resource,
            entries: MemEntries::new(const { &[RawMemEntry::new(BACKINGS, 64 * 64 * 4)] }),
        }),
        4 => Command::TransferToHost2d(TransferToHost2d {
            resource,
            rect: Rect::of_size(64, 64),
            offset: 0,
        }),
        _ => Command::ResourceFlush(ResourceFlush {
            resource,
            rect: Rect::of_size(64, 64),
        }),
    })
}

#[test]
fn a_reset_at_any_point_leaves_nothing_and_any_number_of_them_work() {
    let mut rig = Rig::new(RigConfig {
        split: true,
        seed: 5,
        ..RigConfig::default()
    });
    rig.write32(reg::STATUS, 0);
    let empty = accounted(&rig);
    rig.probe();
    for round in 0..150_u64 {
        let context = rig.display_context();
        if rig.random.chance(3) {
            rig.ddi.suspend_context(context, 1).unwrap();
        }
        for _ in 0..rig.random.below(16) {
            let request = any_command(&mut rig.random).fenced(round);
            rig.queue(&request);
            if rig.random.chance(2) {
                rig.kick();
            }
        }
        rig.write32(reg::STATUS, 0);
        let _ = rig.line.read();
        let settled = rig.control.pop_used();
        assert_eq!(accounted(&rig), empty + kept(&rig), "round {round}");
        // No queue is touched and no interrupt is raised after a reset.
        rig.run_event_loop();
        rig.gpu.service_queues();
        assert_eq!(
            rig.control.pop_used(),
            [],
            "round {round}, after {settled:?}"
        );
        assert!(rig.line.read().is_err(), "round {round}");
        assert_eq!(rig.read32(reg::INTERRUPT_STATUS), 0);
        works(&mut rig);
        rig.ddi.take_records().iter().for_each(drop);
        rig.probe();
    }
}

#[test]
fn resources_beyond_the_limit_of_names_are_out_of_memory_not_out_of_host() {
    let mut rig = Rig::new(RigConfig {
        memory_limit: 64 << 10,
        ..RigConfig::default()
    });
    let mut created = 0_u32;
    let refused = loop {
        let answer = rig.send(&Request::new(Command::ResourceCreate2d(ResourceCreate2d {
            resource: res(created + 1),
            format: Format::B8G8R8X8,
            width: 1,
            height: 1,
        })));
        match answer.response() {
            Response::OkNoData => created += 1,
            other => break other.code(),
        }
        assert!(created < 20_000, "tiny resources are free of charge");
    };
    assert_eq!(refused, ResponseType::ErrOutOfMemory);
}

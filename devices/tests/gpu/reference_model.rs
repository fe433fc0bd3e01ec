// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The device against the reference model: random command streams through real split rings, chains split at random, while
//! the GPU is held back and let go at random moments.
//!
//! The model runs strictly first in, first out. So these tests say two things at once: the device's pixels are right, and
//! no schedule of it gives an answer, a fence order or a picture that first in, first out would not have given.

use std::collections::HashMap;

use crate::support::model::{Model, Said};
use crate::support::random::Random;
use crate::support::{Answer, BACKINGS, BACKINGS_END, Rig, RigConfig, Sent};
use proptest::prelude::*;
use rondo_adapter::ddi::Ddi;
use rondo_devices::display::CaptureError;
use rondo_protocol::*;

const SCANOUTS: u32 = 2;
const RESOURCES: u64 = 5;

/// A command that owns what it borrows.
#[derive(Clone, Debug)]
struct Planned {
    command: Command<'static>,
    entries: Vec<RawMemEntry>,
}

impl Planned {
    fn plain(command: Command<'static>) -> Self {
        Self {
            command,
            entries: Vec::new(),
        }
    }

    fn command(&self) -> Command<'_> {
        match self.command {
            Command::ResourceAttachBacking(args) => {
                Command::ResourceAttachBacking(ResourceAttachBacking {
                    resource: args.resource,
                    entries: MemEntries::new(&self.entries),
                })
            }
            Command::ResourceCreateBlob(args) => Command::ResourceCreateBlob(ResourceCreateBlob {
                resource: args.resource,
                mem: args.mem,
                flags: args.flags,
                blob_id: args.blob_id,
                size: args.size,
                entries: MemEntries::new(&self.entries),
            }),
            other => other,
        }
    }
}

fn id(random: &mut Random) -> ResourceId {
    ResourceId::new(1 + random.below(RESOURCES) as u32).unwrap()
}

fn scanout(random: &mut Random) -> ScanoutId {
    // Now and then one that the device does not have.
    let bound = if random.chance(20) {
        SCANOUTS + 1
    } else {
        SCANOUTS
    };
    ScanoutId::new(random.below(u64::from(bound)) as u32).unwrap()
}

fn rect(random: &mut Random, width: u32, height: u32) -> Rect {
    if random.chance(3) {
        return Rect::of_size(width, height);
    }
    let x = random.below(u64::from(width)) as u32;
    let y = random.below(u64::from(height)) as u32;
    // Mostly inside, sometimes a pixel too far.
    let slack = u64::from(random.chance(12));
    Rect::new(
        x,
        y,
        random.below(u64::from(width - x) + 1 + slack) as u32,
        random.below(u64::from(height - y) + 1 + slack) as u32,
    )
}

/// Pieces of guest memory of odd lengths, `total` bytes in all.
fn entries(random: &mut Random, total: u64) -> Vec<RawMemEntry> {
    let mut left = total;
    let mut entries = Vec::new();
    while left > 0 {
        let len = if random.chance(3) {
            left
        } else {
            1 + random.below(left)
        };
        let addr = BACKINGS + random.below(BACKINGS_END - BACKINGS - len);
        entries.push(RawMemEntry::new(addr, len as u32));
        left -= len;
    }
    entries
}

/// The shapes that resources are created with, so that most commands fit them.
fn shape(resource: ResourceId) -> (u32, u32) {
    match resource.get() {
        1 => (64, 64),
        2 => (33, 17),
        3 => (16, 40),
        _ => (7, 5),
    }
}

fn plan(random: &mut Random) -> Planned {
    let resource = id(random);
    let (width, height) = shape(resource);
    let bytes = u64::from(width) * u64::from(height) * 4;
    match random.below(24) {
        0..=2 => Planned::plain(Command::ResourceCreate2d(ResourceCreate2d {
            resource,
            format: random.pick(&Format::ALL),
            width,
            height,
        })),
        3 => Planned {
            entries: entries(random, bytes + 64),
            command: Command::ResourceCreateBlob(ResourceCreateBlob {
                resource,
                mem: BlobMem::Guest,
                flags: BlobFlags::SHAREABLE,
                blob_id: 0,
                size: bytes + 64,
                entries: MemEntries::EMPTY,
            }),
        },
        4 => Planned::plain(Command::ResourceUnref { resource }),
        5..=7 => Planned {
            entries: entries(random, bytes),
            command: Command::ResourceAttachBacking(ResourceAttachBacking {
                resource,
                entries: MemEntries::EMPTY,
            }),
        },
        8 => Planned::plain(Command::ResourceDetachBacking { resource }),
        9..=13 => {
            let rect = rect(random, width, height);
            let offset = (u64::from(rect.y) * u64::from(width) + u64::from(rect.x)) * 4;
            // Linux' offset, or any other.
            let offset = if random.chance(4) {
                random.below(bytes)
            } else {
                offset
            };
            Planned::plain(Command::TransferToHost2d(TransferToHost2d {
                resource,
                rect,
                offset,
            }))
        }
        14..=17 => Planned::plain(Command::ResourceFlush(ResourceFlush {
            resource,
            rect: rect(random, width, height),
        })),
        18..=19 => Planned::plain(Command::SetScanout(SetScanout {
            scanout: scanout(random),
            source: (!random.chance(5)).then(|| ScanoutSource {
                resource,
                rect: rect(random, width, height),
            }),
        })),
        20 => Planned::plain(Command::SetScanoutBlob(SetScanoutBlob {
            scanout: scanout(random),
            source: Some(BlobFramebuffer {
                resource,
                rect: rect(random, width, height),
                width,
                height,
                format: random.pick(&Format::ALL),
                strides: [width * 4 + random.below(2) as u32, 0, 0, 0],
                offsets: [random.below(64) as u32, 0, 0, 0],
            }),
        })),
        21..=22 => Planned::plain(Command::UpdateCursor(UpdateCursor {
            scanout: scanout(random),
            x: random.below(60) as i32 - 20,
            y: random.below(60) as i32 - 20,
            resource: (!random.chance(4)).then_some(resource),
            hot_x: random.below(64) as u32,
            hot_y: random.below(64) as u32,
        })),
        _ => Planned::plain(Command::MoveCursor(MoveCursor {
            scanout: scanout(random),
            x: random.below(60) as i32 - 20,
            y: random.below(60) as i32 - 20,
        })),
    }
}

fn said(answer: &Answer) -> Said {
    match answer.response() {
        Response::OkNoData => Said::Ok,
        Response::Err(error) => Said::Err(error),
        other => panic!("unexpected {other:?}"),
    }
}

fn compare_pictures(rig: &Rig, model: &Model) -> Result<(), TestCaseError> {
    for (number, screen) in rig.screens.iter().enumerate() {
        let seen = match screen.capture() {
            Ok(shot) => Some((shot.size().width, shot.size().height, shot.rgb().to_vec())),
            Err(CaptureError::Off) => None,
            Err(error) => panic!("scanout {number}: {error}"),
        };
        let expected = model.picture(number);
        prop_assert_eq!(
            seen.as_ref().map(|(w, h, _)| (*w, *h)),
            expected.as_ref().map(|(w, h, _)| (*w, *h)),
            "mode of scanout {}",
            number
        );
        if let (Some((width, _, seen)), Some((_, _, expected))) = (seen, expected) {
            let wrong = seen.iter().zip(&expected).position(|(a, b)| a != b);
            prop_assert!(
                wrong.is_none(),
                "scanout {}: pixel ({}, {}) differs",
                number,
                wrong.unwrap() as u32 / 3 % width,
                wrong.unwrap() as u32 / 3 / width
            );
        }
    }
    Ok(())
}

struct InFlight {
    sent: Sent,
    expected: Said,
    timeline: Option<(Option<u8>, u64)>,
    what: String,
}

/// One batch: random commands, first in first out in the model, with the GPU held back in places.
fn batch(
    rig: &mut Rig,
    model: &mut Model,
    held: bool,
    fence: &mut u64,
) -> Result<(), TestCaseError> {
    let context = rig.display_context();
    let mut in_flight: Vec<InFlight> = Vec::new();
    let mut suspensions = *fence;
    let mut suspended = false;
    let mut cursors = 0;
    for _ in 0..rig.random.below(40) {
        if held && rig.random.chance(4) {
            suspensions += 1;
            suspended = !suspended;
            if suspended {
                rig.ddi.suspend_context(context, suspensions).unwrap();
            } else {
                rig.ddi.resume_context(context).unwrap();
            }
        }
        let mut random = rig.random.clone();
        let planned = plan(&mut random);
        rig.random = random;
        let command = planned.command();
        if !rig.control.has_room() || !rig.cursor.has_room() {
            break;
        }
        let expected = model.run(&command);
        let what = format!("{command:?}");
        if command.code().queue() == Queue::Cursor {
            rig.queue_cursor(&Request::new(command));
            cursors += 1;
            // The device must take what is ahead on the control queue first, though it is told of this queue only; and
            // what comes behind on the control queue is behind only if the device has seen this.
            rig.kick_cursor();
            continue;
        }
        let mut request = Request::new(command);
        let mut timeline = None;
        if rig.random.chance(2) {
            *fence += 1;
            request = request.fenced(*fence);
            let ring = (rig.random.chance(3)).then(|| rig.random.below(2) as u8);
            if let Some(ring) = ring {
                request = request.in_context(ContextId::new(3)).on_ring(ring);
            }
            timeline = Some((ring, *fence));
        }
        let sent = rig.queue(&request);
        in_flight.push(InFlight {
            sent,
            expected,
            timeline,
            what,
        });
        if rig.random.chance(3) {
            rig.kick();
        }
    }
    rig.kick();
    if suspended {
        rig.ddi.resume_context(context).unwrap();
    }
    *fence = (*fence).max(suspensions);
    let used = rig.wait(in_flight.len());
    let mut last: HashMap<Option<u8>, u64> = HashMap::new();
    for (head, len) in used {
        let place = in_flight.iter().position(|c| c.sent.head == head);
        let command = in_flight.remove(place.expect("a chain came back that was not in flight"));
        let answer = rig.answer(&command.sent, len);
        prop_assert_eq!(said(&answer), command.expected, "{}", command.what);
        let (header, _) = answer.decode();
        prop_assert_eq!(header.fence, command.timeline.map(|(_, fence)| fence));
        if let Some((ring, fence)) = command.timeline {
            prop_assert_eq!(header.ring_idx, ring);
            if let Some(earlier) = last.insert(ring, fence) {
                prop_assert!(earlier < fence, "fence {} came after {}", fence, earlier);
            }
        }
    }
    rig.wait_cursor(cursors);
    compare_pictures(rig, model)
}

fn run(seed: u64, held: bool, batches: usize) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(RigConfig {
        seed,
        split: true,
        ..RigConfig::default()
    });
    let mut model = Model::new(rig.memory.clone(), SCANOUTS);
    let mut fence = 0;
    for _ in 0..batches {
        // The GPU is idle: what lies in guest memory may change.
        let noise = rig.random.bytes(1 << 12);
        for _ in 0..8 {
            let at = BACKINGS
                + rig
                    .random
                    .below(BACKINGS_END - BACKINGS - noise.len() as u64);
            rig.write_guest(at, &noise);
        }
        batch(&mut rig, &mut model, held, &mut fence)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_devices_pixels_and_answers_are_the_models(seed in any::<u64>()) {
        run(seed, false, 6)?;
    }

    #[test]
    fn no_schedule_gives_what_first_in_first_out_would_not(seed in any::<u64>()) {
        run(seed, true, 6)?;
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The GPU, the guest, the control plane and a reader of the screen, all at once.

#![allow(missing_docs, clippy::cast_possible_truncation)]

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rondo_renderer::frame::FrameMode;
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::Image;
use rondo_renderer::pixels::PixelBuffer;
use rondo_renderer::screen::{AllocationId, Screen, Shown};
use rondo_renderer::work::{Present, Source, Upload, Work};
use vm_memory::{Bytes, GuestAddress};
use world::{FORMAT, Sink, backing, finish, memory};

const SIZE: Size = Size {
    width: 32,
    height: 32,
};
const BYTES: u32 = 32 * 32 * 4;

/// A frame of one colour: what the guest draws here, and so all that a reader may ever see.
fn is_whole(frame: &[u8]) -> bool {
    frame.iter().all(|byte| Some(byte) == frame.first())
}

#[test]
fn given_modes_that_change_and_readers_that_keep_frames_then_nobody_ever_sees_half_a_frame() {
    let memory = memory();
    let backing = Arc::new(backing(&memory, &[(0xff00, BYTES)]));
    let image = Arc::new(Image::new(SIZE, FORMAT).unwrap());
    let (sink, seen) = Sink::with_reader(true);
    let screens: Arc<[Arc<Screen>]> = Arc::new([Arc::new(Screen::new(sink))]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // The control plane, as wild as a guest can make it.
        scope.spawn(|| {
            for height in (1..=SIZE.height).cycle() {
                let size = Size {
                    height: if height % 4 == 0 { height } else { 32 },
                    ..SIZE
                };
                screens[0].set_mode(Some(FrameMode {
                    size,
                    format: FORMAT,
                }));
                let shown = Shown {
                    allocation: AllocationId(0),
                    surface: image.surface(),
                    rect: Rect::whole(size),
                };
                screens[0].show(shown).unwrap();
                if height == 7 {
                    assert!(screens[0].forget(AllocationId(0)));
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::yield_now();
            }
        });
        // Somebody who takes screenshots and keeps them for a while.
        scope.spawn(|| {
            let mut kept = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let frame = seen.frame.lock().unwrap();
                let mut shot = PixelBuffer::zeroed(frame.bytes().len()).unwrap();
                frame.flip_into(&mut shot).unwrap();
                drop(frame);
                assert!(is_whole(shot.bytes()));
                kept.push(shot);
                kept.truncate(5);
                assert!(kept.iter().all(|shot| is_whole(shot.bytes())));
            }
        });
        // The GPU, with units far smaller than a frame.
        for round in 0..3000_u32 {
            let colour = vec![round as u8; BYTES as usize];
            memory.write_slice(&colour, GuestAddress(0xff00)).unwrap();
            let whole = Rect::whole(SIZE);
            let mut upload = Work::upload(Upload {
                image: Arc::clone(&image),
                backing: Arc::clone(&backing),
                rect: whole,
                offset: 0,
            })
            .unwrap();
            finish(&mut upload, &[1500, 700]);
            let source = if round % 3 == 0 {
                Source::Blob(Arc::clone(&backing))
            } else {
                Source::Image(Arc::clone(&image))
            };
            let mut present = Work::present(Present {
                allocation: AllocationId(0),
                source,
                rect: whole,
                screens: Arc::clone(&screens),
            });
            finish(&mut present, &[1500, 700, 100_000]);
            assert!(present.frames() <= 1);
        }
        stop.store(true, Ordering::Relaxed);
    });
}

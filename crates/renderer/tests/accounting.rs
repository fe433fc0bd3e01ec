// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is accounted is what is allocated, and work allocates nothing once its objects exist.
//!
//! The allocator counts each thread's calls apart, since the test harness allocates on its own thread when it likes.

#![allow(
    unsafe_code,
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap
)]

mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use rondo_renderer::backing::Backing;
use rondo_renderer::frame::FrameMode;
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::Image;
use rondo_renderer::screen::{AllocationId, Screen, Shown};
use rondo_renderer::work::{Present, Source, Upload, Work};
use vm_memory::{GuestAddress, GuestMemoryMmap};
use world::{FORMAT, Sink, finish, memory};

struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn count(bytes: usize, sign: i64) {
    LIVE.set(LIVE.get() + sign * bytes as i64);
    CALLS.set(CALLS.get() + u64::from(sign > 0));
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs it, and returns its value with the bytes that it left allocated.
fn allocated<T>(build: impl FnOnce() -> T) -> (T, u64) {
    let before = LIVE.get();
    let value = build();
    let bytes = LIVE.get() - before;
    (value, u64::try_from(bytes).unwrap())
}

/// An object's own header, which callers keep in a table of theirs: far below a page.
const HEADER: u64 = 256;

const SIZE: Size = Size {
    width: 100,
    height: 50,
};

fn images_and_backings_take_what_is_accounted(memory: &GuestMemoryMmap) {
    for (width, height) in [(1, 1), (100, 50), (1280, 800), (8192, 3)] {
        let size = Size { width, height };
        let (image, bytes) = allocated(|| Image::new(size, FORMAT).unwrap());
        let accounted = Image::memory_for(size).unwrap();
        assert!(
            (accounted..accounted + HEADER).contains(&bytes),
            "{size:?}: {bytes}"
        );
        drop(image);
    }
    for count in [0, 1, 7, 1000] {
        // Every piece crosses the border between two regions: the worst that a guest can do.
        let pieces = vec![(GuestAddress(0xffff), 2); count];
        let accounted = Backing::memory_for(memory, count);
        let (backing, bytes) = allocated(|| Backing::new(memory, pieces.iter().copied()).unwrap());
        assert_eq!(
            (bytes, backing.memory()),
            (accounted, accounted),
            "{count} pieces"
        );
    }
}

fn frames_allocate_nothing_and_all_memory_comes_back(memory: &GuestMemoryMmap) {
    let before = LIVE.get();
    let whole = Rect::whole(SIZE);
    let part = Rect {
        x: 3,
        y: 4,
        width: 50,
        height: 40,
    };
    let backing = Arc::new(Backing::new(memory, [(GuestAddress(8), 0x8000)]).unwrap());
    let images = [(); 2].map(|()| Arc::new(Image::new(SIZE, FORMAT).unwrap()));
    let (sink, seen) = Sink::with_reader(true);
    let screens: Arc<[Arc<Screen>]> = Arc::new([Arc::new(Screen::new(sink))]);
    screens[0].set_mode(Some(FrameMode {
        size: SIZE,
        format: FORMAT,
    }));
    seen.lock().damages.reserve(1000);
    let show = |image: usize| {
        let shown = Shown {
            allocation: AllocationId(image as u64),
            surface: images[image].surface(),
            rect: whole,
        };
        screens[0].show(shown).unwrap();
    };
    let frame = |image: usize, rect: Rect, budget: u32| {
        let upload = Upload {
            image: Arc::clone(&images[image]),
            backing: Arc::clone(&backing),
            rect,
            offset: 0,
        };
        finish(&mut Work::upload(upload).unwrap(), &[budget]);
        let present = Present {
            allocation: AllocationId(image as u64),
            source: Source::Image(Arc::clone(&images[image])),
            rect,
            screens: Arc::clone(&screens),
        };
        finish(&mut Work::present(present), &[budget]);
    };
    let story = || {
        for image in [0, 1, 0, 0, 1, 1] {
            show(image);
            // The first one is long, and meets a screen that still shows the other image's buffer.
            let frames = [
                (part, 999),
                (whole, 1 << 20),
                (part, 1 << 20),
                (part, 999),
                (whole, 999),
            ];
            for (rect, budget) in frames {
                frame(image, rect, budget);
            }
        }
    };
    // The first long present makes the screen's back buffer; from then on everything is there.
    story();
    let (calls, live) = (CALLS.get(), LIVE.get());
    for _ in 0..5 {
        story();
    }
    assert_eq!(CALLS.get(), calls, "work allocated memory");
    assert_eq!(LIVE.get(), live);

    // One buffer an image, one for the sink, one behind it.
    let bytes = Image::memory_for(SIZE).unwrap();
    let sink_only = 2 * bytes; // The test's sink keeps a second frame for its other mode of work.
    let expected = 2 * bytes + bytes + bytes;
    let mode = screens[0].mode().unwrap();
    assert_eq!(Screen::memory_for(mode), 2 * bytes);
    let taken = u64::try_from(live - before).unwrap();
    assert!(
        taken >= expected && taken < expected + sink_only,
        "{taken} of {expected}"
    );

    drop((images, screens, seen, backing));
    assert_eq!(LIVE.get(), before, "memory was lost");
}

#[test]
fn given_every_object_then_its_memory_is_accounted_and_work_takes_no_more() {
    let memory = memory();
    images_and_backings_take_what_is_accounted(&memory);
    frames_allocate_nothing_and_all_memory_comes_back(&memory);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What copies cost: uploads and frames through the renderer, against a bare `memcpy` of the same bytes.
//!
//! `cargo bench -p rondo-renderer` prints one line a case: the median time, its bytes per second, its ratio to the
//! `memcpy` that ran interleaved with it (1.00 is as fast), and the longest unit of a round, in the median. Times depend on the machine and its load; ratios do less.

#![allow(unsafe_code, missing_docs)]
#![allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]

use std::hint::black_box;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rondo_renderer::backing::Backing;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::image::{Image, Surface};
use rondo_renderer::pixels::PixelBuffer;
use rondo_renderer::screen::{AllocationId, Screen, Shown};
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Present, Progress, Renderer, Source, Upload, Work};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

const SIZE: Size = Size {
    width: 1280,
    height: 800,
};
const FORMAT: PixelFormat = PixelFormat::B8G8R8X8;
const STRIDE: usize = SIZE.width as usize * 4;
const FRAME: usize = STRIDE * SIZE.height as usize;
const PAGE: usize = 4096;
const ROUNDS: usize = 201;

/// Keeps its frame in a buffer, exchangeable or not.
#[derive(Debug)]
struct Sink {
    frame: Option<Mutex<PixelBuffer>>,
    exchangeable: bool,
}

impl FrameSink for Sink {
    fn configure(&mut self, mode: Option<FrameMode>) {
        self.frame = mode.map(|mode| {
            let len = mode.size.width as usize * mode.size.height as usize * 4;
            Mutex::new(PixelBuffer::zeroed(len).unwrap())
        });
    }
    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        self.frame.as_mut()?.get_mut().unwrap().bytes_mut()
    }
    fn frame_buffer(&self) -> Option<&Mutex<PixelBuffer>> {
        self.frame.as_ref().filter(|_| self.exchangeable)
    }
    fn present_frame(&mut self, _: Rect) {}
    fn set_cursor(&mut self, _: Option<CursorImage>) {}
    fn move_cursor(&mut self, _: u32, _: u32) {}
}

struct Bench {
    memory: GuestMemoryMmap,
    image: Arc<Image>,
    contiguous: Arc<Backing>,
    scattered: Arc<Backing>,
    plain_source: Vec<u8>,
    plain_target: Vec<u8>,
    unit: UnitBudget,
    longest: Duration,
}

impl Bench {
    fn new() -> Self {
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4 * FRAME)]).unwrap();
        memory
            .write_slice(&vec![0x5a; 4 * FRAME], GuestAddress(0))
            .unwrap();
        let contiguous = Backing::new(&memory, [(GuestAddress(0), FRAME as u32)]).unwrap();
        // Every third page, backwards: no two are neighbours and no prefetcher sees a pattern across pages.
        let pages = FRAME.div_ceil(PAGE);
        let pieces: Vec<_> = (0..pages)
            .map(|page| {
                (
                    GuestAddress((3 * (pages - 1 - page) * PAGE) as u64),
                    PAGE as u32,
                )
            })
            .collect();
        let scattered = Backing::new(&memory, pieces).unwrap();
        Self {
            image: Arc::new(Image::new(SIZE, FORMAT).unwrap()),
            contiguous: Arc::new(contiguous),
            scattered: Arc::new(scattered),
            plain_source: vec![0x5a; 4 * FRAME],
            plain_target: vec![1; FRAME],
            memory,
            unit: UnitBudget::default(),
            longest: Duration::ZERO,
        }
    }

    fn finish(&mut self, mut work: Work) {
        loop {
            let start = Instant::now();
            let progress = SoftwareRenderer.run(&mut work, self.unit);
            self.longest = self.longest.max(start.elapsed());
            match progress {
                Progress::Done => return,
                Progress::Preempted => {}
                Progress::Failed(error) => panic!("{error}"),
            }
        }
    }

    fn upload(&mut self, backing: &Arc<Backing>, rect: Rect) {
        let work = Work::upload(Upload {
            image: Arc::clone(&self.image),
            backing: Arc::clone(backing),
            rect,
            offset: (rect.y as usize * STRIDE + rect.x as usize * 4) as u64,
        });
        self.finish(work.unwrap());
    }

    fn present(&mut self, screens: &Arc<[Arc<Screen>]>, source: Source, rect: Rect) {
        self.finish(Work::present(Present {
            allocation: AllocationId(1),
            source,
            rect,
            screens: Arc::clone(screens),
        }));
    }

    /// The same rows with `memcpy`, from page to page if `scattered`.
    fn memcpy(&mut self, rect: Rect, scattered: bool) {
        let start = rect.y as usize * STRIDE + rect.x as usize * 4;
        let row = rect.width as usize * 4;
        if rect.width == SIZE.width {
            let len = rect.height as usize * STRIDE;
            if scattered {
                let pages = len / PAGE;
                for page in 0..pages {
                    let from = 3 * (pages - 1 - page) * PAGE;
                    self.plain_target[page * PAGE..][..PAGE]
                        .copy_from_slice(&self.plain_source[from..][..PAGE]);
                }
            } else {
                self.plain_target[start..][..len]
                    .copy_from_slice(&self.plain_source[start..][..len]);
            }
        } else {
            for y in 0..rect.height as usize {
                let at = start + y * STRIDE;
                self.plain_target[at..][..row].copy_from_slice(&self.plain_source[at..][..row]);
            }
        }
        black_box(&mut self.plain_target);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Runs both in turn and prints the case's median, throughput and ratio to the reference.
fn compare(
    bench: &mut Bench,
    name: &str,
    bytes: usize,
    repeat: u32,
    mut case: impl FnMut(&mut Bench),
    mut reference: impl FnMut(&mut Bench),
) {
    let (mut cases, mut references, mut units) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        bench.longest = Duration::ZERO;
        let start = Instant::now();
        for _ in 0..repeat {
            case(bench);
        }
        cases.push(start.elapsed() / repeat);
        units.push(bench.longest);
        let start = Instant::now();
        for _ in 0..repeat {
            reference(bench);
        }
        references.push(start.elapsed() / repeat);
    }
    let (case, reference) = (median(&mut cases), median(&mut references));
    println!(
        "{name:<44} {:>9.2} us {:>7.2} GB/s {:>6.2} x memcpy, longest unit {:>7.1} us",
        case.as_secs_f64() * 1e6,
        bytes as f64 / case.as_secs_f64() / 1e9,
        case.as_secs_f64() / reference.as_secs_f64(),
        median(&mut units).as_secs_f64() * 1e6,
    );
}

fn screens(exchangeable: bool) -> Arc<[Arc<Screen>]> {
    let screen = Screen::new(Box::new(Sink {
        frame: None,
        exchangeable,
    }));
    screen.set_mode(Some(FrameMode {
        size: SIZE,
        format: FORMAT,
    }));
    let shown = Shown {
        allocation: AllocationId(1),
        surface: Surface {
            size: SIZE,
            format: FORMAT,
            stride: STRIDE as u32,
            offset: 0,
        },
        rect: Rect::whole(SIZE),
    };
    screen.show(shown).unwrap();
    Arc::new([Arc::new(screen)])
}

fn renderer_cases(bench: &mut Bench) {
    let whole = Rect::whole(SIZE);
    let cursor = Rect {
        x: 100,
        y: 100,
        width: 64,
        height: 64,
    };
    let row = Rect {
        x: 0,
        y: 400,
        width: SIZE.width,
        height: 1,
    };
    let half = Rect {
        x: 320,
        y: 200,
        width: 640,
        height: 400,
    };
    let contiguous = Arc::clone(&bench.contiguous);
    let scattered = Arc::clone(&bench.scattered);
    let bytes = |rect: Rect| rect.width as usize * rect.height as usize * 4;
    let mut upload = |name, backing: &Arc<Backing>, rect, repeat, pages| {
        compare(
            bench,
            name,
            bytes(rect),
            repeat,
            |b| b.upload(backing, rect),
            |b| b.memcpy(rect, pages),
        );
    };
    upload("upload 1280x800, contiguous", &contiguous, whole, 1, false);
    upload("upload 1280x800, 4 KiB pages", &scattered, whole, 1, true);
    upload("upload 640x400, contiguous", &contiguous, half, 1, false);
    upload("upload 640x400, 4 KiB pages", &scattered, half, 1, false);
    upload("upload 64x64, contiguous", &contiguous, cursor, 100, false);
    upload("upload 64x64, 4 KiB pages", &scattered, cursor, 100, false);
    upload("upload one row, contiguous", &contiguous, row, 100, false);
    upload("upload one row, 4 KiB pages", &scattered, row, 100, false);

    hostile_cases(bench);
    let first_touch = |b: &mut Bench| {
        b.image = Arc::new(Image::new(SIZE, FORMAT).unwrap());
        b.upload(&scattered, whole);
    };
    compare(
        bench,
        "upload 1280x800, 4 KiB pages, new image",
        FRAME,
        1,
        first_touch,
        |b| b.memcpy(whole, true),
    );

    let flipping = screens(true);
    let copying = screens(false);
    let mut frame = |name, screens: &Arc<[Arc<Screen>]>, rect| {
        let present = |b: &mut Bench| {
            b.upload(&scattered, rect);
            let image = Source::Image(Arc::clone(&b.image));
            b.present(screens, image, rect);
        };
        compare(bench, name, bytes(rect), 1, present, |b| {
            b.memcpy(rect, rect == whole)
        });
    };
    frame("frame 1280x800, flip", &flipping, whole);
    frame("frame 640x400, exchangeable sink", &flipping, half);
    frame("frame 64x64, exchangeable sink", &flipping, cursor);
    frame("frame 1280x800, copying sink", &copying, whole);
    frame("frame 640x400, copying sink", &copying, half);
    let mut blob = |name, screens: &Arc<[Arc<Screen>]>, rect| {
        let present =
            |b: &mut Bench| b.present(screens, Source::Blob(Arc::clone(&scattered)), rect);
        compare(bench, name, bytes(rect), 1, present, |b| {
            b.memcpy(rect, rect == whole)
        });
    };
    blob("blob 1280x800, exchangeable sink", &flipping, whole);
    blob("blob 640x400, exchangeable sink", &flipping, half);
    blob("blob 1280x800, copying sink", &copying, whole);
}

/// Shapes of work that cost more than their bytes: what bounds a unit then is what rows and pieces are charged.
fn hostile_cases(bench: &mut Bench) {
    const PIECES: u32 = 4096;
    let column = Rect {
        x: 640,
        y: 0,
        width: 1,
        height: SIZE.height,
    };
    let contiguous = Arc::clone(&bench.contiguous);
    compare(
        bench,
        "upload 1x800, contiguous",
        column.height as usize * 4,
        10,
        |b| b.upload(&contiguous, column),
        |b| b.memcpy(column, false),
    );
    // One byte a page, in an order that no prefetcher follows.
    let pages = 4 * FRAME as u64 / PAGE as u64;
    let pieces: Vec<_> = (0..u64::from(PIECES))
        .map(|i| {
            (
                GuestAddress(i * 1619 % pages * PAGE as u64 + i % 61 * 64),
                1,
            )
        })
        .collect();
    let bytes = Arc::new(Backing::new(&bench.memory, pieces).unwrap());
    let row = Rect {
        x: 0,
        y: 0,
        width: PIECES / 4,
        height: 1,
    };
    compare(
        bench,
        "upload 4096 bytes, one a page",
        PIECES as usize,
        1,
        |b| b.upload(&bytes, row),
        |b| b.memcpy(row, false),
    );
}

/// How else a frame could be copied. The renderer would need `unsafe` for these, so they have to win clearly.
fn strategies(bench: &mut Bench) {
    let region = bench.memory.iter().next().unwrap().get_mmap();
    let guest = region.as_ptr().cast_const();
    let mut target = vec![1_u8; FRAME];
    let mut strategy = |name, copy: &dyn Fn(*mut u8, *const u8, usize)| {
        let pages = FRAME / PAGE;
        compare(
            bench,
            name,
            FRAME,
            1,
            |_| {
                for page in 0..pages {
                    // SAFETY: both pages lie in live allocations that do not overlap; nobody writes to the guest's.
                    let (to, from) = unsafe {
                        (
                            target.as_mut_ptr().add(page * PAGE),
                            guest.add(3 * (pages - 1 - page) * PAGE),
                        )
                    };
                    copy(to, from, PAGE);
                }
                black_box(&mut target);
            },
            |b| b.memcpy(Rect::whole(SIZE), true),
        );
    };
    strategy("4 KiB pages, memcpy", &|to, from, len| {
        // SAFETY: as above.
        unsafe { std::ptr::copy_nonoverlapping(from, to, len) }
    });
    #[cfg(target_arch = "x86_64")]
    {
        strategy("4 KiB pages, rep movsb", &|to, from, len| {
            // SAFETY: as above; the direction flag is clear by the ABI.
            unsafe {
                std::arch::asm!("rep movsb", inout("rcx") len => _, inout("rsi") from => _, inout("rdi") to => _, options(nostack, preserves_flags));
            }
        });
        strategy("4 KiB pages, non-temporal stores", &|to, from, len| {
            use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_sfence, _mm_stream_si128};
            for at in (0..len).step_by(16) {
                // SAFETY: as above; `to` comes from an allocation of megabytes, which is 16-byte aligned, plus pages.
                unsafe {
                    let value = _mm_loadu_si128(from.add(at).cast::<__m128i>());
                    _mm_stream_si128(to.add(at).cast::<__m128i>(), value);
                }
            }
            // SAFETY: no memory is touched.
            unsafe { _mm_sfence() };
        });
    }
}

fn main() {
    let mut bench = Bench::new();
    println!(
        "frame: {} KiB, unit: {} KiB",
        FRAME >> 10,
        UnitBudget::default().get() >> 10
    );
    renderer_cases(&mut bench);
    strategies(&mut bench);
}

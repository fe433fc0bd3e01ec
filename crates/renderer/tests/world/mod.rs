// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the tests share: guest memory with borders and a hole, sinks that can be looked at, and pixels drawn slowly.

#![allow(missing_docs, clippy::cast_possible_truncation)]
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::{Arc, Mutex, MutexGuard};

use rondo_renderer::backing::Backing;
use rondo_renderer::format::PixelFormat;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::{Rect, Size};
use rondo_renderer::pixels::PixelBuffer;
use rondo_renderer::software::SoftwareRenderer;
use rondo_renderer::unit::UnitBudget;
use rondo_renderer::work::{Progress, Renderer, Work};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

pub const FORMAT: PixelFormat = PixelFormat::B8G8R8X8;

/// Two regions that touch at 64 KiB, a hole from 128 KiB, and a third region from 192 KiB to 256 KiB.
pub const REGIONS: [(GuestAddress, usize); 3] = [
    (GuestAddress(0), 0x1_0000),
    (GuestAddress(0x1_0000), 0x1_0000),
    (GuestAddress(0x3_0000), 0x1_0000),
];

/// Whether all bytes from `addr` on lie in [`REGIONS`].
pub fn in_memory(addr: u64, len: u64) -> bool {
    let end = addr + len;
    len == 0 || end <= 0x2_0000 || (addr >= 0x3_0000 && end <= 0x4_0000)
}

/// Guest memory in which neighbouring bytes differ, and every 4 bytes name their own address.
pub fn memory() -> GuestMemoryMmap {
    let memory = GuestMemoryMmap::from_ranges(&REGIONS).unwrap();
    fill(&memory, 0);
    memory
}

/// Writes a new pattern everywhere.
pub fn fill(memory: &GuestMemoryMmap, seed: u32) {
    for (start, len) in REGIONS {
        let mut bytes = Vec::with_capacity(len);
        for word in 0..len / 4 {
            let addr = start.0 as u32 + word as u32 * 4;
            let value = (addr ^ seed.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b) | 1;
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        memory.write_slice(&bytes, start).unwrap();
    }
}

/// The bytes of the pieces, one at a time.
pub fn bytes_of(memory: &GuestMemoryMmap, pieces: &[(u64, u32)]) -> Vec<u8> {
    pieces
        .iter()
        .flat_map(|&(addr, len)| (0..u64::from(len)).map(move |i| addr + i))
        .map(|addr| memory.read_obj::<u8>(GuestAddress(addr)).unwrap())
        .collect()
}

pub fn backing(memory: &GuestMemoryMmap, pieces: &[(u64, u32)]) -> Backing {
    let pieces: Vec<_> = pieces
        .iter()
        .map(|&(addr, len)| (GuestAddress(addr), len))
        .collect();
    Backing::new(memory, pieces).unwrap()
}

/// Runs to the end with budgets taken in turn; returns the number of units.
pub fn finish(work: &mut Work, budgets: &[u32]) -> usize {
    for unit in 0.. {
        let budget = UnitBudget::bytes(budgets[unit % budgets.len()]);
        match SoftwareRenderer.run(work, budget) {
            Progress::Done => return unit + 1,
            Progress::Preempted => {}
            Progress::Failed(error) => panic!("{error}"),
        }
    }
    unreachable!("the loop has no end")
}

/// A sink as its reader sees it.
#[derive(Debug)]
pub struct Seen {
    /// The frame of an exchangeable sink, and the last presented one of another.
    pub frame: Mutex<PixelBuffer>,
    told: Mutex<Told>,
}

/// What a sink was told.
#[derive(Debug, Default)]
pub struct Told {
    pub mode: Option<FrameMode>,
    pub damages: Vec<Rect>,
    pub cursor: Option<CursorImage>,
    pub cursor_at: (u32, u32),
}

impl Seen {
    pub fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    fn is_on(&self) -> bool {
        self.lock().mode.is_some()
    }

    fn configure(&self, mode: Option<FrameMode>) {
        self.lock().mode = mode;
        let pixels = mode.map_or(0, |mode| mode.size.width * mode.size.height);
        *self.frame.lock().unwrap() = PixelBuffer::zeroed(pixels as usize * 4).unwrap();
    }

    /// Takes over a presented frame, of which only the damage may differ from the last one.
    fn check_and_keep(&self, new: &[u8], damage: Rect) {
        let width = self.lock().mode.unwrap().size.width;
        let mut frame = self.frame.lock().unwrap();
        let old = frame.bytes();
        for (index, (old, new)) in old.chunks_exact(4).zip(new.chunks_exact(4)).enumerate() {
            let (x, y) = (index as u32 % width, index as u32 / width);
            let damaged = Rect {
                x,
                y,
                width: 1,
                height: 1,
            }
            .intersect(&damage)
            .is_some();
            assert!(
                damaged || old == new,
                "pixel {x},{y} changed outside of {damage:?}"
            );
        }
        // A fresh buffer: somebody may still look at a screenshot of the last one.
        *frame = PixelBuffer::zeroed(new.len()).unwrap();
        frame.bytes_mut().unwrap().copy_from_slice(new);
    }

    /// The frame that the sink shows.
    pub fn pixels(&self) -> Vec<u8> {
        self.frame.lock().unwrap().bytes().to_vec()
    }
}

#[derive(Debug)]
pub struct Sink {
    seen: Arc<Seen>,
    exchangeable: bool,
    /// The frame in progress of a sink that exchanges no buffers.
    lent: Vec<u8>,
}

impl Sink {
    pub fn with_reader(exchangeable: bool) -> (Box<dyn FrameSink>, Arc<Seen>) {
        let seen = Arc::new(Seen {
            frame: Mutex::new(PixelBuffer::zeroed(0).unwrap()),
            told: Mutex::default(),
        });
        let sink = Self {
            seen: Arc::clone(&seen),
            exchangeable,
            lent: Vec::new(),
        };
        (Box::new(sink), seen)
    }
}

impl FrameSink for Sink {
    fn configure(&mut self, mode: Option<FrameMode>) {
        self.seen.configure(mode);
        self.lent = self.seen.pixels();
    }

    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        assert!(!self.exchangeable, "the GPU has a buffer to draw in");
        self.seen.is_on().then_some(self.lent.as_mut_slice())
    }

    fn frame_buffer(&self) -> Option<&Mutex<PixelBuffer>> {
        (self.exchangeable && self.seen.is_on()).then_some(&self.seen.frame)
    }

    fn present_frame(&mut self, damage: Rect) {
        if !self.exchangeable {
            self.seen.check_and_keep(&self.lent, damage);
        }
        self.seen.lock().damages.push(damage);
    }

    fn set_cursor(&mut self, image: Option<CursorImage>) {
        self.seen.lock().cursor = image;
    }

    fn move_cursor(&mut self, x: u32, y: u32) {
        self.seen.lock().cursor_at = (x, y);
    }
}

/// One pixel of an image with `width` pixels in a row.
pub fn pixel(bytes: &[u8], width: u32, x: u32, y: u32) -> &[u8] {
    let at = (y as usize * width as usize + x as usize) * 4;
    &bytes[at..at + 4]
}

/// What `TRANSFER_TO_HOST_2D` means, a pixel at a time.
pub fn model_upload(image: &mut [u8], size: Size, guest: &[u8], rect: Rect, offset: u64) {
    for y in 0..rect.height {
        for x in 0..rect.width {
            let from = offset as usize + (y as usize * size.width as usize + x as usize) * 4;
            let to = ((rect.y + y) as usize * size.width as usize + (rect.x + x) as usize) * 4;
            image[to..to + 4].copy_from_slice(&guest[from..from + 4]);
        }
    }
}

/// What `RESOURCE_FLUSH` means for one screen that shows `shown` of a surface with these bytes, a pixel at a time.
/// Returns whether the screen got anything.
pub fn model_present(
    frame: &mut [u8],
    shown: Rect,
    surface: &[u8],
    stride: usize,
    offset: usize,
    rect: Rect,
) -> bool {
    let mut any = false;
    for y in 0..shown.height {
        for x in 0..shown.width {
            let (sx, sy) = (shown.x + x, shown.y + y);
            let inside = sx >= rect.x
                && u64::from(sx) < rect.right()
                && sy >= rect.y
                && u64::from(sy) < rect.bottom();
            if inside {
                let from = offset + sy as usize * stride + sx as usize * 4;
                let to = (y as usize * shown.width as usize + x as usize) * 4;
                frame[to..to + 4].copy_from_slice(&surface[from..from + 4]);
                any = true;
            }
        }
    }
    any
}

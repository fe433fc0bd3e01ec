// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Pixels in guest memory: 32 bits each (B8G8R8X8, so 0x00RRGGBB as a little-endian word), rows without gaps, in one piece or in scattered pages.
#![allow(unsafe_code)]

pub use rondo_protocol::Rect;

use crate::command_line::Backing;
use crate::memory::{FreeMemory, OutOfMemory, PAGE, Pages};

/// Bytes of a pixel.
pub const PIXEL: u64 = 4;

/// Pixels that a device reads while they are drawn.
#[derive(Debug)]
pub struct Surface {
    width: u32,
    height: u32,
    pages: Pages,
    backing: Backing,
}

impl Surface {
    /// Takes memory for a surface. Whatever the memory held is its picture until something is drawn.
    ///
    /// # Errors
    /// [`OutOfMemory`].
    pub fn new(
        memory: &mut FreeMemory,
        width: u32,
        height: u32,
        backing: Backing,
    ) -> Result<Self, OutOfMemory> {
        let pages = memory.take(u64::from(width) * u64::from(height) * PIXEL)?;
        Ok(Self {
            width,
            height,
            pages,
            backing,
        })
    }

    /// Width in pixels.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// The whole surface.
    #[must_use]
    pub const fn whole(&self) -> Rect {
        Rect {
            x: 0,
            y: 0,
            width: self.width,
            height: self.height,
        }
    }

    /// Bytes from one row to the next.
    #[must_use]
    pub const fn stride(&self) -> u64 {
        self.width as u64 * PIXEL
    }

    /// Where the first pixel of a rectangle lies in the resource, in bytes.
    #[must_use]
    pub const fn offset_of(&self, rect: &Rect) -> u64 {
        rect.y as u64 * self.stride() + rect.x as u64 * PIXEL
    }

    /// Bytes of memory, a whole number of pages.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.pages.len
    }

    /// True if the surface has no pixel.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pages.len == 0
    }

    /// The pieces of memory, (address, bytes), in the order in which the resource uses them.
    pub fn pieces(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        let piece = match self.backing {
            Backing::Contiguous => self.pages.len,
            Backing::Scattered => PAGE,
        };
        (0..self.pages.len / piece.max(1)).map(move |i| (self.address_of(i * piece), piece as u32))
    }

    /// The memory address of a byte offset into the resource. Scattered pages lie in reverse order, so no two neighbours are in order.
    const fn address_of(&self, offset: u64) -> u64 {
        match self.backing {
            Backing::Contiguous => self.pages.address + offset,
            Backing::Scattered => {
                let page = offset / PAGE;
                self.pages.address + self.pages.len - (page + 1) * PAGE + offset % PAGE
            }
        }
    }

    /// Calls `draw(pixels, x)` for each run of pixels, in one piece of memory, of row `y` from `x` on, `count` in all. Clips to the surface.
    fn runs(&mut self, y: u32, x: u32, count: u32, mut draw: impl FnMut(&mut [u32], u32)) {
        if y >= self.height || x >= self.width {
            return;
        }
        let end = self.width.min(x.saturating_add(count));
        let mut x = x;
        while x < end {
            let offset = u64::from(y) * self.stride() + u64::from(x) * PIXEL;
            let run = match self.backing {
                Backing::Contiguous => end - x,
                Backing::Scattered => (end - x).min(((PAGE - offset % PAGE) / PIXEL) as u32),
            };
            let start =
                core::ptr::with_exposed_provenance_mut::<u32>(self.address_of(offset) as usize);
            // SAFETY: the run lies inside the pages that this surface owns, which are RAM, and any bits are a pixel. A device may read them at the same time;
            // it sees old or new pixels, never anything that Rust relies on.
            draw(
                unsafe { core::slice::from_raw_parts_mut(start, run as usize) },
                x,
            );
            x += run;
        }
    }

    /// Fills a rectangle with 0x00RRGGBB (or 0xAARRGGBB where the format has alpha).
    pub fn fill(&mut self, rect: &Rect, color: u32) {
        for y in rect.y..rect.y.saturating_add(rect.height).min(self.height) {
            self.runs(y, rect.x, rect.width, |pixels, _| pixels.fill(color));
        }
    }

    /// Fills a rectangle from a function of (x, y).
    pub fn paint(&mut self, rect: &Rect, color: impl Fn(u32, u32) -> u32) {
        for y in rect.y..rect.y.saturating_add(rect.height).min(self.height) {
            self.runs(y, rect.x, rect.width, |pixels, x| {
                for (at, pixel) in (x..).zip(pixels) {
                    *pixel = color(at, y);
                }
            });
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A surface over memory of the host.
    pub(crate) fn surface(width: u32, height: u32, backing: Backing) -> Surface {
        let bytes = (width * height) as usize * 4 + 2 * PAGE as usize;
        let memory = vec![0_u8; bytes].leak();
        let start = memory.as_mut_ptr().expose_provenance() as u64;
        // SAFETY: leaked, zeroed, and used by nobody else.
        let mut free = unsafe { FreeMemory::new(start, start + bytes as u64) };
        Surface::new(&mut free, width, height, backing).unwrap()
    }

    /// The resource as a device assembles it from the pieces.
    pub(crate) fn assembled(surface: &Surface) -> Vec<u32> {
        let mut pixels = Vec::new();
        for (address, len) in surface.pieces() {
            let start = core::ptr::with_exposed_provenance::<u32>(address as usize);
            // SAFETY: the pieces are the surface's own memory.
            pixels
                .extend_from_slice(unsafe { core::slice::from_raw_parts(start, len as usize / 4) });
        }
        pixels.truncate((surface.width() * surface.height()) as usize);
        pixels
    }

    #[test]
    fn given_either_backing_the_device_assembles_the_same_picture() {
        let mut pictures = Vec::new();
        for backing in [Backing::Contiguous, Backing::Scattered] {
            let mut surface = surface(333, 77, backing);
            surface.paint(&surface.whole(), |x, y| x << 12 | y);
            surface.fill(
                &Rect {
                    x: 300,
                    y: 70,
                    width: 100,
                    height: 100,
                },
                0x00ff_00ff,
            );
            pictures.push(assembled(&surface));
        }
        assert_eq!(pictures[0], pictures[1]);
        assert_eq!(pictures[0][333 * 5 + 17], 17 << 12 | 5);
        assert_eq!(pictures[0][333 * 77 - 1], 0x00ff_00ff);
        assert_eq!(pictures[0][333 * 77 - 1 - 33], 299 << 12 | 76);
    }

    #[test]
    fn given_scattered_backing_no_piece_follows_the_one_before() {
        let surface = surface(640, 48, Backing::Scattered);
        let pieces: Vec<_> = surface.pieces().collect();
        assert!(pieces.len() > 10);
        assert!(pieces.iter().all(|&(_, len)| u64::from(len) == PAGE));
        assert!(pieces.windows(2).all(|pair| pair[0].0 + PAGE != pair[1].0));
    }
}

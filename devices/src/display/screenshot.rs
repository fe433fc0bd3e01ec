// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is on a screen at one moment: opaque red, green and blue, the cursor drawn in.
//!
//! A screen has nothing behind it, so the alpha of a scanout's format says nothing; the cursor's does.

use rondo_protocol::limits::CURSOR_SIZE;
use rondo_renderer::format::BYTES_PER_PIXEL;
use rondo_renderer::frame::{CursorImage, FrameMode};
use rondo_renderer::geometry::Size;
use thiserror::Error;

use super::pixels::{blend, rgba};

/// Bytes of a pixel of a screenshot.
const RGB: usize = 3;

/// A picture: rows from the top, red, green and blue of each pixel, nothing between rows.
#[derive(Clone, PartialEq, Eq)]
pub struct Screenshot {
    size: Size,
    rgb: Vec<u8>,
}

/// Why there is no picture.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CaptureError {
    /// The scanout is off.
    #[error("the scanout is off: the guest shows nothing on it")]
    Off,
    /// The host has no memory for it.
    #[error("the host has no memory for the picture")]
    NoMemory,
}

impl Screenshot {
    /// The frame with the cursor over it, whose hot spot is at the given place.
    pub(crate) fn new(
        mode: FrameMode,
        frame: &[u8],
        cursor: Option<(&CursorImage, (i32, i32))>,
    ) -> Self {
        let mut rgb = Vec::with_capacity(frame.len() / BYTES_PER_PIXEL * RGB);
        let (pixels, _) = frame.as_chunks::<BYTES_PER_PIXEL>();
        for pixel in pixels {
            let [red, green, blue, _] = rgba(mode.format, *pixel);
            rgb.extend_from_slice(&[red, green, blue]);
        }
        let mut picture = Self {
            size: mode.size,
            rgb,
        };
        if let Some((image, at)) = cursor {
            picture.draw_cursor(image, at);
        }
        picture
    }

    /// Pixels in a row, and rows.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The pixels, three bytes each.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// One pixel; `None` outside of the picture.
    #[must_use]
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        let at = self.offset(i64::from(x), i64::from(y))?;
        self.rgb.get(at..)?.first_chunk::<RGB>().copied()
    }

    fn offset(&self, x: i64, y: i64) -> Option<usize> {
        let (x, y) = (u32::try_from(x).ok()?, u32::try_from(y).ok()?);
        if x >= self.size.width || y >= self.size.height {
            return None;
        }
        let pixel = u64::from(y) * u64::from(self.size.width) + u64::from(x);
        usize::try_from(pixel).ok()?.checked_mul(RGB)
    }

    fn draw_cursor(&mut self, image: &CursorImage, (x, y): (i32, i32)) {
        let left = i64::from(x) - i64::from(image.hot_x);
        let top = i64::from(y) - i64::from(image.hot_y);
        let (pixels, _) = image.pixels.as_chunks::<BYTES_PER_PIXEL>();
        for (index, pixel) in (0..CURSOR_SIZE * CURSOR_SIZE).zip(pixels) {
            let column = left + i64::from(index % CURSOR_SIZE);
            let row = top + i64::from(index / CURSOR_SIZE);
            let Some(at) = self.offset(column, row) else {
                continue;
            };
            if let Some(under) = self
                .rgb
                .get_mut(at..)
                .and_then(|rest| rest.first_chunk_mut())
            {
                *under = blend(*under, rgba(image.format, *pixel));
            }
        }
    }
}

impl std::fmt::Debug for Screenshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screenshot")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

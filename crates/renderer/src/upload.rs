// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Uploads: guest memory into an image.
//!
//! While a screen shows the image's own buffer (see [`crate::pixels`]), it must not change. The upload then fills the
//! image's spare buffer: first with the old pixels around the rectangle, then with the new ones. An upload of the whole
//! image has no old pixels to keep, so it costs one copy either way.

use std::sync::Arc;

use crate::backing::Backing;
use crate::blit::{Blit, Bytes, SameShapeBlits};
use crate::format::PIXEL_BYTES;
use crate::geometry::Rect;
use crate::image::Image;
use crate::pixels::{OutOfMemory, PixelBuffer};
use crate::unit::Budget;
use crate::work::{Progress, Upload, WorkError};

#[derive(Debug)]
pub(crate) struct UploadState {
    image: Arc<Image>,
    backing: Arc<Backing>,
    rect: Rect,
    offset: u64,
    blit: Blit,
    /// The image's next buffer, if its present one is shared.
    next: Option<NextBuffer>,
}

#[derive(Debug)]
struct NextBuffer {
    pixels: PixelBuffer,
    kept: SameShapeBlits,
}

impl UploadState {
    pub(crate) fn new(upload: Upload) -> Result<Self, WorkError> {
        let Upload {
            image,
            backing,
            rect,
            offset,
        } = upload;
        let size = image.size();
        if !rect.fits(size) {
            return Err(WorkError::OutsideImage { rect, size });
        }
        if !rect.is_empty() {
            // No overflow: the rectangle lies inside an image whose bytes an isize can count.
            let len = u64::from(image.surface().stride) * u64::from(rect.height.saturating_sub(1))
                + u64::from(rect.width) * u64::from(PIXEL_BYTES);
            backing.check_range(offset, len)?;
        }
        let mut state = Self {
            image,
            backing,
            rect,
            offset,
            blit: Blit::default(),
            next: None,
        };
        state.blit = state.start();
        Ok(state)
    }

    fn start(&self) -> Blit {
        let surface = self.image.surface();
        Blit::at(self.offset, u64::from(surface.stride), &surface, &self.rect)
    }

    pub(crate) fn run(&mut self, budget: &mut Budget) -> Progress {
        if self.blit.is_done() {
            return Progress::Done;
        }
        // A handle of our own: the guard must not borrow from `self`.
        let image = Arc::clone(&self.image);
        let mut pixels = image.pixels();
        if self.next.is_none() {
            if let Some(bytes) = pixels.bytes_mut() {
                return progress(self.blit.run(Bytes::Guest(&self.backing), bytes, budget));
            }
            match self.detach(&mut pixels) {
                Ok(next) => self.next = Some(next),
                Err(out_of_memory) => return Progress::Failed(out_of_memory),
            }
        }
        let Some(mut next) = self.next.take() else {
            return Progress::Done;
        };
        let done = next.pixels.bytes_mut().is_none_or(|bytes| {
            next.kept.run(pixels.bytes(), bytes, budget)
                && self.blit.run(Bytes::Guest(&self.backing), bytes, budget)
        });
        if done {
            *pixels = next.pixels;
        } else {
            self.next = Some(next);
        }
        progress(done)
    }

    fn detach(&mut self, pixels: &mut PixelBuffer) -> Result<NextBuffer, OutOfMemory> {
        let surface = self.image.surface();
        let around = Rect::whole(surface.size).difference(&self.rect);
        self.blit = self.start();
        Ok(NextBuffer {
            pixels: pixels.detach()?,
            kept: SameShapeBlits::new(&surface, around),
        })
    }
}

fn progress(done: bool) -> Progress {
    if done {
        Progress::Done
    } else {
        Progress::Preempted
    }
}

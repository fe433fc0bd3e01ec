// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Presents: an image or blob onto the screens that show it.
//!
//! A screen's new frame comes about in one of three ways:
//! - *flip*: the whole screen shows a whole image and all of it is new. The sink gets the image's buffer; no byte moves.
//! - *in place*: what is new is copied into the sink's frame. A sink without a buffer to exchange is always served like
//!   this, others only if it fits one unit, which runs under the screen's lock.
//! - *in the back*: a longer change is drawn in a second buffer, after what that one has missed, and the two are
//!   exchanged at the end. So nobody who looks at the sink between two units sees half a frame.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blit::{Blit, Bytes, SameShapeBlits};
use crate::geometry::Rect;
use crate::image::Surface;
use crate::pixels::{OutOfMemory, PixelBuffer};
use crate::screen::{BackBuffer, Screen, ScreenState, Shown};
use crate::unit::Budget;
use crate::work::{Present, Progress, Source};

#[derive(Debug)]
pub(crate) struct PresentState {
    present: Present,
    /// The screen that is next, or under way.
    screen: usize,
    frames: u32,
    drawing: Option<Drawing>,
}

/// A frame that is under way.
#[derive(Debug)]
struct Drawing {
    /// The screen's when it began.
    generation: u64,
    damage: Rect,
    blit: Blit,
    /// The sink has the image's buffer, so there is nothing to draw.
    flipped: bool,
    /// `None`: drawn in place.
    back: Option<Back>,
}

#[derive(Debug)]
struct Back {
    pixels: PixelBuffer,
    /// What it has missed, outside of the damage.
    missed: SameShapeBlits,
}

enum Step {
    NextScreen,
    Presented,
    Preempted,
}

impl PresentState {
    pub(crate) fn new(present: Present) -> Self {
        Self {
            present,
            screen: 0,
            frames: 0,
            drawing: None,
        }
    }

    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    pub(crate) fn run(&mut self, budget: &mut Budget) -> Progress {
        while let Some(screen) = self.present.screens.get(self.screen) {
            if budget.is_spent() {
                return Progress::Preempted;
            }
            let screen = Arc::clone(screen);
            match self.step(&screen, budget) {
                Ok(Step::NextScreen) => {}
                Ok(Step::Presented) => self.frames = self.frames.saturating_add(1),
                Ok(Step::Preempted) => return Progress::Preempted,
                Err(out_of_memory) => return Progress::Failed(out_of_memory),
            }
            self.drawing = None;
            self.screen = self.screen.saturating_add(1);
        }
        Progress::Done
    }

    fn step(&mut self, screen: &Screen, budget: &mut Budget) -> Result<Step, OutOfMemory> {
        let mut state = screen.state();
        let state = &mut *state;
        let unchanged = |drawing: &Drawing| drawing.generation == state.generation;
        let mut drawing = match self.drawing.take().filter(unchanged) {
            Some(drawing) => drawing,
            None => match self.begin(state, budget)? {
                Some(drawing) => drawing,
                None => return Ok(Step::NextScreen),
            },
        };
        let progress = match &self.present.source {
            Source::Image(image) => {
                let pixels = image.pixels();
                drawing.draw(state, Bytes::Host(pixels.bytes()), budget)
            }
            Source::Blob(blob) => drawing.draw(state, Bytes::Guest(blob), budget),
        };
        match progress {
            Drawn::All => {
                drawing.finish(state);
                return Ok(Step::Presented);
            }
            Drawn::Part => self.drawing = Some(drawing),
            Drawn::Nothing => {}
        }
        Ok(Step::Preempted)
    }

    /// Decides how the screen gets its frame; `None`: it shows nothing of this.
    fn begin(
        &self,
        state: &mut ScreenState,
        budget: &mut Budget,
    ) -> Result<Option<Drawing>, OutOfMemory> {
        let (Some(mode), Some(shown)) = (state.mode, state.shown) else {
            return Ok(None);
        };
        if shown.allocation != self.present.allocation || !self.source_has(&shown.surface) {
            return Ok(None);
        }
        let Some(from) = self.present.rect.intersect(&shown.rect) else {
            return Ok(None);
        };
        let damage = Rect {
            x: from.x.saturating_sub(shown.rect.x),
            y: from.y.saturating_sub(shown.rect.y),
            ..from
        };
        let frame = Surface::packed(mode.size, mode.format);
        let blit = Blit::new(&shown.surface, &from, &frame, &damage);
        let mut drawing = Drawing {
            generation: state.generation,
            damage,
            blit,
            flipped: false,
            back: None,
        };
        // A sink without a buffer to exchange is drawn in place.
        let Some(buffer) = state.sink.frame_buffer() else {
            return Ok(Some(drawing));
        };
        if self.flip(&shown, &from, buffer) {
            budget.charge(Budget::PIECE);
            drawing.flipped = true;
            return Ok(Some(drawing));
        }
        let mut buffer = lock(buffer);
        let exclusive = buffer.is_exclusive();
        if exclusive && self.cost(&drawing.blit) <= budget.left() {
            return Ok(Some(drawing));
        }
        let (pixels, stale) = if !exclusive {
            (buffer.detach()?, Rect::whole(mode.size))
        } else if let Some(back) = state.back.take() {
            (back.pixels, back.stale)
        } else {
            let len = buffer.bytes().len();
            (PixelBuffer::zeroed(len)?, Rect::whole(mode.size))
        };
        drawing.back = Some(Back {
            pixels,
            missed: SameShapeBlits::new(&frame, stale.difference(&damage)),
        });
        Ok(Some(drawing))
    }

    /// Hands the image's buffer to the sink if that is the whole frame. Returns whether the sink has it.
    fn flip(&self, shown: &Shown, from: &Rect, buffer: &Mutex<PixelBuffer>) -> bool {
        let Source::Image(image) = &self.present.source else {
            return false;
        };
        let pixels = image.pixels();
        let mut buffer = lock(buffer);
        let whole = *from == shown.rect && shown.rect == Rect::whole(image.size());
        // If the sink shows the image's buffer already, then the screen shows all of it, and the pixels are there.
        pixels.is_same(&buffer) || (whole && pixels.flip_into(&mut buffer).is_ok())
    }

    /// What the blit takes of a budget, at most.
    fn cost(&self, blit: &Blit) -> u64 {
        let extents = match &self.present.source {
            Source::Image(_) => 0,
            Source::Blob(blob) => blit.source_extents(blob),
        };
        blit.cost()
            .saturating_add(extents.saturating_mul(Budget::PIECE as u64))
    }

    /// Whether the surface lies in the source: the screen's owner has checked it, but against what it was then.
    fn source_has(&self, surface: &Surface) -> bool {
        match &self.present.source {
            Source::Image(image) => *surface == image.surface(),
            Source::Blob(blob) => surface.check(blob.len()).is_ok(),
        }
    }
}

/// What a unit has drawn.
enum Drawn {
    All,
    Part,
    /// The sink's buffer has got another owner since the drawing began: the next unit decides anew.
    Nothing,
}

impl From<bool> for Drawn {
    fn from(all: bool) -> Self {
        if all { Self::All } else { Self::Part }
    }
}

impl Drawing {
    fn draw(&mut self, state: &mut ScreenState, source: Bytes<'_>, budget: &mut Budget) -> Drawn {
        if self.flipped {
            return Drawn::All;
        }
        match (state.sink.frame_buffer(), &mut self.back) {
            (Some(front), Some(back)) => {
                let front = lock(front);
                let drawn = back.pixels.bytes_mut().is_none_or(|bytes| {
                    back.missed.run(front.bytes(), bytes, budget)
                        && self.blit.run(source, bytes, budget)
                });
                drawn.into()
            }
            (Some(front), None) => match lock(front).bytes_mut() {
                Some(bytes) => self.blit.run(source, bytes, budget).into(),
                None => Drawn::Nothing,
            },
            (None, _) => match state.sink.alloc_frame() {
                Some(frame) => self.blit.run(source, frame, budget).into(),
                None => Drawn::All,
            },
        }
    }

    fn finish(mut self, state: &mut ScreenState) {
        if let Some(back) = self.back.take()
            && let Some(front) = state.sink.frame_buffer()
        {
            let mut old = std::mem::replace(&mut *lock(front), back.pixels);
            if old.is_exclusive() {
                state.back = Some(BackBuffer {
                    pixels: old,
                    stale: Rect::default(),
                });
            }
        }
        self.presented(state);
    }

    fn presented(&self, state: &mut ScreenState) {
        if let Some(back) = &mut state.back {
            back.stale = back.stale.union(&self.damage);
        }
        state.sink.present_frame(self.damage);
    }
}

fn lock(buffer: &Mutex<PixelBuffer>) -> MutexGuard<'_, PixelBuffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A scanout: what it shows, and the sink where its pictures go, behind one lock.
//!
//! A screen refers to what it shows by number, never by reference: nothing here keeps guest memory alive. Work that
//! presents an allocation looks under the lock, unit by unit, which screens show it at that moment.

use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::format::BYTES_PER_PIXEL;
use crate::frame::{CursorImage, FrameMode, FrameSink};
use crate::geometry::{Rect, Size};
use crate::image::Surface;
use crate::pixels::PixelBuffer;

/// Names an image or blob. The caller never uses a number twice while a screen or a work item knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(pub u64);

/// What a screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The image or blob.
    pub allocation: AllocationId,
    /// How its pixels lie in it; the caller has checked it with [`Surface::check`].
    pub surface: Surface,
    /// The part of the surface that fills the screen.
    pub rect: Rect,
}

/// Why a screen cannot show this.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ShowError {
    /// The screen is off.
    #[error("the screen has no mode")]
    Off,
    /// The rectangle leaves the surface.
    #[error("{rect:?} leaves a surface of {size:?}")]
    OutsideSurface {
        /// The rectangle.
        rect: Rect,
        /// The surface's size.
        size: Size,
    },
    /// The rectangle or the format is not the screen's.
    #[error("{shown:?} does not fit the mode {mode:?}")]
    ModeMismatch {
        /// What it would show.
        shown: FrameMode,
        /// The mode that it has.
        mode: FrameMode,
    },
}

/// One scanout.
#[derive(Debug)]
pub struct Screen {
    state: Mutex<ScreenState>,
}

#[derive(Debug)]
pub(crate) struct ScreenState {
    pub(crate) sink: Box<dyn FrameSink>,
    pub(crate) mode: Option<FrameMode>,
    pub(crate) shown: Option<Shown>,
    /// Changes whenever a present that is under way would draw the wrong thing if it went on.
    pub(crate) generation: u64,
    /// Where long presents are drawn, so that no reader of the sink sees half a frame.
    pub(crate) back: Option<BackBuffer>,
}

/// A buffer that shows the sink's frame but for the pixels in `stale`.
#[derive(Debug)]
pub(crate) struct BackBuffer {
    pub(crate) pixels: PixelBuffer,
    pub(crate) stale: Rect,
}

impl Screen {
    /// A screen that is off.
    #[must_use]
    pub fn new(sink: Box<dyn FrameSink>) -> Self {
        Self {
            state: Mutex::new(ScreenState {
                sink,
                mode: None,
                shown: None,
                generation: 0,
                back: None,
            }),
        }
    }

    /// Bytes of host memory that a screen of this mode takes at most: the sink's frame, and a second one behind it for
    /// changes that take longer than a unit. The guest chooses the mode, so both count against its limit.
    #[must_use]
    pub fn memory_for(mode: FrameMode) -> u64 {
        const BUFFERS: u64 = 2;
        let pixels = u64::from(mode.size.width) * u64::from(mode.size.height);
        pixels
            .saturating_mul(BYTES_PER_PIXEL as u64)
            .saturating_mul(BUFFERS)
    }

    /// Gives the screen this mode, or turns it off. A mode that it has already changes nothing: the last frame stays
    /// until the next present. Otherwise the screen turns black and shows nothing.
    pub fn set_mode(&self, mode: Option<FrameMode>) {
        self.state().set_mode(mode);
    }

    /// The screen's mode; `None` while it is off.
    #[must_use]
    pub fn mode(&self) -> Option<FrameMode> {
        self.state().mode
    }

    /// Bytes of host memory that the sink still holds of a screen that is off.
    #[must_use]
    pub fn kept_while_off(&self) -> u64 {
        let state = self.state();
        match state.mode {
            Some(_) => 0,
            None => state.sink.kept_while_off(),
        }
    }

    /// From now on presents of this allocation reach the screen. What is on it stays until the next one.
    ///
    /// # Errors
    /// [`ShowError`]; the screen goes on as before.
    pub fn show(&self, shown: Shown) -> Result<(), ShowError> {
        let mut state = self.state();
        let mode = state.mode.ok_or(ShowError::Off)?;
        if !shown.rect.fits(shown.surface.size) {
            return Err(ShowError::OutsideSurface {
                rect: shown.rect,
                size: shown.surface.size,
            });
        }
        let wanted = FrameMode {
            size: Size {
                width: shown.rect.width,
                height: shown.rect.height,
            },
            format: shown.surface.format,
        };
        if wanted != mode {
            return Err(ShowError::ModeMismatch {
                shown: wanted,
                mode,
            });
        }
        state.shown = Some(shown);
        state.generation = state.generation.wrapping_add(1);
        Ok(())
    }

    /// What the screen shows.
    #[must_use]
    pub fn shown(&self) -> Option<Shown> {
        self.state().shown
    }

    /// Turns the screen off if it shows this allocation, which is about to go. Returns whether it did.
    pub fn forget(&self, allocation: AllocationId) -> bool {
        let mut state = self.state();
        let shows = state
            .shown
            .is_some_and(|shown| shown.allocation == allocation);
        if shows {
            state.set_mode(None);
        }
        shows
    }

    /// The cursor's picture from now on; `None` hides it.
    pub fn set_cursor(&self, image: Option<CursorImage>) {
        self.state().sink.set_cursor(image);
    }

    /// The cursor's hot spot is at this pixel of the screen; it may lie outside of it.
    pub fn move_cursor(&self, x: u32, y: u32) {
        self.state().sink.move_cursor(x, y);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, ScreenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ScreenState {
    fn set_mode(&mut self, mode: Option<FrameMode>) {
        if self.mode == mode {
            return;
        }
        self.mode = mode;
        self.shown = None;
        self.back = None;
        self.generation = self.generation.wrapping_add(1);
        self.sink.configure(mode);
    }
}

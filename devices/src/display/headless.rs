// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A sink that keeps the last presented frame of a scanout and its cursor.
//!
//! There is one buffer and no copy of it on the way of a frame. It changes hands: while the GPU draws, the sink owns it;
//! once the frame is presented it lies in the shared half, where a screenshot finds it. So a screenshot never sees a
//! half-drawn frame: it waits for the one in progress.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rondo_renderer::format::BYTES_PER_PIXEL;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::Rect;

use super::screenshot::{CaptureError, Screenshot};

/// A screen without glass: the sink for the GPU, and the handle for whoever wants to see.
#[must_use]
pub fn headless() -> (HeadlessSink, ScreenHandle) {
    let shared = Arc::new(Shared::default());
    let sink = HeadlessSink {
        shared: Arc::clone(&shared),
        drawing: None,
    };
    (sink, ScreenHandle { shared })
}

/// The GPU's end of a headless screen.
#[derive(Debug)]
pub struct HeadlessSink {
    shared: Arc<Shared>,
    /// The buffer, while a frame is in progress.
    drawing: Option<Vec<u8>>,
}

/// The onlooker's end of a headless screen. Clones look at the same screen.
#[derive(Clone, Debug)]
pub struct ScreenHandle {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    screen: Mutex<Screen>,
    presented: Condvar,
}

#[derive(Debug, Default)]
struct Screen {
    mode: Option<FrameMode>,
    /// The last presented frame; `None` while the next one is being drawn into it.
    frame: Option<Vec<u8>>,
    frames: u64,
    cursor: Option<CursorImage>,
    /// The hot spot's place; two's complement, for a cursor may leave on the left and at the top.
    cursor_at: (i32, i32),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Screen> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame is no longer in progress.
    fn put_back(&self, frame: Vec<u8>, presented: bool) {
        let mut screen = self.lock();
        screen.frame = Some(frame);
        screen.frames = screen.frames.saturating_add(u64::from(presented));
        drop(screen);
        self.presented.notify_all();
    }
}

impl ScreenHandle {
    /// A picture of the screen with its cursor. A frame in progress is waited for.
    ///
    /// # Errors
    /// [`CaptureError::Off`] if the scanout is off, [`CaptureError::InProgress`] if no frame was finished within `patience`.
    pub fn capture(&self, patience: Duration) -> Result<Screenshot, CaptureError> {
        let screen = self.shared.lock();
        let (screen, _) = self
            .shared
            .presented
            .wait_timeout_while(screen, patience, |screen| {
                screen.mode.is_some() && screen.frame.is_none()
            })
            .unwrap_or_else(PoisonError::into_inner);
        let mode = screen.mode.ok_or(CaptureError::Off)?;
        let frame = screen.frame.as_ref().ok_or(CaptureError::InProgress)?;
        let cursor = screen
            .cursor
            .as_ref()
            .map(|image| (image, screen.cursor_at));
        Ok(Screenshot::new(mode, frame, cursor))
    }

    /// How many frames were presented since the screen was made.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.shared.lock().frames
    }
}

/// Bytes of a frame; `None` if the host cannot hold it.
fn frame_len(mode: FrameMode) -> Option<usize> {
    usize::try_from(mode.size.width)
        .ok()?
        .checked_mul(usize::try_from(mode.size.height).ok()?)?
        .checked_mul(BYTES_PER_PIXEL)
        .filter(|bytes| isize::try_from(*bytes).is_ok())
}

/// A black frame of this shape: black is all zero in each of the eight formats.
fn black(mode: FrameMode) -> Option<Vec<u8>> {
    let bytes = frame_len(mode)?;
    let mut frame = Vec::new();
    frame.try_reserve_exact(bytes).ok()?;
    frame.resize(bytes, 0);
    Some(frame)
}

impl FrameSink for HeadlessSink {
    fn configure(&mut self, mode: Option<FrameMode>) {
        self.drawing = None;
        // The old buffer goes before the new one comes, so that a large screen is not held twice.
        {
            let mut screen = self.shared.lock();
            screen.mode = None;
            screen.frame = None;
        }
        if let Some((mode, frame)) = mode.and_then(|mode| Some((mode, black(mode)?))) {
            let mut screen = self.shared.lock();
            screen.mode = Some(mode);
            screen.frame = Some(frame);
        } else if mode.is_some() {
            log::warn!("the host has no memory for a frame; the scanout stays off");
        }
        self.shared.presented.notify_all();
    }

    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        if self.drawing.is_none() {
            self.drawing = self.shared.lock().frame.take();
        }
        self.drawing.as_deref_mut()
    }

    fn present_frame(&mut self, _damage: Rect) {
        if let Some(frame) = self.drawing.take() {
            self.shared.put_back(frame, true);
        }
    }

    fn set_cursor(&mut self, image: Option<CursorImage>) {
        self.shared.lock().cursor = image;
    }

    #[allow(clippy::cast_possible_wrap, reason = "two's complement is meant")]
    fn move_cursor(&mut self, x: u32, y: u32) {
        self.shared.lock().cursor_at = (x as i32, y as i32);
    }
}

impl Drop for HeadlessSink {
    /// A VM that ends in the middle of a frame still leaves a picture.
    fn drop(&mut self) {
        if let Some(frame) = self.drawing.take() {
            self.shared.put_back(frame, false);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A sink that keeps the last presented frame of a scanout and its cursor.
//!
//! The frame lies in a [`PixelBuffer`], which the GPU exchanges instead of copying into it, so that whole frames reach the
//! screen for nothing. Whoever looks always finds a complete frame, and looking holds nobody up: a screenshot shares the
//! buffer, and the GPU goes on with another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rondo_renderer::format::BYTES_PER_PIXEL;
use rondo_renderer::frame::{CursorImage, FrameMode, FrameSink};
use rondo_renderer::geometry::Rect;
use rondo_renderer::pixels::PixelBuffer;

use super::screenshot::{CaptureError, Screenshot};

/// A screen without glass: the sink for the GPU, and the handle for whoever wants to see.
#[must_use]
pub fn headless() -> (HeadlessSink, ScreenHandle) {
    let screen = Arc::new(Mutex::new(Screen::default()));
    let sink = HeadlessSink {
        screen: Arc::clone(&screen),
        surface: None,
    };
    (sink, ScreenHandle { screen })
}

/// The GPU's end of a headless screen.
#[derive(Debug)]
pub struct HeadlessSink {
    screen: Arc<Mutex<Screen>>,
    /// What the GPU draws on; `None` while the scanout is off.
    surface: Option<Arc<Surface>>,
}

/// The onlooker's end of a headless screen. Clones look at the same screen.
#[derive(Clone, Debug)]
pub struct ScreenHandle {
    screen: Arc<Mutex<Screen>>,
}

/// A frame of one shape.
#[derive(Debug)]
struct Surface {
    mode: FrameMode,
    pixels: Mutex<PixelBuffer>,
}

#[derive(Debug, Default)]
struct Screen {
    /// What is shown; `None` while the scanout is off.
    lit: Option<Arc<Surface>>,
    /// What was shown last, while the scanout is off.
    went_dark: Option<Arc<Surface>>,
    /// Whether a frame was presented since the last change of the mode.
    presented: bool,
    frames: u64,
    cursor: Option<CursorImage>,
    /// The hot spot's place; two's complement, for a cursor may leave on the left and at the top.
    cursor_at: (i32, i32),
}

impl Surface {
    /// Black: all zero in each of the eight formats. `None` if the host cannot hold it.
    fn black(mode: FrameMode) -> Option<Self> {
        let bytes = usize::try_from(mode.size.width)
            .ok()?
            .checked_mul(usize::try_from(mode.size.height).ok()?)?
            .checked_mul(BYTES_PER_PIXEL)?;
        Some(Self {
            mode,
            pixels: Mutex::new(PixelBuffer::zeroed(bytes).ok()?),
        })
    }

    /// The complete frame that is in it now. Only a reference to it is taken under the lock.
    fn frame(&self) -> Result<PixelBuffer, CaptureError> {
        let pixels = lock(&self.pixels);
        let mut frame =
            PixelBuffer::zeroed(pixels.bytes().len()).map_err(|_| CaptureError::NoMemory)?;
        pixels
            .flip_into(&mut frame)
            .map_err(|_| CaptureError::NoMemory)?;
        Ok(frame)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ScreenHandle {
    /// A picture of the screen with its cursor.
    ///
    /// # Errors
    /// [`CaptureError::Off`] if the scanout is off, [`CaptureError::NoMemory`] if the host has no memory for the picture.
    pub fn capture(&self) -> Result<Screenshot, CaptureError> {
        let screen = lock(&self.screen);
        Self::picture(&screen, screen.lit.clone())
    }

    /// As [`ScreenHandle::capture`]; but of a scanout that is off, the last picture that was on it. Guests switch their
    /// scanouts off on their way out, and what they showed before is what one wants to see.
    ///
    /// # Errors
    /// As [`ScreenHandle::capture`]; [`CaptureError::Off`] only if there never was a picture.
    pub fn capture_last(&self) -> Result<Screenshot, CaptureError> {
        let screen = lock(&self.screen);
        Self::picture(
            &screen,
            screen.lit.clone().or_else(|| screen.went_dark.clone()),
        )
    }

    fn picture(screen: &Screen, surface: Option<Arc<Surface>>) -> Result<Screenshot, CaptureError> {
        let surface = surface.ok_or(CaptureError::Off)?;
        let cursor = screen
            .cursor
            .as_ref()
            .map(|image| (image, screen.cursor_at));
        let frame = surface.frame()?;
        Ok(Screenshot::new(surface.mode, frame.bytes(), cursor))
    }

    /// How many frames were presented since the screen was made.
    #[must_use]
    pub fn frames(&self) -> u64 {
        lock(&self.screen).frames
    }
}

impl FrameSink for HeadlessSink {
    fn configure(&mut self, mode: Option<FrameMode>) {
        let old = self.surface.take();
        let mut screen = lock(&self.screen);
        screen.lit = None;
        screen.went_dark = match mode {
            None if screen.presented => old,
            None => screen.went_dark.take(),
            // The old buffer goes before the new one comes, so that a large screen is not held twice.
            Some(_) => None,
        };
        screen.presented = false;
        let Some(mode) = mode else {
            return;
        };
        match Surface::black(mode) {
            Some(surface) => {
                let surface = Arc::new(surface);
                screen.lit = Some(Arc::clone(&surface));
                self.surface = Some(surface);
            }
            None => log::warn!("the host has no memory for a frame; the scanout stays off"),
        }
    }

    fn kept_while_off(&self) -> u64 {
        let screen = lock(&self.screen);
        let kept = screen.went_dark.as_ref();
        kept.map_or(0, |surface| lock(&surface.pixels).bytes().len() as u64)
    }

    /// The GPU never asks while there is a [frame buffer](FrameSink::frame_buffer), and without one the scanout is off.
    fn alloc_frame(&mut self) -> Option<&mut [u8]> {
        None
    }

    fn frame_buffer(&self) -> Option<&Mutex<PixelBuffer>> {
        self.surface.as_deref().map(|surface| &surface.pixels)
    }

    fn present_frame(&mut self, _damage: Rect) {
        let mut screen = lock(&self.screen);
        screen.frames = screen.frames.saturating_add(1);
        screen.presented = true;
    }

    fn set_cursor(&mut self, image: Option<CursorImage>) {
        lock(&self.screen).cursor = image;
    }

    #[allow(clippy::cast_possible_wrap, reason = "two's complement is meant")]
    fn move_cursor(&mut self, x: u32, y: u32) {
        lock(&self.screen).cursor_at = (x as i32, y as i32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_renderer::format::PixelFormat;
    use rondo_renderer::geometry::Size;

    const SIZE: Size = Size {
        width: 4,
        height: 2,
    };
    const MODE: FrameMode = FrameMode {
        size: SIZE,
        format: PixelFormat::B8G8R8X8,
    };

    fn present(sink: &mut HeadlessSink, value: u8) {
        let mut frame = PixelBuffer::zeroed(32).expect("32 bytes");
        frame.bytes_mut().expect("nobody else has it").fill(value);
        let screen = sink.frame_buffer().expect("the scanout is on");
        frame
            .flip_into(&mut screen.lock().expect("no panic"))
            .expect("the same length");
        sink.present_frame(Rect::whole(SIZE));
    }

    #[test]
    fn a_screen_shows_the_frame_that_was_presented_last() {
        let (mut sink, screen) = headless();
        assert_eq!(screen.capture(), Err(CaptureError::Off));
        sink.configure(Some(MODE));
        let black = screen.capture().expect("on");
        assert_eq!(black.pixel(0, 0), Some([0; 3]));
        present(&mut sink, 7);
        present(&mut sink, 9);
        let picture = screen.capture().expect("on");
        assert_eq!(picture.pixel(3, 1), Some([9; 3]));
        assert_eq!(screen.frames(), 2);
    }

    #[test]
    fn a_screenshot_does_not_change_when_the_gpu_draws_on() {
        let (mut sink, screen) = headless();
        sink.configure(Some(MODE));
        present(&mut sink, 1);
        let surface = screen.screen.lock().expect("no panic").lit.clone();
        let frame = surface.expect("on").frame().expect("memory");
        present(&mut sink, 2);
        assert!(frame.bytes().iter().all(|byte| *byte == 1));
    }

    #[test]
    fn the_last_picture_outlives_a_scanout_that_is_switched_off_on_the_way_out() {
        let (mut sink, screen) = headless();
        sink.configure(Some(MODE));
        present(&mut sink, 5);
        sink.configure(None);
        // A driver may say it twice.
        sink.configure(None);
        assert_eq!(screen.capture(), Err(CaptureError::Off));
        let last = screen.capture_last().expect("there was a picture");
        assert_eq!(last.pixel(0, 0), Some([5; 3]));
        // A new mode is a new picture.
        sink.configure(Some(MODE));
        let black = screen.capture_last().expect("on");
        assert_eq!(black.pixel(0, 0), Some([0; 3]));
    }
}

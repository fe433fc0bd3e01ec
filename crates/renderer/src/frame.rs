// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between the GPU and whatever shows its pictures: a window, a VNC server, a screenshot.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use crate::format::PixelFormat;
use crate::geometry::{Rect, Size};
use crate::pixels::PixelBuffer;

/// Shape of a scanout's frame: rows from the top, `size.width * 4` bytes each, without padding between rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameMode {
    /// Size in pixels.
    pub size: Size,
    /// Order of the bytes of a pixel.
    pub format: PixelFormat,
}

/// A cursor's picture: 64 x 64 pixels (virtio 1.4 fixes the size), `64 * 64 * 4` bytes from the top row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorImage {
    /// The pixels.
    pub pixels: Arc<[u8]>,
    /// Order of the bytes of a pixel; formats with alpha are blended over the frame.
    pub format: PixelFormat,
    /// The pixel of the image that lies on the cursor's position.
    pub hot_x: u32,
    /// The pixel of the image that lies on the cursor's position.
    pub hot_y: u32,
}

/// One scanout's screen. The GPU writes only what changed, then presents it.
///
/// Calls come from one thread at a time. A sink must not block: it is called while the VM's time slice runs.
pub trait FrameSink: Debug + Send {
    /// From now on the scanout shows frames of this shape, black at first; `None`: it is off.
    fn configure(&mut self, mode: Option<FrameMode>);

    /// Bytes of frames that the sink goes on holding while the scanout is off, at most those of the last frame, until it is
    /// configured again: the guest chose their size, so they stay on its VM's account. Asked after `configure(None)`.
    fn kept_while_off(&self) -> u64 {
        0
    }

    /// The frame to draw changes into: exactly the bytes of the last presented frame of the configured shape. `None`
    /// while the scanout is off. The frame counts as in progress until [`FrameSink::present_frame`].
    fn alloc_frame(&mut self) -> Option<&mut [u8]>;

    /// The same frame in a buffer that the GPU may exchange, for sinks that keep their picture in a [`PixelBuffer`] of
    /// `size.width * size.height * 4` bytes. The GPU then hands whole frames over instead of copying them, and draws
    /// long changes elsewhere first: whoever takes the lock always finds a complete frame, the one presented last. A
    /// reader holds it only for long enough to [flip](PixelBuffer::flip_into) the frame into a buffer of its own; then
    /// it can take its time. `None` (the default, and while the scanout is off): the GPU calls
    /// [`FrameSink::alloc_frame`] instead, otherwise never.
    fn frame_buffer(&self) -> Option<&Mutex<PixelBuffer>> {
        None
    }

    /// The frame is complete; only pixels inside `damage` have changed since the last one.
    fn present_frame(&mut self, damage: Rect);

    /// The cursor has this picture from now on; `None`: it is hidden.
    fn set_cursor(&mut self, image: Option<CursorImage>);

    /// The cursor's hot spot is at this pixel of the scanout; it may lie outside of it.
    fn move_cursor(&mut self, x: u32, y: u32);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The picture of a cursor, copied out of an image or blob when the guest sets it.

use std::sync::Arc;

use thiserror::Error;

use crate::backing::{Backing, OutOfRange};
use crate::format::{BYTES_PER_PIXEL, PixelFormat};
use crate::frame::CursorImage;
use crate::geometry::Size;
use crate::image::Image;

/// Size of every cursor (virtio 1.4, section 5.7.6.10).
pub const CURSOR_SIZE: Size = Size {
    width: 64,
    height: 64,
};

/// Bytes of a cursor's picture.
pub const CURSOR_BYTES: usize = 64 * 64 * BYTES_PER_PIXEL;

/// Why there is no cursor in an allocation.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CursorError {
    /// The image is not 64 x 64 pixels.
    #[error("a cursor of {0:?} is not 64 x 64")]
    Size(Size),
    /// The blob is shorter than 64 x 64 pixels.
    #[error(transparent)]
    TooShort(#[from] OutOfRange),
}

impl CursorImage {
    /// The picture in a 64 x 64 image.
    ///
    /// # Errors
    /// [`CursorError::Size`].
    pub fn from_image(image: &Image, hot_x: u32, hot_y: u32) -> Result<Self, CursorError> {
        if image.size() != CURSOR_SIZE {
            return Err(CursorError::Size(image.size()));
        }
        Ok(Self {
            pixels: Arc::from(image.pixels().bytes()),
            format: image.format(),
            hot_x,
            hot_y,
        })
    }

    /// The picture in the first `64 * 64 * 4` bytes of a blob. A blob has no format of its own; Linux draws cursors
    /// as [`PixelFormat::B8G8R8A8`].
    ///
    /// # Errors
    /// [`CursorError::TooShort`].
    pub fn from_blob(blob: &Backing, hot_x: u32, hot_y: u32) -> Result<Self, CursorError> {
        let mut pixels = vec![0; CURSOR_BYTES];
        blob.read(0, &mut pixels)?;
        Ok(Self {
            pixels: Arc::from(pixels),
            format: PixelFormat::B8G8R8A8,
            hot_x,
            hot_y,
        })
    }
}

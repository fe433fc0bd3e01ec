// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Images in host memory, and surfaces: how the pixels of a picture lie in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use thiserror::Error;

use crate::format::{PIXEL_BYTES, PixelFormat};
use crate::geometry::{Rect, Size};
use crate::pixels::{OutOfMemory, PixelBuffer};

/// Why there is no such image.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// It has no pixels.
    #[error("an image of {0:?} has no pixels")]
    Empty(Size),
    /// Its size in bytes is not a number that this host can address, or a row is longer than `u32::MAX` bytes.
    #[error("an image of {0:?} is too large")]
    TooLarge(Size),
    /// The host has no memory for it.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// A picture in host memory: rows from the top, `width * 4` bytes each, without padding. All zero at first.
#[derive(Debug)]
pub struct Image {
    size: Size,
    format: PixelFormat,
    pixels: Mutex<PixelBuffer>,
}

impl Image {
    /// Bytes of host memory that an image of this size takes: what is accounted is what is allocated.
    ///
    /// # Errors
    /// [`ImageError::Empty`] and [`ImageError::TooLarge`].
    pub fn memory_for(size: Size) -> Result<u64, ImageError> {
        if size.width == 0 || size.height == 0 {
            return Err(ImageError::Empty(size));
        }
        let too_large = ImageError::TooLarge(size);
        let stride = size.width.checked_mul(PIXEL_BYTES).ok_or(too_large)?;
        let bytes = u64::from(stride) * u64::from(size.height);
        isize::try_from(bytes).map_err(|_| too_large)?;
        Ok(bytes)
    }

    /// A zeroed image.
    ///
    /// # Errors
    /// [`ImageError`]; the caller has checked the memory limit with [`Image::memory_for`] before.
    pub fn new(size: Size, format: PixelFormat) -> Result<Self, ImageError> {
        let bytes = Self::memory_for(size)?;
        let len = usize::try_from(bytes).map_err(|_| ImageError::TooLarge(size))?;
        Ok(Self {
            size,
            format,
            pixels: Mutex::new(PixelBuffer::zeroed(len)?),
        })
    }

    /// Pixels.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Order of the bytes of a pixel.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// All of the image as a surface.
    #[must_use]
    pub fn surface(&self) -> Surface {
        Surface::packed(self.size, self.format)
    }

    /// A copy of the pixels, for debugging and tests.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.pixels().bytes().to_vec()
    }

    pub(crate) fn pixels(&self) -> MutexGuard<'_, PixelBuffer> {
        self.pixels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a surface does not fit the memory that it is said to lie in.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SurfaceError {
    /// It has no pixels.
    #[error("a surface of {0:?} has no pixels")]
    Empty(Size),
    /// A row is longer than the distance between rows.
    #[error("rows of {width} pixels do not fit a stride of {stride} bytes")]
    Stride {
        /// Pixels in a row.
        width: u32,
        /// Bytes between rows.
        stride: u32,
    },
    /// It ends behind the end of the memory.
    #[error("the surface ends at byte {end} of {available}")]
    OutOfBounds {
        /// First byte behind the surface.
        end: u64,
        /// Bytes that there are.
        available: u64,
    },
}

/// How the pixels of a picture lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Pixels.
    pub size: Size,
    /// Order of the bytes of a pixel.
    pub format: PixelFormat,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Where the first row starts, in bytes.
    pub offset: u32,
}

impl Surface {
    /// Rows without padding, from the first byte on. The width is that of an image or screen: a row's bytes fit a `u32`.
    pub(crate) fn packed(size: Size, format: PixelFormat) -> Self {
        Self {
            size,
            format,
            stride: size.width.saturating_mul(PIXEL_BYTES),
            offset: 0,
        }
    }

    /// Whether the surface lies inside `available` bytes. The last row needs its pixels only, not its padding.
    ///
    /// # Errors
    /// [`SurfaceError`].
    pub fn check(&self, available: u64) -> Result<(), SurfaceError> {
        if self.size.width == 0 || self.size.height == 0 {
            return Err(SurfaceError::Empty(self.size));
        }
        let row = u64::from(self.size.width) * u64::from(PIXEL_BYTES);
        if row > u64::from(self.stride) {
            return Err(SurfaceError::Stride {
                width: self.size.width,
                stride: self.stride,
            });
        }
        // Less than 2^32 + (2^32 - 2) * (2^32 - 1) + 2^32, which is less than 2^64.
        let end =
            u64::from(self.offset) + u64::from(self.size.height - 1) * u64::from(self.stride) + row;
        if end > available {
            return Err(SurfaceError::OutOfBounds { end, available });
        }
        Ok(())
    }

    /// Where a pixel inside the surface starts, in bytes.
    pub(crate) fn byte_of(&self, rect: &Rect) -> u64 {
        u64::from(self.offset)
            + u64::from(rect.y) * u64::from(self.stride)
            + u64::from(rect.x) * u64::from(PIXEL_BYTES)
    }
}

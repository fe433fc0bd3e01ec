// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The eight 32-bit pixel formats of virtio-gpu 2D resources, named by the order of their bytes in memory.

/// Bytes in a pixel of every format.
pub const BYTES_PER_PIXEL: usize = PIXEL_BYTES as usize;

/// The same, for sums with widths and strides.
pub(crate) const PIXEL_BYTES: u32 = 4;

/// Order of the four bytes of a pixel in memory, lowest address first. `X` is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PixelFormat {
    /// Blue, green, red, alpha.
    B8G8R8A8,
    /// Blue, green, red, padding.
    B8G8R8X8,
    /// Alpha, red, green, blue.
    A8R8G8B8,
    /// Padding, red, green, blue.
    X8R8G8B8,
    /// Red, green, blue, alpha.
    R8G8B8A8,
    /// Padding, blue, green, red.
    X8B8G8R8,
    /// Alpha, blue, green, red.
    A8B8G8R8,
    /// Red, green, blue, padding.
    R8G8B8X8,
}

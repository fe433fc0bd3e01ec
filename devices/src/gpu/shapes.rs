// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rectangles, formats and surfaces of the wire as the driver's, and where their bytes end.

use rondo_adapter::ddi::Surface;
use rondo_protocol::{BlobFramebuffer, ErrorCode, Format};
use rondo_renderer::format::PixelFormat;
use rondo_renderer::geometry::{Rect, Size};

/// Bytes of a pixel of every format.
pub(crate) const PIXEL: u64 = Format::BYTES_PER_PIXEL as u64;

/// The renderer's rectangle.
pub(crate) fn local(rect: rondo_protocol::Rect) -> Rect {
    Rect {
        x: rect.x,
        y: rect.y,
        width: rect.width,
        height: rect.height,
    }
}

/// Where a rectangle's last row ends, if its first one starts at `offset` and rows are `stride` bytes apart.
pub(crate) fn end_of(rect: Rect, stride: u64, offset: u64) -> Option<u64> {
    let rows_between = u64::from(rect.height).checked_sub(1)?;
    rows_between
        .checked_mul(stride)?
        .checked_add(u64::from(rect.width).checked_mul(PIXEL)?)?
        .checked_add(offset)
}

/// The first plane of a blob as a surface that lies wholly inside the blob's `size` bytes.
pub(crate) fn blob_surface(source: &BlobFramebuffer, size: u64) -> Result<Surface, ErrorCode> {
    let [stride, ..] = source.strides;
    let [offset, ..] = source.offsets;
    let whole = Size {
        width: source.width,
        height: source.height,
    };
    let row = u64::from(whole.width).saturating_mul(PIXEL);
    let inside = end_of(Rect::whole(whole), u64::from(stride), u64::from(offset))
        .is_some_and(|end| end <= size);
    if u64::from(stride) < row || !inside {
        return Err(ErrorCode::InvalidParameter);
    }
    Ok(Surface {
        size: whole,
        format: pixel_format(source.format),
        stride,
        offset,
    })
}

/// The renderer's name of a format.
pub(crate) fn pixel_format(format: Format) -> PixelFormat {
    match format {
        Format::B8G8R8A8 => PixelFormat::B8G8R8A8,
        Format::B8G8R8X8 => PixelFormat::B8G8R8X8,
        Format::A8R8G8B8 => PixelFormat::A8R8G8B8,
        Format::X8R8G8B8 => PixelFormat::X8R8G8B8,
        Format::R8G8B8A8 => PixelFormat::R8G8B8A8,
        Format::X8B8G8R8 => PixelFormat::X8B8G8R8,
        Format::A8B8G8R8 => PixelFormat::A8B8G8R8,
        Format::R8G8B8X8 => PixelFormat::R8G8B8X8,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A surface shown on scanout 0: its resource (2D or guest blob), its backing, and the commands that bring changes to the display. And the cursor.
#![allow(unsafe_code)]

use rondo_protocol::{
    BlobFlags, BlobFramebuffer, BlobMem, Command, Feature, Format, MemEntries, MoveCursor,
    RawMemEntry, Request, ResourceAttachBacking, ResourceCreate2d, ResourceCreateBlob,
    ResourceFlush, ResourceId, ScanoutId, ScanoutSource, SetScanout, SetScanoutBlob,
    TransferToHost2d, UpdateCursor, limits,
};

use crate::command_line::{Backing, Options};
use crate::gpu::{Gpu, LongRequest};
use crate::gpu_error::GpuError;
use crate::memory::{FreeMemory, Pages};
use crate::surface::{Rect, Surface};

/// Bytes of a long request apart from its entries; the commands' fixed parts are shorter.
const FIXED_PART: u64 = limits::MAX_FIXED_LEN as u64;

const fn resource_id(number: u32) -> ResourceId {
    match ResourceId::new(number) {
        Some(id) => id,
        None => unreachable!(),
    }
}

const FRAME: ResourceId = resource_id(1);
const CURSOR: ResourceId = resource_id(2);
const SCANOUT: ScanoutId = match ScanoutId::new(0) {
    Some(id) => id,
    None => unreachable!(),
};

/// The frame on scanout 0.
#[derive(Debug)]
pub struct Screen {
    /// The pixels.
    pub surface: Surface,
    blob: bool,
}

impl Screen {
    /// Makes the resource, gives it its backing and puts it on scanout 0. Nothing may be in flight.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn new(
        gpu: &mut Gpu,
        options: &Options<'_>,
        memory: &mut FreeMemory,
    ) -> Result<Self, GpuError> {
        let (width, height) = match (options.width, options.height) {
            (Some(width), Some(height)) => (width, height),
            (width, height) => {
                let mode = gpu.display_info()?.modes[SCANOUT.index()];
                if !mode.enabled {
                    return Err(GpuError::NoDisplay);
                }
                (
                    width.unwrap_or(mode.rect.width),
                    height.unwrap_or(mode.rect.height),
                )
            }
        };
        if width == 0 || height == 0 {
            return Err(GpuError::NoDisplay);
        }
        if options.blob && !Feature::ResourceBlob.is_in(gpu.features()) {
            return Err(GpuError::NotOffered(Feature::ResourceBlob));
        }
        let surface = Surface::new(memory, width, height, options.backing)?;
        let entries = entries_of(&surface, memory)?;
        let rect = surface.whole();
        if options.blob {
            let blob = ResourceCreateBlob {
                resource: FRAME,
                mem: BlobMem::Guest,
                flags: BlobFlags::SHAREABLE,
                blob_id: 0,
                size: surface.len(),
                entries,
            };
            call_with_entries(gpu, Command::ResourceCreateBlob(blob), memory)?;
            let stride = surface.stride() as u32;
            let source = BlobFramebuffer {
                resource: FRAME,
                rect,
                width,
                height,
                format: Format::B8G8R8X8,
                strides: [stride, 0, 0, 0],
                offsets: [0; limits::MAX_PLANES],
            };
            gpu.call(
                Command::SetScanoutBlob(SetScanoutBlob {
                    scanout: SCANOUT,
                    source: Some(source),
                }),
                |_| (),
            )?;
        } else {
            let create = ResourceCreate2d {
                resource: FRAME,
                format: Format::B8G8R8X8,
                width,
                height,
            };
            gpu.call(Command::ResourceCreate2d(create), |_| ())?;
            call_with_entries(
                gpu,
                Command::ResourceAttachBacking(ResourceAttachBacking {
                    resource: FRAME,
                    entries,
                }),
                memory,
            )?;
            let source = ScanoutSource {
                resource: FRAME,
                rect,
            };
            gpu.call(
                Command::SetScanout(SetScanout {
                    scanout: SCANOUT,
                    source: Some(source),
                }),
                |_| (),
            )?;
        }
        Ok(Self {
            surface,
            blob: options.blob,
        })
    }

    /// Submits what brings these rectangles to the display: a transfer (not for a blob) and a flush each, the last flush fenced with `fence`. Without any
    /// rectangle the fence rides on a flush of one pixel.
    ///
    /// # Errors
    /// [`GpuError`].
    pub fn present(&self, gpu: &mut Gpu, damage: &[Rect], fence: u64) -> Result<(), GpuError> {
        let pixel = [Rect::of_size(1, 1)];
        let last = damage.iter().rposition(|rect| !rect.is_empty());
        let damage = last.map_or(pixel.as_slice(), |last| {
            damage.get(..=last).unwrap_or_default()
        });
        let mut left = damage.iter().filter(|rect| !rect.is_empty()).peekable();
        while let Some(&rect) = left.next() {
            if !self.blob {
                let offset = self.surface.offset_of(&rect);
                gpu.submit(
                    Command::TransferToHost2d(TransferToHost2d {
                        resource: FRAME,
                        rect,
                        offset,
                    }),
                    None,
                )?;
            }
            let fence = left.peek().is_none().then_some(fence);
            gpu.submit(
                Command::ResourceFlush(ResourceFlush {
                    resource: FRAME,
                    rect,
                }),
                fence,
            )?;
        }
        Ok(())
    }
}

/// Lists a surface's pieces in memory of its own.
fn entries_of(surface: &Surface, memory: &mut FreeMemory) -> Result<MemEntries<'static>, GpuError> {
    let count = surface.pieces().count();
    let pages = memory.take((count * size_of::<RawMemEntry>()) as u64)?;
    let start = core::ptr::with_exposed_provenance_mut::<RawMemEntry>(pages.address as usize);
    for (i, (address, len)) in surface.pieces().enumerate() {
        // SAFETY: `count` entries fit into the pages, which were just handed out to this function alone.
        unsafe { start.add(i).write(RawMemEntry::new(address, len)) };
    }
    // SAFETY: all `count` entries were just written, and nobody writes to these pages again.
    Ok(MemEntries::new(unsafe {
        core::slice::from_raw_parts(start, count)
    }))
}

/// Encodes a command with its entries in memory of its own, and waits for its success.
fn call_with_entries(
    gpu: &mut Gpu,
    command: Command<'_>,
    memory: &mut FreeMemory,
) -> Result<(), GpuError> {
    let request = Request::new(command);
    let Pages { address, len } = memory.take(FIXED_PART + request.encoded_len() as u64)?;
    let start = core::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the pages were just handed out to this function alone; the device reads them only once the borrow has ended.
    let buffer = unsafe { core::slice::from_raw_parts_mut(start, len as usize) };
    let len = request
        .encode(buffer)
        .map_err(|short| crate::memory::OutOfMemory {
            wanted: short.needed as u64,
            left: len,
        })?;
    gpu.call_long(LongRequest {
        address,
        len: len as u32,
        name: command.name(),
    })
}

/// Shows a cursor: an arrow in the given colour, hot spot at its tip. Nothing may be in flight.
///
/// # Errors
/// [`GpuError`].
pub fn show_cursor(gpu: &mut Gpu, color: u32, memory: &mut FreeMemory) -> Result<(), GpuError> {
    const SIZE: u32 = limits::CURSOR_SIZE;
    let mut image = Surface::new(memory, SIZE, SIZE, Backing::Contiguous)?;
    image.paint(&image.whole(), |x, y| cursor_pixel(x, y, color));
    let entries = entries_of(&image, memory)?;
    let create = ResourceCreate2d {
        resource: CURSOR,
        format: Format::B8G8R8A8,
        width: SIZE,
        height: SIZE,
    };
    gpu.call(Command::ResourceCreate2d(create), |_| ())?;
    call_with_entries(
        gpu,
        Command::ResourceAttachBacking(ResourceAttachBacking {
            resource: CURSOR,
            entries,
        }),
        memory,
    )?;
    let rect = image.whole();
    gpu.call(
        Command::TransferToHost2d(TransferToHost2d {
            resource: CURSOR,
            rect,
            offset: 0,
        }),
        |_| (),
    )?;
    gpu.cursor_command(Command::UpdateCursor(UpdateCursor {
        scanout: SCANOUT,
        x: 0,
        y: 0,
        resource: Some(CURSOR),
        hot_x: 0,
        hot_y: 0,
    }))
}

/// The pixel of the cursor's image, 0xAARRGGBB: an arrow whose tip is the upper left corner, white inside a border of the colour.
#[must_use]
pub const fn cursor_pixel(x: u32, y: u32, color: u32) -> u32 {
    const LENGTH: u32 = 40;
    const BORDER: u32 = 4;
    if x + y >= LENGTH || x > 2 * y || y > 2 * x {
        0
    } else if x + y + BORDER >= LENGTH || x + BORDER > 2 * y || y + BORDER > 2 * x {
        0xff00_0000 | color
    } else {
        0xffff_ffff
    }
}

/// Where the cursor is at a frame: along the diagonal and round again.
#[must_use]
pub fn cursor_position(width: u32, height: u32, frame: u64) -> (i32, i32) {
    let at = |size: u32, step: u64| (frame.wrapping_mul(step) % u64::from(size.max(1))) as i32;
    (at(width, 5), at(height, 3))
}

/// Moves the cursor to its place at `frame`.
///
/// # Errors
/// [`GpuError`].
pub fn move_cursor(gpu: &mut Gpu, screen: &Screen, frame: u64) -> Result<(), GpuError> {
    let (x, y) = cursor_position(screen.surface.width(), screen.surface.height(), frame);
    gpu.cursor_command(Command::MoveCursor(MoveCursor {
        scanout: SCANOUT,
        x,
        y,
    }))
}

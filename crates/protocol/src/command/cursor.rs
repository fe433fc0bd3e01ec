// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Arguments of the two cursor commands, which share one structure (`struct virtio_gpu_update_cursor`).
//!
//! Positions are `le32` in the specification. Drivers that let the cursor leave the screen on the left or at the top write negative
//! numbers in two's complement, so they are read as signed here.

use crate::command::scanout::scanout;
use crate::error::DecodeErrorKind;
use crate::id::{ResourceId, ScanoutId};
use crate::wire;

/// UPDATE_CURSOR: a new image at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UpdateCursor {
    /// The scanout.
    pub scanout: ScanoutId,
    /// Column of the image's left edge.
    pub x: i32,
    /// Row of the image's upper edge.
    pub y: i32,
    /// The image, a resource of 64x64 pixels; `None` hides the cursor.
    pub resource: Option<ResourceId>,
    /// Column of the pixel in the image that points.
    pub hot_x: u32,
    /// Row of the pixel in the image that points.
    pub hot_y: u32,
}

impl UpdateCursor {
    pub(crate) fn parse(raw: &wire::UpdateCursor) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            scanout: scanout(raw.pos.scanout_id)?,
            x: raw.pos.x.get(),
            y: raw.pos.y.get(),
            resource: ResourceId::new(raw.resource_id.get()),
            hot_x: raw.hot_x.get(),
            hot_y: raw.hot_y.get(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::UpdateCursor {
        wire::UpdateCursor {
            pos: wire::CursorPos {
                scanout_id: self.scanout.get().into(),
                x: self.x.into(),
                y: self.y.into(),
                padding: 0.into(),
            },
            resource_id: ResourceId::wire(self.resource).into(),
            hot_x: self.hot_x.into(),
            hot_y: self.hot_y.into(),
            padding: 0.into(),
        }
    }
}

/// MOVE_CURSOR: a new position. The structure's other fields are ignored, as the specification says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MoveCursor {
    /// The scanout.
    pub scanout: ScanoutId,
    /// Column of the image's left edge.
    pub x: i32,
    /// Row of the image's upper edge.
    pub y: i32,
}

impl MoveCursor {
    pub(crate) fn parse(raw: &wire::UpdateCursor) -> Result<Self, DecodeErrorKind> {
        UpdateCursor::parse(raw).map(|UpdateCursor { scanout, x, y, .. }| Self { scanout, x, y })
    }

    pub(crate) fn to_wire(self) -> wire::UpdateCursor {
        let Self { scanout, x, y } = self;
        UpdateCursor {
            scanout,
            x,
            y,
            resource: None,
            hot_x: 0,
            hot_y: 0,
        }
        .to_wire()
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Arguments of the commands on 2D resources and their backing.

use crate::command::MemEntries;
use crate::error::DecodeErrorKind;
use crate::format::Format;
use crate::geometry::Rect;
use crate::id::ResourceId;
use crate::wire;

/// A resource id that must be there.
pub(crate) fn resource(id: zerocopy::little_endian::U32) -> Result<ResourceId, DecodeErrorKind> {
    ResourceId::new(id.get()).ok_or(DecodeErrorKind::ZeroResourceId)
}

/// A format that must be one of the eight.
pub(crate) fn format(number: zerocopy::little_endian::U32) -> Result<Format, DecodeErrorKind> {
    Format::from_wire(number.get()).ok_or_else(|| DecodeErrorKind::BadFormat {
        format: number.get(),
    })
}

/// RESOURCE_CREATE_2D: `struct virtio_gpu_resource_create_2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceCreate2d {
    /// The new resource.
    pub resource: ResourceId,
    /// Its pixel format.
    pub format: Format,
    /// Columns; not bounded here.
    pub width: u32,
    /// Rows; not bounded here.
    pub height: u32,
}

impl ResourceCreate2d {
    pub(crate) fn parse(raw: &wire::ResourceCreate2d) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            resource: resource(raw.resource_id)?,
            format: format(raw.format)?,
            width: raw.width.get(),
            height: raw.height.get(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::ResourceCreate2d {
        wire::ResourceCreate2d {
            resource_id: self.resource.get().into(),
            format: self.format.get().into(),
            width: self.width.into(),
            height: self.height.into(),
        }
    }
}

/// RESOURCE_FLUSH: `struct virtio_gpu_resource_flush`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceFlush {
    /// The resource.
    pub resource: ResourceId,
    /// The part that changed, in the resource's pixels.
    pub rect: Rect,
}

impl ResourceFlush {
    pub(crate) fn parse(raw: &wire::ResourceFlush) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            resource: resource(raw.resource_id)?,
            rect: (&raw.r).into(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::ResourceFlush {
        wire::ResourceFlush {
            r: self.rect.into(),
            resource_id: self.resource.get().into(),
            padding: 0.into(),
        }
    }
}

/// TRANSFER_TO_HOST_2D: `struct virtio_gpu_transfer_to_host_2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransferToHost2d {
    /// The resource.
    pub resource: ResourceId,
    /// The part to copy, in the resource's pixels.
    pub rect: Rect,
    /// Byte in the backing where the first pixel of `rect` is. Rows follow at the distance of the resource's width.
    pub offset: u64,
}

impl TransferToHost2d {
    pub(crate) fn parse(raw: &wire::TransferToHost2d) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            resource: resource(raw.resource_id)?,
            rect: (&raw.r).into(),
            offset: raw.offset.get(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::TransferToHost2d {
        wire::TransferToHost2d {
            r: self.rect.into(),
            offset: self.offset.into(),
            resource_id: self.resource.get().into(),
            padding: 0.into(),
        }
    }
}

/// RESOURCE_ATTACH_BACKING: `struct virtio_gpu_resource_attach_backing` and its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceAttachBacking<'a> {
    /// The resource.
    pub resource: ResourceId,
    /// The pieces of its backing, in order.
    pub entries: MemEntries<'a>,
}

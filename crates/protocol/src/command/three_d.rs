// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Arguments of the commands on 3D resources.

use crate::command::resource::resource;
use crate::error::DecodeErrorKind;
use crate::geometry::Box3;
use crate::id::ResourceId;
use crate::wire;

/// `VIRTIO_GPU_RESOURCE_FLAG_Y_0_TOP`: row 0 of the image is the upper one.
pub const RESOURCE_FLAG_Y_0_TOP: u32 = 1;

/// RESOURCE_CREATE_3D: `struct virtio_gpu_resource_create_3d`. The numbers are Gallium's (virgl); their meaning is the renderer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceCreate3d {
    /// The new resource.
    pub resource: ResourceId,
    /// Kind of texture or buffer.
    pub target: u32,
    /// virgl's format number: a larger table than [`Format`](crate::Format).
    pub format: u32,
    /// What it may be bound as.
    pub bind: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Slices.
    pub depth: u32,
    /// Layers.
    pub array_size: u32,
    /// Last mipmap level.
    pub last_level: u32,
    /// Samples per texel.
    pub nr_samples: u32,
    /// [`RESOURCE_FLAG_Y_0_TOP`] and others.
    pub flags: u32,
}

impl ResourceCreate3d {
    pub(crate) fn parse(raw: &wire::ResourceCreate3d) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            resource: resource(raw.resource_id)?,
            target: raw.target.get(),
            format: raw.format.get(),
            bind: raw.bind.get(),
            width: raw.width.get(),
            height: raw.height.get(),
            depth: raw.depth.get(),
            array_size: raw.array_size.get(),
            last_level: raw.last_level.get(),
            nr_samples: raw.nr_samples.get(),
            flags: raw.flags.get(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::ResourceCreate3d {
        wire::ResourceCreate3d {
            resource_id: self.resource.get().into(),
            target: self.target.into(),
            format: self.format.into(),
            bind: self.bind.into(),
            width: self.width.into(),
            height: self.height.into(),
            depth: self.depth.into(),
            array_size: self.array_size.into(),
            last_level: self.last_level.into(),
            nr_samples: self.nr_samples.into(),
            flags: self.flags.into(),
            padding: 0.into(),
        }
    }
}

/// TRANSFER_TO_HOST_3D and TRANSFER_FROM_HOST_3D: `struct virtio_gpu_transfer_host_3d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransferHost3d {
    /// The resource.
    pub resource: ResourceId,
    /// The part to copy.
    pub part: Box3,
    /// Byte in the backing where the first texel is.
    pub offset: u64,
    /// Mipmap level.
    pub level: u32,
    /// Bytes from row to row in the backing; 0 is the resource's own.
    pub stride: u32,
    /// Bytes from layer to layer in the backing; 0 is the resource's own.
    pub layer_stride: u32,
}

impl TransferHost3d {
    pub(crate) fn parse(raw: &wire::TransferHost3d) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            resource: resource(raw.resource_id)?,
            part: (&raw.box_).into(),
            offset: raw.offset.get(),
            level: raw.level.get(),
            stride: raw.stride.get(),
            layer_stride: raw.layer_stride.get(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::TransferHost3d {
        wire::TransferHost3d {
            box_: self.part.into(),
            offset: self.offset.into(),
            resource_id: self.resource.get().into(),
            level: self.level.into(),
            stride: self.stride.into(),
            layer_stride: self.layer_stride.into(),
        }
    }
}

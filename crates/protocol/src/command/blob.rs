// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Arguments of the commands that create and map blob resources.

use crate::command::MemEntries;
use crate::command::resource::resource;
use crate::error::DecodeErrorKind;
use crate::id::ResourceId;
use crate::wire;

/// Where the memory of a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum BlobMem {
    /// In guest memory only. Needs no 3D.
    Guest = 1,
    /// In host memory only, created by the context's object `blob_id`.
    Host3d = 2,
    /// In host memory, with guest memory as its shadow.
    Host3dGuest = 3,
}

impl BlobMem {
    /// The kind with this number on the wire.
    #[must_use]
    pub const fn from_wire(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Guest,
            2 => Self::Host3d,
            3 => Self::Host3dGuest,
            _ => return None,
        })
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self as u32
    }
}

/// What a blob will be used for (`VIRTIO_GPU_BLOB_FLAG_USE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BlobFlags(u32);

impl BlobFlags {
    /// No use declared.
    pub const EMPTY: Self = Self(0);
    /// The driver will map it.
    pub const MAPPABLE: Self = Self(1);
    /// Driver instances will share it.
    pub const SHAREABLE: Self = Self(2);
    /// Other virtio devices will use it.
    pub const CROSS_DEVICE: Self = Self(4);

    /// The flags with these bits on the wire; `None` if there are bits that the specification does not define.
    #[must_use]
    pub const fn from_wire(bits: u32) -> Option<Self> {
        if bits & !7 == 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The bits on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether all of `other` is in here.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// RESOURCE_CREATE_BLOB: `struct virtio_gpu_resource_create_blob` and its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCreateBlob<'a> {
    /// The new resource.
    pub resource: ResourceId,
    /// Where its memory is.
    pub mem: BlobMem,
    /// What it will be used for.
    pub flags: BlobFlags,
    /// The context's object that host memory comes from; 0 for guest blobs.
    pub blob_id: u64,
    /// Bytes; not bounded here.
    pub size: u64,
    /// The pieces of guest memory; none where the driver attaches a backing later.
    pub entries: MemEntries<'a>,
}

impl<'a> ResourceCreateBlob<'a> {
    pub(crate) fn parse(
        raw: &wire::ResourceCreateBlob,
        entries: MemEntries<'a>,
    ) -> Result<Self, DecodeErrorKind> {
        let (mem, flags) = (raw.blob_mem.get(), raw.blob_flags.get());
        Ok(Self {
            resource: resource(raw.resource_id)?,
            mem: BlobMem::from_wire(mem).ok_or(DecodeErrorKind::BadBlobMem { blob_mem: mem })?,
            flags: BlobFlags::from_wire(flags).ok_or(DecodeErrorKind::BadBlobFlags { flags })?,
            blob_id: raw.blob_id.get(),
            size: raw.size.get(),
            entries,
        })
    }

    pub(crate) fn to_wire(self, nr_entries: u32) -> wire::ResourceCreateBlob {
        wire::ResourceCreateBlob {
            resource_id: self.resource.get().into(),
            blob_mem: self.mem.get().into(),
            blob_flags: self.flags.get().into(),
            nr_entries: nr_entries.into(),
            blob_id: self.blob_id.into(),
            size: self.size.into(),
        }
    }
}

/// RESOURCE_MAP_BLOB: `struct virtio_gpu_resource_map_blob`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResourceMapBlob {
    /// The blob resource.
    pub resource: ResourceId,
    /// Where to map it: byte of the host-visible memory region.
    pub offset: u64,
}

impl ResourceMapBlob {
    pub(crate) fn parse(raw: &wire::ResourceMapBlob) -> Result<Self, DecodeErrorKind> {
        Ok(Self {
            resource: resource(raw.resource_id)?,
            offset: raw.offset.get(),
        })
    }

    pub(crate) fn to_wire(self) -> wire::ResourceMapBlob {
        wire::ResourceMapBlob {
            resource_id: self.resource.get().into(),
            padding: 0.into(),
            offset: self.offset.into(),
        }
    }
}

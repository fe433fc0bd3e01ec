// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Arguments of the commands that set what a scanout shows.

use crate::command::resource::format;
use crate::error::DecodeErrorKind;
use crate::format::Format;
use crate::geometry::Rect;
use crate::id::{ResourceId, ScanoutId};
use crate::limits::MAX_PLANES;
use crate::wire;

/// A scanout id that must be below 16.
pub(crate) fn scanout(id: zerocopy::little_endian::U32) -> Result<ScanoutId, DecodeErrorKind> {
    ScanoutId::new(id.get()).ok_or_else(|| DecodeErrorKind::BadScanoutId { scanout: id.get() })
}

/// What SET_SCANOUT shows: a rectangle of a resource, which must cover it wholly (the device checks).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScanoutSource {
    /// The resource.
    pub resource: ResourceId,
    /// The part to show, in the resource's pixels.
    pub rect: Rect,
}

/// SET_SCANOUT: `struct virtio_gpu_set_scanout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetScanout {
    /// The scanout.
    pub scanout: ScanoutId,
    /// What it shows from now on; `None` disables it (resource 0 on the wire, whose rectangle means nothing and is dropped:
    /// Linux sends zeros in one place and a size in another).
    pub source: Option<ScanoutSource>,
}

impl SetScanout {
    pub(crate) fn parse(raw: &wire::SetScanout) -> Result<Self, DecodeErrorKind> {
        let source = ResourceId::new(raw.resource_id.get()).map(|resource| ScanoutSource {
            resource,
            rect: (&raw.r).into(),
        });
        Ok(Self {
            scanout: scanout(raw.scanout_id)?,
            source,
        })
    }

    pub(crate) fn to_wire(self) -> wire::SetScanout {
        wire::SetScanout {
            r: self
                .source
                .map_or_else(Rect::default, |source| source.rect)
                .into(),
            scanout_id: self.scanout.get().into(),
            resource_id: ResourceId::wire(self.source.map(|source| source.resource)).into(),
        }
    }
}

/// What SET_SCANOUT_BLOB shows, and how the bytes of the blob make an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BlobFramebuffer {
    /// The blob resource.
    pub resource: ResourceId,
    /// The part to show, in pixels of the image.
    pub rect: Rect,
    /// Columns of the image.
    pub width: u32,
    /// Rows of the image.
    pub height: u32,
    /// Pixel format of the image.
    pub format: Format,
    /// Bytes from row to row, by plane. The eight formats have one plane, the first.
    pub strides: [u32; MAX_PLANES],
    /// First byte in the blob, by plane.
    pub offsets: [u32; MAX_PLANES],
}

/// SET_SCANOUT_BLOB: `struct virtio_gpu_set_scanout_blob`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SetScanoutBlob {
    /// The scanout.
    pub scanout: ScanoutId,
    /// What it shows from now on; `None` disables it (resource 0 on the wire; the other fields mean nothing then and are not
    /// checked).
    pub source: Option<BlobFramebuffer>,
}

impl SetScanoutBlob {
    pub(crate) fn parse(raw: &wire::SetScanoutBlob) -> Result<Self, DecodeErrorKind> {
        let scanout = scanout(raw.scanout_id)?;
        let Some(resource) = ResourceId::new(raw.resource_id.get()) else {
            return Ok(Self {
                scanout,
                source: None,
            });
        };
        let source = BlobFramebuffer {
            resource,
            rect: (&raw.r).into(),
            width: raw.width.get(),
            height: raw.height.get(),
            format: format(raw.format)?,
            strides: raw.strides.map(|stride| stride.get()),
            offsets: raw.offsets.map(|offset| offset.get()),
        };
        Ok(Self {
            scanout,
            source: Some(source),
        })
    }

    pub(crate) fn to_wire(self) -> wire::SetScanoutBlob {
        let mut raw = wire::SetScanoutBlob {
            r: Rect::default().into(),
            scanout_id: self.scanout.get().into(),
            resource_id: 0.into(),
            width: 0.into(),
            height: 0.into(),
            format: 0.into(),
            padding: 0.into(),
            strides: [0.into(); MAX_PLANES],
            offsets: [0.into(); MAX_PLANES],
        };
        if let Some(source) = self.source {
            raw.r = source.rect.into();
            raw.resource_id = source.resource.get().into();
            raw.width = source.width.into();
            raw.height = source.height.into();
            raw.format = source.format.get().into();
            raw.strides = source.strides.map(Into::into);
            raw.offsets = source.offsets.map(Into::into);
        }
        raw
    }
}

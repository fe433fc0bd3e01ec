// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The structures as they lie in memory: little-endian, unaligned, every byte pattern valid.
//!
//! Bodies stand here without the header that precedes each of them. Field names are those of the specification. Sizes and offsets
//! are compared with the kernel's header in `layout`.

use zerocopy::little_endian::{I32, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::geometry;
use crate::limits::{DEBUG_NAME_LEN, EDID_MAX_LEN, MAX_PLANES, MAX_SCANOUTS_LEN};

#[cfg(test)]
mod layout;

/// Declares wire structures with the derives they all share.
macro_rules! wire_structs {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
        #[repr(C)]
        pub(crate) struct $name { $(pub(crate) $field: $type),* }
    )*};
}

wire_structs! {
    CtrlHdr { type_: U32, flags: U32, fence_id: U64, ctx_id: U32, ring_idx: u8, padding: [u8; 3] }
    Rect { x: U32, y: U32, width: U32, height: U32 }
    Box3 { x: U32, y: U32, z: U32, w: U32, h: U32, d: U32 }

    /// No body: GET_DISPLAY_INFO, CTX_DESTROY.
    Empty {}
    GetEdid { scanout: U32, padding: U32 }
    ResourceCreate2d { resource_id: U32, format: U32, width: U32, height: U32 }
    /// A resource and padding: RESOURCE_UNREF, RESOURCE_DETACH_BACKING, RESOURCE_ASSIGN_UUID, CTX_ATTACH_RESOURCE,
    /// CTX_DETACH_RESOURCE, RESOURCE_UNMAP_BLOB.
    Resource { resource_id: U32, padding: U32 }
    SetScanout { r: Rect, scanout_id: U32, resource_id: U32 }
    ResourceFlush { r: Rect, resource_id: U32, padding: U32 }
    TransferToHost2d { r: Rect, offset: U64, resource_id: U32, padding: U32 }
    ResourceAttachBacking { resource_id: U32, nr_entries: U32 }
    GetCapsetInfo { capset_index: U32, padding: U32 }
    GetCapset { capset_id: U32, capset_version: U32 }
    ResourceCreateBlob { resource_id: U32, blob_mem: U32, blob_flags: U32, nr_entries: U32, blob_id: U64, size: U64 }
    SetScanoutBlob {
        r: Rect,
        scanout_id: U32,
        resource_id: U32,
        width: U32,
        height: U32,
        format: U32,
        padding: U32,
        strides: [U32; MAX_PLANES],
        offsets: [U32; MAX_PLANES],
    }
    CtxCreate { nlen: U32, context_init: U32, debug_name: [u8; DEBUG_NAME_LEN] }
    ResourceCreate3d {
        resource_id: U32,
        target: U32,
        format: U32,
        bind: U32,
        width: U32,
        height: U32,
        depth: U32,
        array_size: U32,
        last_level: U32,
        nr_samples: U32,
        flags: U32,
        padding: U32,
    }
    TransferHost3d { box_: Box3, offset: U64, resource_id: U32, level: U32, stride: U32, layer_stride: U32 }
    CmdSubmit { size: U32, padding: U32 }
    ResourceMapBlob { resource_id: U32, padding: U32, offset: U64 }
    CursorPos { scanout_id: U32, x: I32, y: I32, padding: U32 }
    UpdateCursor { pos: CursorPos, resource_id: U32, hot_x: U32, hot_y: U32, padding: U32 }

    DisplayOne { r: Rect, enabled: U32, flags: U32 }
    RespDisplayInfo { pmodes: [DisplayOne; MAX_SCANOUTS_LEN] }
    RespCapsetInfo { capset_id: U32, capset_max_version: U32, capset_max_size: U32, padding: U32 }
    RespEdid { size: U32, padding: U32, edid: [u8; EDID_MAX_LEN] }
    RespResourceUuid { uuid: [u8; 16] }
    RespMapInfo { map_info: U32, padding: U32 }

    /// The device configuration; `blob_alignment` is new in virtio 1.4.
    Config { events_read: U32, events_clear: U32, num_scanouts: U32, num_capsets: U32, blob_alignment: U32 }
}

impl From<&Rect> for geometry::Rect {
    fn from(raw: &Rect) -> Self {
        Self::new(raw.x.get(), raw.y.get(), raw.width.get(), raw.height.get())
    }
}

impl From<geometry::Rect> for Rect {
    fn from(rect: geometry::Rect) -> Self {
        Self {
            x: rect.x.into(),
            y: rect.y.into(),
            width: rect.width.into(),
            height: rect.height.into(),
        }
    }
}

impl From<&Box3> for geometry::Box3 {
    fn from(raw: &Box3) -> Self {
        Self {
            x: raw.x.get(),
            y: raw.y.get(),
            z: raw.z.get(),
            width: raw.w.get(),
            height: raw.h.get(),
            depth: raw.d.get(),
        }
    }
}

impl From<geometry::Box3> for Box3 {
    fn from(part: geometry::Box3) -> Self {
        Self {
            x: part.x.into(),
            y: part.y.into(),
            z: part.z.into(),
            w: part.width.into(),
            h: part.height.into(),
            d: part.depth.into(),
        }
    }
}

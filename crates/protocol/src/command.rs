// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every command of the GPU device, as a typed value. Argument structures live in the file of their subject.

mod blob;
mod code;
mod context;
mod cursor;
mod entries;
mod resource;
mod scanout;
mod three_d;

pub use blob::{BlobFlags, BlobMem, ResourceCreateBlob, ResourceMapBlob};
pub use code::{CommandCode, Queue, Variable};
pub use context::{CtxCreate, DebugName, GetCapset};
pub use cursor::{MoveCursor, UpdateCursor};
pub use entries::{MemEntries, MemEntry, RawMemEntry};
pub use resource::{ResourceAttachBacking, ResourceCreate2d, ResourceFlush, TransferToHost2d};
pub use scanout::{BlobFramebuffer, ScanoutSource, SetScanout, SetScanoutBlob};
pub use three_d::{RESOURCE_FLAG_Y_0_TOP, ResourceCreate3d, TransferHost3d};

pub(crate) use resource::resource;
pub(crate) use scanout::scanout;

use crate::id::{ResourceId, ScanoutId};

/// A command with its arguments. The context of the 3D commands is in the request's header.
///
/// virtio 1.4, 5.7.6.8 (controlq), 5.7.6.9 (controlq, 3D) and 5.7.6.10 (cursorq).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command<'a> {
    /// Which scanouts are enabled, where and how large.
    GetDisplayInfo,
    /// Create an image on the host.
    ResourceCreate2d(ResourceCreate2d),
    /// Destroy a resource.
    ResourceUnref {
        /// The resource.
        resource: ResourceId,
    },
    /// Show a part of a resource on a scanout, or disable the scanout.
    SetScanout(SetScanout),
    /// Bring a part of a resource to the scanouts that show it.
    ResourceFlush(ResourceFlush),
    /// Copy from the backing in guest memory to the image on the host.
    TransferToHost2d(TransferToHost2d),
    /// Give a resource its backing in guest memory.
    ResourceAttachBacking(ResourceAttachBacking<'a>),
    /// Take a resource's backing away.
    ResourceDetachBacking {
        /// The resource.
        resource: ResourceId,
    },
    /// Describe one capability set.
    GetCapsetInfo {
        /// Index below the configuration's `num_capsets`.
        index: u32,
    },
    /// Fetch one capability set.
    GetCapset(GetCapset),
    /// Fetch the EDID of a scanout.
    GetEdid {
        /// The scanout.
        scanout: ScanoutId,
    },
    /// Name a resource for export to other virtio devices.
    ResourceAssignUuid {
        /// The resource.
        resource: ResourceId,
    },
    /// Create a blob resource.
    ResourceCreateBlob(ResourceCreateBlob<'a>),
    /// Show a blob resource on a scanout, or disable the scanout.
    SetScanoutBlob(SetScanoutBlob),
    /// Create the context of the header's `ctx_id`.
    CtxCreate(CtxCreate<'a>),
    /// Destroy the context of the header's `ctx_id`.
    CtxDestroy,
    /// Let the header's context use a resource.
    CtxAttachResource {
        /// The resource.
        resource: ResourceId,
    },
    /// Take a resource away from the header's context.
    CtxDetachResource {
        /// The resource.
        resource: ResourceId,
    },
    /// Create a 3D resource.
    ResourceCreate3d(ResourceCreate3d),
    /// Copy from the backing in guest memory to a 3D resource.
    TransferToHost3d(TransferHost3d),
    /// Copy from a 3D resource to the backing in guest memory.
    TransferFromHost3d(TransferHost3d),
    /// Run a command stream in the header's context.
    Submit3d {
        /// The stream, exactly `size` bytes.
        stream: &'a [u8],
    },
    /// Map a host blob into the host-visible memory region.
    ResourceMapBlob(ResourceMapBlob),
    /// Unmap a host blob.
    ResourceUnmapBlob {
        /// The resource.
        resource: ResourceId,
    },
    /// Set the cursor's image and position.
    UpdateCursor(UpdateCursor),
    /// Move the cursor.
    MoveCursor(MoveCursor),
}

impl Command<'_> {
    /// Which command it is.
    #[must_use]
    pub const fn code(&self) -> CommandCode {
        match self {
            Self::GetDisplayInfo => CommandCode::GetDisplayInfo,
            Self::ResourceCreate2d(_) => CommandCode::ResourceCreate2d,
            Self::ResourceUnref { .. } => CommandCode::ResourceUnref,
            Self::SetScanout(_) => CommandCode::SetScanout,
            Self::ResourceFlush(_) => CommandCode::ResourceFlush,
            Self::TransferToHost2d(_) => CommandCode::TransferToHost2d,
            Self::ResourceAttachBacking(_) => CommandCode::ResourceAttachBacking,
            Self::ResourceDetachBacking { .. } => CommandCode::ResourceDetachBacking,
            Self::GetCapsetInfo { .. } => CommandCode::GetCapsetInfo,
            Self::GetCapset(_) => CommandCode::GetCapset,
            Self::GetEdid { .. } => CommandCode::GetEdid,
            Self::ResourceAssignUuid { .. } => CommandCode::ResourceAssignUuid,
            Self::ResourceCreateBlob(_) => CommandCode::ResourceCreateBlob,
            Self::SetScanoutBlob(_) => CommandCode::SetScanoutBlob,
            Self::CtxCreate(_) => CommandCode::CtxCreate,
            Self::CtxDestroy => CommandCode::CtxDestroy,
            Self::CtxAttachResource { .. } => CommandCode::CtxAttachResource,
            Self::CtxDetachResource { .. } => CommandCode::CtxDetachResource,
            Self::ResourceCreate3d(_) => CommandCode::ResourceCreate3d,
            Self::TransferToHost3d(_) => CommandCode::TransferToHost3d,
            Self::TransferFromHost3d(_) => CommandCode::TransferFromHost3d,
            Self::Submit3d { .. } => CommandCode::Submit3d,
            Self::ResourceMapBlob(_) => CommandCode::ResourceMapBlob,
            Self::ResourceUnmapBlob { .. } => CommandCode::ResourceUnmapBlob,
            Self::UpdateCursor(_) => CommandCode::UpdateCursor,
            Self::MoveCursor(_) => CommandCode::MoveCursor,
        }
    }

    /// The specification's name without its prefix: `RESOURCE_FLUSH`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.code().name()
    }
}

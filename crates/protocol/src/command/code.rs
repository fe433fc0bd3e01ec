// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The table of commands: number, name, length, variable part, queue and feature of each.

use core::fmt;

use crate::feature::Feature;
use crate::header::HEADER_LEN;
use crate::wire;

/// The queue that a command belongs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Queue {
    /// `controlq` (0).
    Control,
    /// `cursorq` (1).
    Cursor,
}

/// What follows the fixed part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variable {
    /// Nothing; further bytes are ignored.
    None,
    /// As many 16-byte memory entries as the field `nr_entries` says.
    Entries,
    /// As many bytes of command stream as the field `size` says.
    Stream,
}

/// Declares the commands from one table.
macro_rules! commands {
    ($($variant:ident = $code:literal, $name:literal, $body:ty, $variable:ident, $queue:ident, $feature:expr;)*) => {
        /// A command's number (`enum virtio_gpu_ctrl_type`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum CommandCode {
            $(#[doc = concat!("`VIRTIO_GPU_CMD_", $name, "`")] $variant = $code,)*
        }

        impl CommandCode {
            /// Every command, by number.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            /// The command with this number on the wire.
            #[must_use]
            pub const fn from_wire(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The specification's name without `VIRTIO_GPU_CMD_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of the request before its variable part, header included.
            #[must_use]
            pub const fn fixed_len(self) -> usize {
                HEADER_LEN.saturating_add(match self { $(Self::$variant => size_of::<$body>(),)* })
            }

            /// What follows the fixed part.
            #[must_use]
            pub const fn variable(self) -> Variable {
                match self { $(Self::$variant => Variable::$variable,)* }
            }

            /// The queue that it belongs on.
            #[must_use]
            pub const fn queue(self) -> Queue {
                match self { $(Self::$variant => Queue::$queue,)* }
            }

            /// The feature that must have been negotiated; `None` for the commands that every device has. CTX_CREATE's
            /// `context_init` and MAP_BLOB's host-visible region have conditions of their own.
            #[must_use]
            pub const fn feature(self) -> Option<Feature> {
                match self { $(Self::$variant => $feature,)* }
            }
        }
    };
}

const EDID: Option<Feature> = Some(Feature::Edid);
const UUID: Option<Feature> = Some(Feature::ResourceUuid);
const BLOB: Option<Feature> = Some(Feature::ResourceBlob);
const VIRGL: Option<Feature> = Some(Feature::Virgl);

commands! {
    GetDisplayInfo = 0x0100, "GET_DISPLAY_INFO", wire::Empty, None, Control, None;
    ResourceCreate2d = 0x0101, "RESOURCE_CREATE_2D", wire::ResourceCreate2d, None, Control, None;
    ResourceUnref = 0x0102, "RESOURCE_UNREF", wire::Resource, None, Control, None;
    SetScanout = 0x0103, "SET_SCANOUT", wire::SetScanout, None, Control, None;
    ResourceFlush = 0x0104, "RESOURCE_FLUSH", wire::ResourceFlush, None, Control, None;
    TransferToHost2d = 0x0105, "TRANSFER_TO_HOST_2D", wire::TransferToHost2d, None, Control, None;
    ResourceAttachBacking = 0x0106, "RESOURCE_ATTACH_BACKING", wire::ResourceAttachBacking, Entries, Control, None;
    ResourceDetachBacking = 0x0107, "RESOURCE_DETACH_BACKING", wire::Resource, None, Control, None;
    GetCapsetInfo = 0x0108, "GET_CAPSET_INFO", wire::GetCapsetInfo, None, Control, None;
    GetCapset = 0x0109, "GET_CAPSET", wire::GetCapset, None, Control, None;
    GetEdid = 0x010a, "GET_EDID", wire::GetEdid, None, Control, EDID;
    ResourceAssignUuid = 0x010b, "RESOURCE_ASSIGN_UUID", wire::Resource, None, Control, UUID;
    ResourceCreateBlob = 0x010c, "RESOURCE_CREATE_BLOB", wire::ResourceCreateBlob, Entries, Control, BLOB;
    SetScanoutBlob = 0x010d, "SET_SCANOUT_BLOB", wire::SetScanoutBlob, None, Control, BLOB;
    CtxCreate = 0x0200, "CTX_CREATE", wire::CtxCreate, None, Control, VIRGL;
    CtxDestroy = 0x0201, "CTX_DESTROY", wire::Empty, None, Control, VIRGL;
    CtxAttachResource = 0x0202, "CTX_ATTACH_RESOURCE", wire::Resource, None, Control, VIRGL;
    CtxDetachResource = 0x0203, "CTX_DETACH_RESOURCE", wire::Resource, None, Control, VIRGL;
    ResourceCreate3d = 0x0204, "RESOURCE_CREATE_3D", wire::ResourceCreate3d, None, Control, VIRGL;
    TransferToHost3d = 0x0205, "TRANSFER_TO_HOST_3D", wire::TransferHost3d, None, Control, VIRGL;
    TransferFromHost3d = 0x0206, "TRANSFER_FROM_HOST_3D", wire::TransferHost3d, None, Control, VIRGL;
    Submit3d = 0x0207, "SUBMIT_3D", wire::CmdSubmit, Stream, Control, VIRGL;
    ResourceMapBlob = 0x0208, "RESOURCE_MAP_BLOB", wire::ResourceMapBlob, None, Control, BLOB;
    ResourceUnmapBlob = 0x0209, "RESOURCE_UNMAP_BLOB", wire::Resource, None, Control, BLOB;
    UpdateCursor = 0x0300, "UPDATE_CURSOR", wire::UpdateCursor, None, Cursor, None;
    MoveCursor = 0x0301, "MOVE_CURSOR", wire::UpdateCursor, None, Cursor, None;
}

impl CommandCode {
    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self as u32
    }

    /// Whether the header must name a context (not 0): the commands that create, destroy, fill or run one.
    #[must_use]
    pub const fn needs_context(self) -> bool {
        matches!(
            self,
            Self::CtxCreate
                | Self::CtxDestroy
                | Self::CtxAttachResource
                | Self::CtxDetachResource
                | Self::Submit3d
        )
    }
}

impl fmt::Display for CommandCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

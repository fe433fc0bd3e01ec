// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The table of responses: number and name of each, and which of them are errors.

use core::fmt;

/// Declares the response numbers from one table.
macro_rules! response_types {
    ($($variant:ident = $code:literal, $name:literal;)*) => {
        /// A response's number (`enum virtio_gpu_ctrl_type`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum ResponseType {
            $(#[doc = concat!("`VIRTIO_GPU_RESP_", $name, "`")] $variant = $code,)*
        }

        impl ResponseType {
            /// Every response, by number.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            /// The response with this number on the wire.
            #[must_use]
            pub const fn from_wire(code: u32) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The specification's name without `VIRTIO_GPU_RESP_`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

response_types! {
    OkNoData = 0x1100, "OK_NODATA";
    OkDisplayInfo = 0x1101, "OK_DISPLAY_INFO";
    OkCapsetInfo = 0x1102, "OK_CAPSET_INFO";
    OkCapset = 0x1103, "OK_CAPSET";
    OkEdid = 0x1104, "OK_EDID";
    OkResourceUuid = 0x1105, "OK_RESOURCE_UUID";
    OkMapInfo = 0x1106, "OK_MAP_INFO";
    ErrUnspec = 0x1200, "ERR_UNSPEC";
    ErrOutOfMemory = 0x1201, "ERR_OUT_OF_MEMORY";
    ErrInvalidScanoutId = 0x1202, "ERR_INVALID_SCANOUT_ID";
    ErrInvalidResourceId = 0x1203, "ERR_INVALID_RESOURCE_ID";
    ErrInvalidContextId = 0x1204, "ERR_INVALID_CONTEXT_ID";
    ErrInvalidParameter = 0x1205, "ERR_INVALID_PARAMETER";
}

impl ResponseType {
    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u32 {
        self as u32
    }

    /// The error, if it is one.
    #[must_use]
    pub const fn error(self) -> Option<ErrorCode> {
        Some(match self {
            Self::ErrUnspec => ErrorCode::Unspec,
            Self::ErrOutOfMemory => ErrorCode::OutOfMemory,
            Self::ErrInvalidScanoutId => ErrorCode::InvalidScanoutId,
            Self::ErrInvalidResourceId => ErrorCode::InvalidResourceId,
            Self::ErrInvalidContextId => ErrorCode::InvalidContextId,
            Self::ErrInvalidParameter => ErrorCode::InvalidParameter,
            _ => return None,
        })
    }
}

impl fmt::Display for ResponseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// Anything that no other code names.
    Unspec,
    /// The host, or the guest's share of it, is out of memory.
    OutOfMemory,
    /// No such scanout.
    InvalidScanoutId,
    /// No such resource, or one where none may be.
    InvalidResourceId,
    /// No such context, or one where none may be.
    InvalidContextId,
    /// Another argument is wrong.
    InvalidParameter,
}

impl From<ErrorCode> for ResponseType {
    fn from(error: ErrorCode) -> Self {
        match error {
            ErrorCode::Unspec => Self::ErrUnspec,
            ErrorCode::OutOfMemory => Self::ErrOutOfMemory,
            ErrorCode::InvalidScanoutId => Self::ErrInvalidScanoutId,
            ErrorCode::InvalidResourceId => Self::ErrInvalidResourceId,
            ErrorCode::InvalidContextId => Self::ErrInvalidContextId,
            ErrorCode::InvalidParameter => Self::ErrInvalidParameter,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ResponseType::from(*self).fmt(f)
    }
}

impl core::error::Error for ErrorCode {}

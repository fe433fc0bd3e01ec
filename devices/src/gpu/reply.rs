// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a command is answered with, and what the driver's status codes mean to a guest.

use rondo_adapter::status::NtStatus;
use rondo_protocol::{DisplayInfo, ErrorCode, Response};

/// An answer that owns its data, so that it can be held until its fence may signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// OK_NODATA.
    NoData,
    /// OK_DISPLAY_INFO.
    DisplayInfo(Box<DisplayInfo>),
    /// OK_EDID.
    Edid(Vec<u8>),
    /// OK_RESOURCE_UUID.
    Uuid([u8; 16]),
    /// An error.
    Err(ErrorCode),
}

impl Reply {
    /// The answer as it goes on the wire.
    pub(crate) fn response(&self) -> Response<'_> {
        match self {
            Self::NoData => Response::OkNoData,
            Self::DisplayInfo(info) => Response::OkDisplayInfo(**info),
            Self::Edid(edid) => Response::OkEdid(edid),
            Self::Uuid(uuid) => Response::OkResourceUuid(*uuid),
            Self::Err(error) => Response::Err(*error),
        }
    }
}

/// The object that a command looked up by a handle; it says what an invalid handle means to the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A resource.
    Resource,
    /// A scanout.
    Scanout,
}

/// The error that a guest gets for a failed driver call.
pub(crate) fn error_code(status: NtStatus, subject: Subject) -> ErrorCode {
    match status {
        NtStatus::NoMemory | NtStatus::InsufficientResources => ErrorCode::OutOfMemory,
        NtStatus::InvalidParameter | NtStatus::InvalidUserBuffer | NtStatus::BufferTooSmall => {
            ErrorCode::InvalidParameter
        }
        NtStatus::InvalidHandle => match subject {
            Subject::Resource => ErrorCode::InvalidResourceId,
            Subject::Scanout => ErrorCode::InvalidScanoutId,
        },
        _ => ErrorCode::Unspec,
    }
}

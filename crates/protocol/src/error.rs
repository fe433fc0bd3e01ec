// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Why bytes are not a request, and what to answer.

use core::fmt;

use crate::command::CommandCode;
use crate::header::{CtrlHeader, HEADER_LEN, ResponseHeader};
use crate::limits::{MAX_MEM_ENTRIES, MAX_SUBMIT_LEN};
use crate::response::ErrorCode;

/// Bytes that are not a request: the reason, and the header if there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeError {
    pub(crate) header: Option<CtrlHeader>,
    pub(crate) kind: DecodeErrorKind,
}

impl DecodeError {
    /// The request's header, whose fence the error response echoes and completes. `None` only for
    /// [`DecodeErrorKind::HeaderTooShort`].
    #[must_use]
    pub const fn header(&self) -> Option<CtrlHeader> {
        self.header
    }

    /// What the error response echoes; nothing if there was no header.
    #[must_use]
    pub fn response_header(&self) -> ResponseHeader {
        self.header
            .map_or_else(ResponseHeader::default, ResponseHeader::from)
    }

    /// The reason.
    #[must_use]
    pub const fn kind(&self) -> DecodeErrorKind {
        self.kind
    }

    /// The error to answer with.
    #[must_use]
    pub const fn response(&self) -> ErrorCode {
        self.kind.response()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.header.as_ref().and_then(CtrlHeader::command_code) {
            Some(code) => write!(f, "{code}: {}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

impl core::error::Error for DecodeError {}

/// The reasons why bytes are not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeErrorKind {
    /// Fewer bytes than a header has.
    HeaderTooShort {
        /// Bytes there are.
        got: usize,
    },
    /// No command has this number.
    UnknownCommand {
        /// The number.
        code: u32,
    },
    /// Fewer bytes than the command's fixed part has.
    BodyTooShort {
        /// The command.
        code: CommandCode,
        /// Bytes that it needs, header included.
        needed: usize,
        /// Bytes there are, header included.
        got: usize,
    },
    /// A ring index above 63.
    BadRingIndex {
        /// The index.
        ring_idx: u8,
    },
    /// Context 0 where the command is about a context.
    ZeroContextId,
    /// Resource 0 where the command needs one.
    ZeroResourceId,
    /// A scanout from 16 up.
    BadScanoutId {
        /// The scanout.
        scanout: u32,
    },
    /// A number that is none of the eight formats.
    BadFormat {
        /// The number.
        format: u32,
    },
    /// A number that is no kind of blob memory.
    BadBlobMem {
        /// The number.
        blob_mem: u32,
    },
    /// Blob flags with bits that are not defined.
    BadBlobFlags {
        /// The bits.
        flags: u32,
    },
    /// More memory entries claimed than [`MAX_MEM_ENTRIES`].
    TooManyEntries {
        /// Entries claimed.
        claimed: u32,
    },
    /// More memory entries claimed than there are.
    EntriesMissing {
        /// Entries claimed.
        claimed: u32,
        /// Whole entries there are.
        present: usize,
    },
    /// A longer command stream claimed than [`MAX_SUBMIT_LEN`].
    StreamTooLong {
        /// Bytes claimed.
        claimed: u32,
    },
    /// A longer command stream claimed than there is.
    StreamMissing {
        /// Bytes claimed.
        claimed: u32,
        /// Bytes there are.
        present: usize,
    },
}

impl DecodeErrorKind {
    /// The error to answer with: `ERR_UNSPEC` for what is not a whole request, else the error that names the bad argument.
    #[must_use]
    pub const fn response(&self) -> ErrorCode {
        match self {
            Self::HeaderTooShort { .. }
            | Self::UnknownCommand { .. }
            | Self::BodyTooShort { .. }
            | Self::EntriesMissing { .. }
            | Self::StreamMissing { .. } => ErrorCode::Unspec,
            Self::BadScanoutId { .. } => ErrorCode::InvalidScanoutId,
            Self::ZeroResourceId => ErrorCode::InvalidResourceId,
            Self::ZeroContextId => ErrorCode::InvalidContextId,
            Self::BadRingIndex { .. }
            | Self::BadFormat { .. }
            | Self::BadBlobMem { .. }
            | Self::BadBlobFlags { .. }
            | Self::TooManyEntries { .. }
            | Self::StreamTooLong { .. } => ErrorCode::InvalidParameter,
        }
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderTooShort { got } => {
                write!(f, "{got} bytes are too few for a header of {HEADER_LEN}")
            }
            Self::UnknownCommand { code } => write!(f, "unknown command {code:#06x}"),
            Self::BodyTooShort { needed, got, .. } => {
                write!(f, "{got} bytes are too few, {needed} are needed")
            }
            Self::BadRingIndex { ring_idx } => write!(f, "ring index {ring_idx} is above 63"),
            Self::ZeroContextId => f.write_str("context 0 is not a context"),
            Self::ZeroResourceId => f.write_str("resource 0 is not a resource"),
            Self::BadScanoutId { scanout } => write!(f, "scanout {scanout} is above 15"),
            Self::BadFormat { format } => write!(f, "unknown format {format}"),
            Self::BadBlobMem { blob_mem } => write!(f, "unknown blob memory {blob_mem}"),
            Self::BadBlobFlags { flags } => write!(f, "unknown blob flags {flags:#x}"),
            Self::TooManyEntries { claimed } => {
                write!(f, "{claimed} memory entries are above {MAX_MEM_ENTRIES}")
            }
            Self::EntriesMissing { claimed, present } => {
                write!(f, "{claimed} memory entries claimed, {present} present")
            }
            Self::StreamTooLong { claimed } => {
                write!(f, "a stream of {claimed} bytes is above {MAX_SUBMIT_LEN}")
            }
            Self::StreamMissing { claimed, present } => {
                write!(f, "a stream of {claimed} bytes claimed, {present} present")
            }
        }
    }
}

/// The buffer to encode into is too short; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferTooSmall {
    /// Bytes needed.
    pub needed: usize,
    /// Bytes there are.
    pub got: usize,
}

impl fmt::Display for BufferTooSmall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a buffer of {} bytes is too small, {} are needed",
            self.got, self.needed
        )
    }
}

impl core::error::Error for BufferTooSmall {}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Bytes to [`Response`]: the driver's side.

use core::fmt;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{CapsetInfo, DisplayInfo, DisplayMode, ErrorCode, MapCache, Response, ResponseType};
use crate::header::{CtrlHeader, HEADER_LEN, ResponseHeader};
use crate::id::CapsetId;
use crate::limits::EDID_MAX_LEN;
use crate::wire;

impl<'a> Response<'a> {
    /// Reads a response and what it echoes: the driver's side. Bytes after it are ignored, except for OK_CAPSET, whose data is all
    /// of them.
    ///
    /// # Errors
    ///
    /// Too few bytes, an unknown number, or a field that no device may write.
    pub fn decode(bytes: &'a [u8]) -> Result<(ResponseHeader, Self), ResponseDecodeError> {
        let (raw, body) = wire::CtrlHdr::ref_from_prefix(bytes)
            .map_err(|_| too_short(HEADER_LEN, bytes.len()))?;
        let header = CtrlHeader::from_wire(raw);
        let code = ResponseType::from_wire(header.code)
            .ok_or(ResponseDecodeError::UnknownResponse { code: header.code })?;
        let response = match code {
            ResponseType::OkNoData => Self::OkNoData,
            ResponseType::OkDisplayInfo => {
                let raw = prefix::<wire::RespDisplayInfo>(body)?;
                Self::OkDisplayInfo(DisplayInfo {
                    modes: raw.pmodes.each_ref().map(DisplayMode::from),
                })
            }
            ResponseType::OkCapsetInfo => {
                let raw = prefix::<wire::RespCapsetInfo>(body)?;
                Self::OkCapsetInfo(CapsetInfo {
                    id: CapsetId::new(raw.capset_id.get()),
                    max_version: raw.capset_max_version.get(),
                    max_size: raw.capset_max_size.get(),
                })
            }
            ResponseType::OkCapset => Self::OkCapset(body),
            ResponseType::OkEdid => {
                let raw = prefix::<wire::RespEdid>(body)?;
                let size = raw.size.get();
                let data = usize::try_from(size)
                    .ok()
                    .and_then(|size| raw.edid.get(..size));
                Self::OkEdid(data.ok_or(ResponseDecodeError::BadEdidSize { size })?)
            }
            ResponseType::OkResourceUuid => {
                Self::OkResourceUuid(prefix::<wire::RespResourceUuid>(body)?.uuid)
            }
            ResponseType::OkMapInfo => {
                let map_info = prefix::<wire::RespMapInfo>(body)?.map_info.get();
                let cache = MapCache::from_wire(map_info);
                Self::OkMapInfo(cache.ok_or(ResponseDecodeError::BadMapInfo { map_info })?)
            }
            ResponseType::ErrUnspec => Self::Err(ErrorCode::Unspec),
            ResponseType::ErrOutOfMemory => Self::Err(ErrorCode::OutOfMemory),
            ResponseType::ErrInvalidScanoutId => Self::Err(ErrorCode::InvalidScanoutId),
            ResponseType::ErrInvalidResourceId => Self::Err(ErrorCode::InvalidResourceId),
            ResponseType::ErrInvalidContextId => Self::Err(ErrorCode::InvalidContextId),
            ResponseType::ErrInvalidParameter => Self::Err(ErrorCode::InvalidParameter),
        };
        Ok((header.response(), response))
    }
}

impl From<&wire::DisplayOne> for DisplayMode {
    fn from(raw: &wire::DisplayOne) -> Self {
        Self {
            rect: (&raw.r).into(),
            enabled: raw.enabled.get() != 0,
            flags: raw.flags.get(),
        }
    }
}

fn too_short(needed: usize, got: usize) -> ResponseDecodeError {
    ResponseDecodeError::TooShort { needed, got }
}

fn prefix<T: FromBytes + KnownLayout + Immutable + Unaligned>(
    body: &[u8],
) -> Result<&T, ResponseDecodeError> {
    let needed = HEADER_LEN.saturating_add(size_of::<T>());
    T::ref_from_prefix(body)
        .map(|(raw, _)| raw)
        .map_err(|_| too_short(needed, body.len().saturating_add(HEADER_LEN)))
}

/// Why bytes are not a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseDecodeError {
    /// Fewer bytes than the response has.
    TooShort {
        /// Bytes needed, header included.
        needed: usize,
        /// Bytes there are.
        got: usize,
    },
    /// No response has this number. A device that never answered leaves 0 here.
    UnknownResponse {
        /// The number.
        code: u32,
    },
    /// An EDID of more than 1024 bytes.
    BadEdidSize {
        /// The size.
        size: u32,
    },
    /// A caching that is not defined.
    BadMapInfo {
        /// The field.
        map_info: u32,
    },
}

impl fmt::Display for ResponseDecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { needed, got } => {
                write!(f, "{got} bytes are too few for a response of {needed}")
            }
            Self::UnknownResponse { code } => write!(f, "unknown response {code:#06x}"),
            Self::BadEdidSize { size } => {
                write!(f, "an EDID of {size} bytes is above {EDID_MAX_LEN}")
            }
            Self::BadMapInfo { map_info } => write!(f, "unknown map info {map_info:#x}"),
        }
    }
}

impl core::error::Error for ResponseDecodeError {}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every response of the GPU device, typed; to bytes for the device, from bytes for the driver.

use core::fmt;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::encode::Writer;
use crate::error::BufferTooSmall;
use crate::geometry::Rect;
use crate::header::{CtrlHeader, HEADER_LEN, ResponseHeader};
use crate::id::CapsetId;
use crate::limits::{EDID_MAX_LEN, MAX_SCANOUTS_LEN};
use crate::wire;

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

/// One scanout as GET_DISPLAY_INFO describes it (`struct virtio_gpu_display_one`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DisplayMode {
    /// Preferred place among the displays, and size.
    pub rect: Rect,
    /// Whether a display is there: the state of a connector.
    pub enabled: bool,
    /// Not defined by the specification; 0.
    pub flags: u32,
}

/// The response to GET_DISPLAY_INFO: all 16 places, those without a display zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DisplayInfo {
    /// By scanout.
    pub modes: [DisplayMode; MAX_SCANOUTS_LEN],
}

/// The response to GET_CAPSET_INFO (`struct virtio_gpu_resp_capset_info`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CapsetInfo {
    /// The capability set at the index.
    pub id: CapsetId,
    /// Its newest version.
    pub max_version: u32,
    /// Its size in bytes.
    pub max_size: u32,
}

/// How the driver shall cache a mapped blob (`VIRTIO_GPU_MAP_CACHE_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum MapCache {
    /// Not said.
    None = 0,
    /// Cached.
    Cached = 1,
    /// Uncached.
    Uncached = 2,
    /// Write-combining.
    WriteCombining = 3,
}

impl MapCache {
    /// Bits of `map_info` that hold it (`VIRTIO_GPU_MAP_CACHE_MASK`).
    const MASK: u32 = 0x0f;

    /// The caching in a `map_info` on the wire; `None` if it is not a known one.
    #[must_use]
    pub const fn from_wire(map_info: u32) -> Option<Self> {
        Some(match map_info & Self::MASK {
            0 => Self::None,
            1 => Self::Cached,
            2 => Self::Uncached,
            3 => Self::WriteCombining,
            _ => return None,
        })
    }
}

/// A response. Borrows its variable data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one lives on the stack at a time; a reference would cost the decoder a buffer"
)]
pub enum Response<'a> {
    /// Done; nothing to say.
    OkNoData,
    /// To GET_DISPLAY_INFO.
    OkDisplayInfo(DisplayInfo),
    /// To GET_CAPSET_INFO.
    OkCapsetInfo(CapsetInfo),
    /// To GET_CAPSET: the set's data. After decoding, all bytes that follow the header.
    OkCapset(&'a [u8]),
    /// To GET_EDID: the EDID, at most 1024 bytes; encoding cuts what is more.
    OkEdid(&'a [u8]),
    /// To RESOURCE_ASSIGN_UUID.
    OkResourceUuid([u8; 16]),
    /// To RESOURCE_MAP_BLOB.
    OkMapInfo(MapCache),
    /// The command failed.
    Err(ErrorCode),
}

impl<'a> Response<'a> {
    /// The response's number.
    #[must_use]
    pub fn code(&self) -> ResponseType {
        match self {
            Self::OkNoData => ResponseType::OkNoData,
            Self::OkDisplayInfo(_) => ResponseType::OkDisplayInfo,
            Self::OkCapsetInfo(_) => ResponseType::OkCapsetInfo,
            Self::OkCapset(_) => ResponseType::OkCapset,
            Self::OkEdid(_) => ResponseType::OkEdid,
            Self::OkResourceUuid(_) => ResponseType::OkResourceUuid,
            Self::OkMapInfo(_) => ResponseType::OkMapInfo,
            Self::Err(error) => (*error).into(),
        }
    }

    /// The specification's name without its prefix: `OK_NODATA`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.code().name()
    }

    /// Whether the command succeeded.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        !matches!(self, Self::Err(_))
    }

    /// Bytes that [`encode`](Self::encode) writes, header included.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN.saturating_add(match self {
            Self::OkNoData | Self::Err(_) => 0,
            Self::OkDisplayInfo(_) => size_of::<wire::RespDisplayInfo>(),
            Self::OkCapsetInfo(_) => size_of::<wire::RespCapsetInfo>(),
            Self::OkCapset(data) => data.len(),
            Self::OkEdid(_) => size_of::<wire::RespEdid>(),
            Self::OkResourceUuid(_) => size_of::<wire::RespResourceUuid>(),
            Self::OkMapInfo(_) => size_of::<wire::RespMapInfo>(),
        })
    }

    /// Writes the response to the start of `out` and returns its length. Every byte up to there is written, padding as 0, so no
    /// stale memory reaches the driver.
    ///
    /// # Errors
    ///
    /// `out` is shorter than [`encoded_len`](Self::encoded_len); nothing was written.
    pub fn encode(&self, header: &ResponseHeader, out: &mut [u8]) -> Result<usize, BufferTooSmall> {
        let length = self.encoded_len();
        let mut to = Writer::new(out, length)?;
        to.put(&header.to_wire(self.code().get()));
        match self {
            Self::OkNoData | Self::Err(_) => {}
            Self::OkDisplayInfo(info) => {
                for mode in &info.modes {
                    to.put(&wire::DisplayOne {
                        r: mode.rect.into(),
                        enabled: u32::from(mode.enabled).into(),
                        flags: mode.flags.into(),
                    });
                }
            }
            Self::OkCapsetInfo(info) => to.put(&wire::RespCapsetInfo {
                capset_id: info.id.get().into(),
                capset_max_version: info.max_version.into(),
                capset_max_size: info.max_size.into(),
                padding: 0.into(),
            }),
            Self::OkCapset(data) => to.put(*data),
            Self::OkEdid(data) => put_edid(&mut to, data),
            Self::OkResourceUuid(uuid) => to.put(uuid),
            Self::OkMapInfo(cache) => {
                to.put(&wire::RespMapInfo {
                    map_info: (*cache as u32).into(),
                    padding: 0.into(),
                });
            }
        }
        Ok(length)
    }

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

impl From<ErrorCode> for Response<'_> {
    fn from(error: ErrorCode) -> Self {
        Self::Err(error)
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

/// The EDID in its 1024 places, the rest 0.
#[allow(clippy::cast_possible_truncation, reason = "at most 1024")]
fn put_edid(to: &mut Writer<'_>, data: &[u8]) {
    let data = data.get(..EDID_MAX_LEN).unwrap_or(data);
    let mut raw = wire::RespEdid {
        size: (data.len() as u32).into(),
        padding: 0.into(),
        edid: [0; EDID_MAX_LEN],
    };
    for (place, byte) in raw.edid.iter_mut().zip(data) {
        *place = *byte;
    }
    to.put(&raw);
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

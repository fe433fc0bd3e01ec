// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every response of the GPU device, typed, and to bytes: the device's side. `decode` is the driver's.

mod code;
mod decode;

pub use code::{ErrorCode, ResponseType};
pub use decode::ResponseDecodeError;

use crate::encode::Writer;
use crate::error::BufferTooSmall;
use crate::geometry::Rect;
use crate::header::{HEADER_LEN, ResponseHeader};
use crate::id::CapsetId;
use crate::limits::{EDID_MAX_LEN, MAX_SCANOUTS_LEN};
use crate::wire;

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

impl Response<'_> {
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
}

impl From<ErrorCode> for Response<'_> {
    fn from(error: ErrorCode) -> Self {
        Self::Err(error)
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

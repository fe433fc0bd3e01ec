// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! virtio-gpu on the wire: bytes to typed commands, typed responses to bytes, and back.
//!
//! The crate follows the GPU device section (5.7) of virtio 1.4 and does no I/O, holds no state and allocates nothing, so a device
//! model, a bare-metal driver and a fuzzer can share it.
//!
//! * [`decode`] turns **any** bytes into a [`Request`] or a precise [`DecodeError`]. The error keeps the header, so that a device
//!   can echo the fence, and names the virtio error code to answer with.
//! * [`request_len`] tells from a small prefix how long a request may be, so that a device copies no more than it needs.
//! * [`Request::encode`] is the driver's side; `decode(encode(x)) == x`.
//! * [`Response::encode`] and [`Response::decode`] do the same for answers.
//! * [`edid`] writes the EDID of a virtual monitor for any mode.
//!
//! What the types promise: a [`ResourceId`] is not zero, a [`ScanoutId`] is below 16, a [`Format`] is one of the eight,
//! [`MemEntries`] holds exactly the entries its command claims. What they cannot promise, because it depends on the device's state:
//! that a resource exists, that a rectangle lies inside it, that memory entries lie in guest memory, or that the feature which a
//! command belongs to was negotiated ([`CommandCode::feature`] says which one that is).
//!
//! ```
//! use rondo_protocol::{Command, Request, ResourceId, decode};
//!
//! let request = Request::new(Command::ResourceUnref { resource: ResourceId::new(7).unwrap() }).fenced(42);
//! let mut buffer = [0; 64];
//! let length = request.encode(&mut buffer).unwrap();
//! assert_eq!(decode(&buffer[..length]), Ok(request));
//! ```

#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

mod command;
mod config;
mod decode;
pub mod edid;
mod encode;
mod error;
mod feature;
mod format;
mod geometry;
mod header;
mod id;
pub mod limits;
mod response;
mod wire;

pub use command::{
    BlobFlags, BlobFramebuffer, BlobMem, Command, CommandCode, CtxCreate, DebugName, GetCapset,
    MemEntries, MemEntry, MoveCursor, Queue, RESOURCE_FLAG_Y_0_TOP, RawMemEntry,
    ResourceAttachBacking, ResourceCreate2d, ResourceCreate3d, ResourceCreateBlob, ResourceFlush,
    ResourceMapBlob, ScanoutSource, SetScanout, SetScanoutBlob, TransferHost3d, TransferToHost2d,
    UpdateCursor, Variable,
};
pub use config::{Config, EVENT_DISPLAY, SHM_ID_HOST_VISIBLE, VIRTIO_ID_GPU};
pub use decode::{Request, decode, request_len};
pub use error::{BufferTooSmall, DecodeError, DecodeErrorKind};
pub use feature::Feature;
pub use format::{Channels, Format};
pub use geometry::{Box3, Rect};
pub use header::{CtrlHeader, FLAG_FENCE, FLAG_INFO_RING_IDX, HEADER_LEN, ResponseHeader};
pub use id::{CapsetId, ContextId, ResourceId, ScanoutId};
pub use response::{
    CapsetInfo, DisplayInfo, DisplayMode, ErrorCode, MapCache, Response, ResponseDecodeError,
    ResponseType,
};

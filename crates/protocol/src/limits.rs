// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The limits of the protocol and of this decoder, each with its reason.

/// Most scanouts a device may have (`VIRTIO_GPU_MAX_SCANOUTS`): the response to GET_DISPLAY_INFO has that many places.
pub const MAX_SCANOUTS: u32 = 16;

/// [`MAX_SCANOUTS`] as the length of a table.
pub const MAX_SCANOUTS_LEN: usize = 16;

/// Bytes of EDID that the response to GET_EDID holds: a base block and seven extension blocks of 128 bytes.
pub const EDID_MAX_LEN: usize = 1024;

/// Most memory entries that RESOURCE_ATTACH_BACKING or RESOURCE_CREATE_BLOB may bring. The specification sets no limit; QEMU takes
/// 16384, so no driver in use needs more, and it bounds the copy of a request to 256 KiB.
pub const MAX_MEM_ENTRIES: u32 = 16_384;

/// Most bytes of command stream in one SUBMIT_3D. The specification sets no limit. Mesa's virgl submits after about 256 KiB; 16 MiB leaves room for any driver and still bounds what one request can make a device copy.
pub const MAX_SUBMIT_LEN: u32 = 16 * 1024 * 1024;

/// Width and height of a cursor image in pixels (virtio 1.4, 5.7.6.6: it must be 64x64).
pub const CURSOR_SIZE: u32 = 64;

/// Bytes of a context's debug name (`virtio_gpu_ctx_create::debug_name`).
pub const DEBUG_NAME_LEN: usize = 64;

/// Largest ring index of a context (virtio 1.4, 5.7.6.7: 0 to 63 inclusive).
pub const MAX_RING_IDX: u8 = 63;

/// Planes that SET_SCANOUT_BLOB describes.
pub const MAX_PLANES: usize = 4;

/// Longest request without its variable part: SET_SCANOUT_BLOB and CTX_CREATE. A device that copies this many bytes (or all there
/// are) has what [`request_len`](crate::request_len) needs.
pub const MAX_FIXED_LEN: usize = 96;

/// Longest response whose size does not depend on a capability set: GET_EDID's.
pub const MAX_RESPONSE_LEN: usize = 24 + 8 + EDID_MAX_LEN;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `NTSTATUS` failures with the numbers that `ntstatus.h` documents.

use thiserror::Error;

/// Why a driver call failed. Success is `Ok`, so it has no value here.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum NtStatus {
    /// A handle, value or combination of flags that the call does not take.
    #[error("STATUS_INVALID_PARAMETER")]
    InvalidParameter = 0xC000_000D,
    /// An unknown, stale or foreign handle.
    #[error("STATUS_INVALID_HANDLE")]
    InvalidHandle = 0xC000_0008,
    /// The driver does not offer this.
    #[error("STATUS_NOT_IMPLEMENTED")]
    NotImplemented = 0xC000_0002,
    /// Memory, or the VM's memory limit, is exhausted.
    #[error("STATUS_NO_MEMORY")]
    NoMemory = 0xC000_0017,
    /// The caller may not do this.
    #[error("STATUS_ACCESS_DENIED")]
    AccessDenied = 0xC000_0022,
    /// The caller's buffer is too small.
    #[error("STATUS_BUFFER_TOO_SMALL")]
    BufferTooSmall = 0xC000_0023,
    /// The handle names another kind of object.
    #[error("STATUS_OBJECT_TYPE_MISMATCH")]
    ObjectTypeMismatch = 0xC000_0024,
    /// The name is taken.
    #[error("STATUS_OBJECT_NAME_COLLISION")]
    ObjectNameCollision = 0xC000_0035,
    /// The object is being destroyed.
    #[error("STATUS_DELETE_PENDING")]
    DeletePending = 0xC000_0056,
    /// The caller lacks a privilege.
    #[error("STATUS_PRIVILEGE_NOT_HELD")]
    PrivilegeNotHeld = 0xC000_0061,
    /// What was asked for exceeds what is left (shares, partitions).
    #[error("STATUS_INSUFFICIENT_RESOURCES")]
    InsufficientResources = 0xC000_009A,
    /// The adapter has no such ability.
    #[error("STATUS_NOT_SUPPORTED")]
    NotSupported = 0xC000_00BB,
    /// A command's buffer is malformed.
    #[error("STATUS_INVALID_USER_BUFFER")]
    InvalidUserBuffer = 0xC000_00E8,
    /// The object is in a state that forbids the call.
    #[error("STATUS_INVALID_DEVICE_STATE")]
    InvalidDeviceState = 0xC000_0184,
    /// The work was abandoned because its queue was destroyed or reset.
    #[error("STATUS_CANCELLED")]
    Cancelled = 0xC000_0120,
    /// The adapter was stopped or removed.
    #[error("STATUS_DEVICE_REMOVED")]
    DeviceRemoved = 0xC000_02B6,
    /// The allocation is in use by work that has not finished.
    #[error("STATUS_GRAPHICS_ALLOCATION_BUSY")]
    GraphicsAllocationBusy = 0xC01E_0102,
    /// The context's device is in error after a fault or a reset.
    #[error("STATUS_GRAPHICS_GPU_EXCEPTION_ON_DEVICE")]
    GraphicsGpuExceptionOnDevice = 0xC01E_0200,
    /// The scanout's mode cannot be set.
    #[error("STATUS_GRAPHICS_INVALID_VIDPN_TOPOLOGY")]
    GraphicsInvalidVidpnTopology = 0xC01E_0301,
}

impl NtStatus {
    /// The documented 32-bit value.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }
}

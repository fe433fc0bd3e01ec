// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who a VM is: what `SetVirtualMachineData` says once, and what a repeated call may still change.
//!
//! WDDM leaves repeated calls open. Here the same call again is no change, SECURE may be added while no VM process
//! exists, and nothing else changes in the life of a worker.

use crate::ddi::{DdiResult, Guid, SetVirtualMachineData, VirtualMachineDataFlags};
use crate::status::NtStatus;

/// The flags that WDDM documents.
const KNOWN_FLAGS: u32 = VirtualMachineDataFlags::SECURE | VirtualMachineDataFlags::LINUX;

/// A VM's name and nature, as the host gave them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    guid: Guid,
    flags: u32,
}

impl Identity {
    /// What a call asks for.
    ///
    /// # Errors
    /// [`NtStatus::InvalidParameter`] for a GUID of zeros or unknown flags.
    pub(super) fn parse(args: &SetVirtualMachineData) -> DdiResult<Self> {
        if args.vm_guid.is_nil() || args.flags.0 & !KNOWN_FLAGS != 0 {
            return Err(NtStatus::InvalidParameter);
        }
        Ok(Self {
            guid: args.vm_guid,
            flags: args.flags.0,
        })
    }

    /// The VM's GUID.
    pub(super) const fn guid(&self) -> Guid {
        self.guid
    }

    /// The VM's flags.
    pub(super) const fn flags(&self) -> VirtualMachineDataFlags {
        VirtualMachineDataFlags(self.flags)
    }

    /// Whether the VM runs in secure mode.
    pub(super) const fn is_secure(&self) -> bool {
        self.flags & VirtualMachineDataFlags::SECURE != 0
    }

    /// Whether a VM that is `self` may become `asked`.
    ///
    /// # Errors
    /// [`NtStatus::InvalidDeviceState`] for another GUID, [`NtStatus::AccessDenied`] for a change of flags that is not
    /// the addition of SECURE to a VM without processes.
    pub(super) fn may_become(&self, asked: &Self, has_processes: bool) -> DdiResult<()> {
        if asked.guid != self.guid {
            return Err(NtStatus::InvalidDeviceState);
        }
        if asked.flags == self.flags {
            return Ok(());
        }
        let tightened = self.flags | VirtualMachineDataFlags::SECURE;
        if has_processes || asked.flags != tightened {
            return Err(NtStatus::AccessDenied);
        }
        Ok(())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The seam between a device and its VMM's interrupt controller.

use std::fmt::Debug;
use std::io;

use vmm_sys_util::eventfd::EventFd;

/// An edge-triggered interrupt line into the guest. Devices know nothing of KVM: a VMM hands them one of these.
pub trait InterruptLine: Debug + Send + Sync {
    /// Raises the line once.
    ///
    /// # Errors
    /// The host could not deliver it; the device treats this as a host fault.
    fn trigger(&self) -> io::Result<()>;
}

/// An eventfd is an interrupt line: KVM's irqfd and vhost-user's call descriptors both look like this.
impl InterruptLine for EventFd {
    fn trigger(&self) -> io::Result<()> {
        self.write(1)
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How a device tells its VMM that the guest asked for the machine to end.

use std::fmt::Debug;

/// What the guest asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitRequest {
    /// Power off (ACPI S5).
    PowerOff,
    /// Start over (the keyboard controller's pulse or the ACPI reset register).
    Reset,
}

/// A VMM's ear for [`ExitRequest`]s. Called on the vCPU thread that made the access; it must not block.
///
/// A guest may ask any number of times and from several vCPUs at once: the first request is the one that counts, and the
/// VMM decides that.
pub trait GuestExit: Debug + Send + Sync {
    /// Notes the request. The guest may run a little further before its vCPUs stop.
    fn request_exit(&self, request: ExitRequest);
}

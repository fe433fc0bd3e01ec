// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM's share of the GPU, checked at the border.

use rondo_scheduler::{Mode, Nanos, Ppm, Priority, VmProfile};

use crate::ddi::{DdiResult, VirtualGpuProfile};
use crate::status::NtStatus;

const NO_GUARANTEE: Ppm = match Ppm::new(0) {
    Some(nothing) => nothing,
    None => Ppm::WHOLE,
};

/// What a VM has until it is given a profile: no guarantee, what others leave, and 256 MiB of memory.
pub const DEFAULT_PROFILE: VirtualGpuProfile = VirtualGpuProfile {
    mode: Mode::Server,
    guarantee: NO_GUARANTEE,
    limit: None,
    slice: Nanos::from_millis(2),
    max_unit: None,
    grace: Nanos(0),
    hang_timeout: Nanos::from_millis(250),
    priority: Priority::Normal,
    memory_limit: 256 << 20,
};

/// Refuses what no scheduler can make sense of.
///
/// # Errors
/// [`NtStatus::InvalidParameter`] for a slice, unit or hang timeout of no length.
pub(super) fn check(profile: &VirtualGpuProfile) -> DdiResult<()> {
    let none = Nanos(0);
    if profile.slice == none || profile.hang_timeout == none || profile.max_unit == Some(none) {
        return Err(NtStatus::InvalidParameter);
    }
    Ok(())
}

/// The scheduler's part of a profile.
pub(super) const fn for_scheduler(profile: &VirtualGpuProfile) -> VmProfile {
    VmProfile {
        mode: profile.mode,
        guarantee: profile.guarantee,
        limit: profile.limit,
        slice: profile.slice,
        max_unit: profile.max_unit,
        grace: profile.grace,
        hang_timeout: profile.hang_timeout,
        priority: profile.priority,
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! WDDM's scheduling arguments, checked and in the terms of the scheduler inside a VM: 100 ns become nanoseconds.

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::{
    Band, BandSettings, ContextId, ContextProperties, InProcessPriority, InsideError, ProcessId,
    RealtimeLevel,
};

use crate::ddi::{ContextSchedulingProperties, DdiResult, PriorityBand, PriorityBands};
use crate::handle::{ContextHandle, KmdProcessHandle};
use crate::status::NtStatus;

/// What the bands are set up to.
///
/// # Errors
/// [`NtStatus::InvalidParameter`] for more than 50 percent and for a quantum of zero.
pub(super) fn bands(args: &PriorityBands) -> DdiResult<BandSettings> {
    let settings = BandSettings {
        grace: args.grace_period.map(nanos),
        process_quantum: args.process_quantum.map(nanos),
        process_grace: args.process_grace_period.map(nanos),
        normal_percentage: u8::try_from(args.target_normal_band_percentage)
            .map_err(|_| NtStatus::InvalidParameter)?,
    };
    settings.check().map_err(refusal)?;
    Ok(settings)
}

/// How a context is to be scheduled.
///
/// # Errors
/// [`NtStatus::InvalidParameter`] for a value out of range, [`NtStatus::PrivilegeNotHeld`] for a band above NORMAL.
pub(super) fn properties(args: &ContextSchedulingProperties) -> DdiResult<ContextProperties> {
    let realtime_level = if args.band == PriorityBand::Realtime {
        u8::try_from(args.realtime_level)
            .ok()
            .and_then(RealtimeLevel::new)
            .ok_or(NtStatus::InvalidParameter)?
    } else {
        RealtimeLevel::default()
    };
    let properties = ContextProperties {
        band: band(args.band),
        realtime_level,
        priority: i8::try_from(args.in_process_priority)
            .ok()
            .and_then(InProcessPriority::new)
            .ok_or(NtStatus::InvalidParameter)?,
        quantum: nanos(args.quantum),
        grace_same: nanos(args.grace_period_same),
        grace_lower: nanos(args.grace_period_lower),
    };
    properties.check().map_err(refusal)?;
    // SE_INC_BASE_PRIORITY_NAME: all contexts are of VM processes, and those do not hold it.
    if args.band > PriorityBand::Normal {
        return Err(NtStatus::PrivilegeNotHeld);
    }
    Ok(properties)
}

/// The driver's word for what the scheduler inside a VM refuses.
pub(super) const fn refusal(error: InsideError) -> NtStatus {
    match error {
        InsideError::UnknownProcess(_) | InsideError::UnknownContext(_) => NtStatus::InvalidHandle,
        InsideError::ProcessHasContexts { .. }
        | InsideError::ProcessIsKnown(_)
        | InsideError::ContextIsKnown(_) => NtStatus::InvalidDeviceState,
        InsideError::Full => NtStatus::NoMemory,
        InsideError::NormalPercentage { .. } | InsideError::ZeroQuantum => {
            NtStatus::InvalidParameter
        }
    }
}

/// A process' name for the scheduler inside the VM.
pub(super) const fn process_id(process: KmdProcessHandle) -> ProcessId {
    ProcessId(process.0)
}

/// A context's name for the scheduler inside the VM.
pub(super) const fn context_id(context: ContextHandle) -> ContextId {
    ContextId(context.0)
}

const fn nanos(hundreds: u64) -> Nanos {
    Nanos(hundreds.saturating_mul(100))
}

const fn band(band: PriorityBand) -> Band {
    match band {
        PriorityBand::Idle => Band::Idle,
        PriorityBand::Normal => Band::Normal,
        PriorityBand::Focus => Band::Focus,
        PriorityBand::Realtime => Band::Realtime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_bands_are_those_of_the_scheduler() {
        assert_eq!(
            bands(&PriorityBands::default()),
            Ok(BandSettings::default())
        );
    }

    #[test]
    fn a_unit_is_100_ns_and_the_longest_time_saturates() {
        assert_eq!(nanos(5), Nanos(500));
        assert_eq!(nanos(u64::MAX), Nanos(u64::MAX));
    }
}

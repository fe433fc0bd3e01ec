// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Time: the time-stamp counter, and how fast it counts.
//!
//! The frequency comes from the first of: CPUID leaf 0x40000010 (kHz, what VMware began and KVM's VMMs follow), CPUID leaf 0x15 with a crystal frequency, and
//! KVM's paravirtual clock, whose scale factor says it. A VMM that offers none of them gets ticks only.
#![allow(unsafe_code)]

use core::arch::x86_64::_rdtsc;
use core::fmt;

use crate::boot::BootRecord;

/// The counter now, in ticks.
#[must_use]
pub fn now() -> u64 {
    // SAFETY: CR4.TSD is clear, so the instruction is allowed at CPL 3; it touches no memory.
    unsafe { _rdtsc() }
}

/// Where the frequency came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// CPUID leaf 0x40000010.
    Cpuid40000010,
    /// CPUID leaf 0x15.
    Cpuid15,
    /// `pvclock_vcpu_time_info`.
    PvClock,
    /// Nothing said.
    Unknown,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpuid40000010 => "cpuid-40000010",
            Self::Cpuid15 => "cpuid-15",
            Self::PvClock => "pvclock",
            Self::Unknown => "unknown",
        })
    }
}

/// The TSC's frequency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency {
    /// Ticks per millisecond; 0 if unknown.
    pub khz: u64,
    /// Who said so.
    pub source: Source,
}

/// The fields of `pvclock_vcpu_time_info` that give the scale: nanoseconds = (ticks << shift) * mul >> 32.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct PvClockRecord {
    _version: u32,
    _pad: u32,
    _tsc_timestamp: u64,
    _system_time: u64,
    tsc_to_system_mul: u32,
    tsc_shift: i8,
    _flags: u8,
    _pad2: [u8; 2],
}

impl Frequency {
    /// Works the frequency out of what the stub recorded.
    #[must_use]
    pub fn from_record(record: &BootRecord) -> Self {
        if record.leaf_40000010_khz != 0 {
            return Self {
                khz: u64::from(record.leaf_40000010_khz),
                source: Source::Cpuid40000010,
            };
        }
        let [denominator, numerator, crystal_hz] = record.leaf_15.map(u64::from);
        if let Some(hz) = (crystal_hz * numerator).checked_div(denominator)
            && hz >= 1000
        {
            return Self {
                khz: hz / 1000,
                source: Source::Cpuid15,
            };
        }
        if record.pvclock != 0 {
            // SAFETY: the stub gave this address to the hypervisor and put a record of this layout there.
            let clock = unsafe {
                core::ptr::with_exposed_provenance::<PvClockRecord>(record.pvclock as usize)
                    .read_volatile()
            };
            if let Some(khz) = khz_of_scale(clock.tsc_to_system_mul, clock.tsc_shift) {
                return Self {
                    khz,
                    source: Source::PvClock,
                };
            }
        }
        Self {
            khz: 0,
            source: Source::Unknown,
        }
    }

    /// Ticks in `ms` milliseconds, or `None` when the frequency is unknown.
    #[must_use]
    pub fn ticks(&self, ms: u64) -> Option<u64> {
        (self.khz != 0).then(|| self.khz.saturating_mul(ms))
    }
}

/// The inverse of the paravirtual clock's scale, in ticks per millisecond.
fn khz_of_scale(mul: u32, shift: i8) -> Option<u64> {
    let scaled = (1_000_000_u64 << 32).checked_div(u64::from(mul))?;
    let distance = u32::from(shift.unsigned_abs());
    let khz = if shift < 0 {
        scaled.checked_shl(distance)?
    } else {
        scaled.checked_shr(distance)?
    };
    (khz != 0).then_some(khz)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_leaf_40000010_it_wins() {
        let record = BootRecord {
            leaf_40000010_khz: 2_700_000,
            leaf_15: [1, 2, 3_000_000],
            ..BootRecord::empty()
        };
        assert_eq!(
            Frequency::from_record(&record),
            Frequency {
                khz: 2_700_000,
                source: Source::Cpuid40000010
            }
        );
    }

    #[test]
    fn given_leaf_15_the_ratio_scales_the_crystal() {
        let record = BootRecord {
            leaf_15: [2, 216, 25_000_000],
            ..BootRecord::empty()
        };
        assert_eq!(
            Frequency::from_record(&record),
            Frequency {
                khz: 2_700_000,
                source: Source::Cpuid15
            }
        );
    }

    #[test]
    fn given_the_paravirtual_clock_its_scale_is_inverted() {
        // 2 GHz: ns = ticks / 2, which KVM writes as shift -1 and a multiplier just below 2^32.
        let khz = khz_of_scale(u32::MAX, -1);
        assert_eq!(khz, Some(2_000_000));
        // 500 MHz: ns = ticks * 2.
        assert_eq!(khz_of_scale(0x8000_0000, 2), Some(500_000));
    }

    #[test]
    fn given_nothing_the_frequency_is_unknown_and_no_time_is_invented() {
        let frequency = Frequency::from_record(&BootRecord::empty());
        assert_eq!(frequency.source, Source::Unknown);
        assert_eq!(frequency.ticks(5), None);
    }
}

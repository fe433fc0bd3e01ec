// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How a context is scheduled (`DXGKARG_SETCONTEXTSCHEDULINGPROPERTIES`).

use super::band::Tier;
use super::{Band, InsideError};
use crate::Nanos;

/// A priority among contexts of the same process, `-7..=7`, the highest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InProcessPriority(i8);

impl InProcessPriority {
    /// How many there are.
    pub(super) const COUNT: usize = 15;

    /// `priority`, or `None` out of range.
    #[must_use]
    pub const fn new(priority: i8) -> Option<Self> {
        if priority >= -7 && priority <= 7 {
            Some(Self(priority))
        } else {
            None
        }
    }

    /// The number, `-7..=7`.
    #[must_use]
    pub const fn get(self) -> i8 {
        self.0
    }

    /// 0 for the highest, 14 for the lowest.
    pub(super) const fn rank(self) -> u8 {
        // At most 7, so that the difference is 0 to 14.
        (7 - self.0).unsigned_abs()
    }
}

/// A level of the REALTIME band, `0..=31`, the highest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealtimeLevel(u8);

impl RealtimeLevel {
    /// `level`, or `None` out of range.
    #[must_use]
    pub const fn new(level: u8) -> Option<Self> {
        if level <= 31 { Some(Self(level)) } else { None }
    }

    /// The number, `0..=31`.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// `DXGKARG_SETCONTEXTSCHEDULINGPROPERTIES`, but for the context's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContextProperties {
    /// Its band.
    pub band: Band,
    /// Its level in REALTIME; means nothing in other bands.
    pub realtime_level: RealtimeLevel,
    /// Its priority among contexts of its process that are in the same band (and level).
    pub priority: InProcessPriority,
    /// How long it runs before another context of the same priority has its turn; not zero.
    pub quantum: Nanos,
    /// How long a context of the same priority and process goes on when this one preempts it.
    pub grace_same: Nanos,
    /// The same for a context of lower priority.
    pub grace_lower: Nanos,
}

impl ContextProperties {
    /// Checks the ranges that the types leave open.
    ///
    /// # Errors
    /// [`InsideError::ZeroQuantum`].
    pub const fn check(&self) -> Result<(), InsideError> {
        if self.quantum.0 == 0 {
            return Err(InsideError::ZeroQuantum);
        }
        Ok(())
    }

    pub(super) const fn tier(&self) -> Tier {
        Tier::new(self.band, self.realtime_level)
    }
}

impl Default for ContextProperties {
    /// NORMAL, priority 0; a quantum of 2 ms, as Windows usually gives, and half and a quarter of a millisecond of grace.
    fn default() -> Self {
        Self {
            band: Band::Normal,
            realtime_level: RealtimeLevel::default(),
            priority: InProcessPriority::default(),
            quantum: Nanos::from_millis(2),
            grace_same: Nanos::from_micros(500),
            grace_lower: Nanos::from_micros(250),
        }
    }
}

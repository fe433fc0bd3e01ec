// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Time and shares of it, as integers with their unit in the type.

/// Nanoseconds: an instant on a monotonic clock, or a length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// `millis` milliseconds; saturates at the end of the range.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// `micros` microseconds; saturates at the end of the range.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }
}

/// Parts per million of one engine's time, `0..=1_000_000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ppm(u32);

impl Ppm {
    /// The whole of an engine.
    pub const WHOLE: Self = Self(1_000_000);

    /// `parts` per million, or `None` above the whole.
    #[must_use]
    pub const fn new(parts: u32) -> Option<Self> {
        if parts <= 1_000_000 {
            Some(Self(parts))
        } else {
            None
        }
    }

    /// The number of parts, `0..=1_000_000`.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

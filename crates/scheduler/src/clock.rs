// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The caller's instants, turned into time since the first event.
//!
//! The caller's clock may start anywhere and may wrap around the end of `u64`; inside, time starts at 0 and would last
//! 584 years.

use crate::Nanos;

/// Follows the caller's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    last: Option<u64>,
    elapsed: u64,
}

impl Clock {
    /// An instant more than this after the last one is taken for one *before* it (half of the range: 292 years).
    const BACKWARDS: u64 = 1 << 63;

    /// Follows to `now` and returns the time since the first event. An instant before the last one counts as the last
    /// one: threads that read a clock before they take a lock may be overtaken.
    pub(crate) fn follow(&mut self, now: Nanos) -> u64 {
        let step = now.0.wrapping_sub(*self.last.get_or_insert(now.0));
        if step < Self::BACKWARDS {
            self.last = Some(now.0);
            self.elapsed = self.elapsed.saturating_add(step);
        }
        self.elapsed
    }

    /// Whether the caller's clock can tell this time from one that is over.
    pub(crate) fn reaches(&self, elapsed: u64) -> bool {
        elapsed.saturating_sub(self.elapsed) < Self::BACKWARDS
    }

    /// The caller's instant for a time that [`Self::follow`] counted, or will count.
    pub(crate) fn instant(&self, elapsed: u64) -> Nanos {
        let ahead = elapsed.saturating_sub(self.elapsed);
        Nanos(self.last.unwrap_or(0).wrapping_add(ahead))
    }
}

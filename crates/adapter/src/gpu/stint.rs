// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How long a worker may hold its engine as a thread that waits for nobody.
//!
//! Linux stops real-time threads that have had a core for 95 % of a second, for the 50 ms that are left of it (`sched(7)`, "Limiting the
//! CPU usage of real-time"): in the middle of a unit, so that a VM that wakes waits for as long. VMs that take turns never come
//! near it, but one that is busy alone does. So it makes room by itself: in each quarter of a second a worker is of the first
//! class for at most 85 % of the time. Any second covers three whole quarters at least, so that is 89 % of it at most.

use rondo_scheduler::Nanos;

const WINDOW: Nanos = Nanos::from_millis(250);
const MOST: Nanos = Nanos::from_micros(212_500);

/// What a worker has held in the window that runs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stint {
    began: Nanos,
    held: Nanos,
    rests: bool,
}

impl Stint {
    /// The worker held an engine from one instant to another, as long as a unit takes. Tells if it begins to rest now (`true`) or ends to.
    pub(super) fn held(&mut self, from: Nanos, to: Nanos) -> Option<bool> {
        let time = to.0.saturating_sub(from.0);
        if to.0.saturating_sub(self.began.0) >= WINDOW.0 {
            let rested = self.rests;
            *self = Self {
                began: to,
                held: Nanos(0),
                rests: false,
            };
            return rested.then_some(false);
        }
        self.held = Nanos(self.held.0.saturating_add(time));
        if self.rests || self.held < MOST {
            return None;
        }
        self.rests = true;
        Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs units of 0.1 ms, `busy` of every 10, for five seconds; the most of any second that was not at rest.
    fn most_of_a_second(busy: u64) -> (u64, u64) {
        const UNIT: u64 = 100_000;
        let mut stint = Stint::default();
        let (mut rests, mut changes) = (false, 0);
        let mut first_class = Vec::new();
        for n in 0..50_000 {
            let (from, to) = (Nanos(n * UNIT), Nanos((n + 1) * UNIT));
            let runs = n % 10 < busy;
            first_class.push(u64::from(runs && !rests) * UNIT);
            if runs && let Some(change) = stint.held(from, to) {
                assert_ne!(change, rests, "told once");
                rests = change;
                changes += 1;
            }
        }
        let most = first_class
            .windows(10_000)
            .map(|second| second.iter().sum())
            .max();
        (most.unwrap_or(0), changes)
    }

    #[test]
    fn given_a_vm_that_is_busy_alone_then_no_second_is_held_for_90_percent() {
        for busy in [9, 10] {
            let (most, changes) = most_of_a_second(busy);
            assert!(most <= 900_000_000, "{busy} of 10: {most}");
            assert!(changes > 0, "{busy} of 10");
        }
    }

    #[test]
    fn given_vms_that_take_turns_then_nobody_rests() {
        assert_eq!(most_of_a_second(8).1, 0);
    }
}

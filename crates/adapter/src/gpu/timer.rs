// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! An alarm clock for one sleeper, which anybody may set again.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rondo_scheduler::Nanos;

use crate::clock::Clock;

#[derive(Debug, Default)]
struct State {
    at: Option<Nanos>,
    stopped: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Timer {
    /// Rings at this instant instead of at the one that was set before.
    pub(super) fn set(&self, at: Nanos) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.at = Some(at);
        drop(state);
        self.changed.notify_one();
    }

    /// Ends the sleeper's wait for good.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stopped = true;
        drop(state);
        self.changed.notify_one();
    }

    /// Sleeps until the alarm rings. Returns whether it did: `false` if it was stopped.
    pub(super) fn wait(&self, clock: &dyn Clock) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.stopped {
                return false;
            }
            let Some(at) = state.at else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = at.0.saturating_sub(clock.now().0);
            if left == 0 {
                state.at = None;
                return true;
            }
            state = self
                .changed
                .wait_timeout(state, Duration::from_nanos(left))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MonotonicClock;

    #[test]
    fn the_alarm_rings_once_not_before_its_time_and_not_after_a_stop() {
        let clock = MonotonicClock::new();
        let timer = Timer::default();
        let at = Nanos(clock.now().0 + 100_000);
        timer.set(Nanos::from_millis(60_000));
        timer.set(at);
        assert!(timer.wait(&clock));
        assert!(clock.now() >= at);
        timer.stop();
        assert!(!timer.wait(&clock));
    }
}

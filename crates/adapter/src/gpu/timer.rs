// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! An alarm clock for one sleeper, which anybody may set again, and the chores that are left for it: what the scheduler
//! asks for and what nobody may do who came to the scheduler for something else.

use std::collections::VecDeque;
use std::time::Duration;

use rondo_scheduler::{EngineId, Nanos, VmId};

use crate::clock::Clock;
use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Something to be done on a thread of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chore {
    /// The unit on the engine hangs: its context dies.
    Reset {
        /// The engine.
        engine: EngineId,
        /// The VM whose unit it is.
        vm: VmId,
        /// How many units the VM had reported before this one.
        report: u64,
    },
    /// The VM is locked out: what waits of its work is failed.
    Quarantine(VmId),
}

/// Why the sleeper is awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ring {
    /// The instant has come.
    Alarm,
    /// There is something to do.
    Chore(Chore),
}

#[derive(Debug, Default)]
struct State {
    at: Option<Nanos>,
    /// Which request `at` is of; an older one that comes late is not heard.
    number: u64,
    chores: VecDeque<Chore>,
    stopped: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

impl Timer {
    /// Rings at this instant instead of at the one that was set before; `number` says what came before, from 1.
    pub(super) fn set(&self, number: u64, at: Nanos) {
        let mut state = self.state();
        if number <= state.number {
            return;
        }
        state.number = number;
        state.at = Some(at);
        drop(state);
        self.changed.notify_one();
    }

    /// Leaves something to do.
    pub(super) fn leave(&self, chore: Chore) {
        self.state().chores.push_back(chore);
        self.changed.notify_one();
    }

    /// Ends the sleeper's wait for good.
    pub(super) fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_one();
    }

    /// Sleeps until there is something to do; `None` once it was stopped.
    pub(super) fn wait(&self, clock: &dyn Clock) -> Option<Ring> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(chore) = state.chores.pop_front() {
                return Some(Ring::Chore(chore));
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
                return Some(Ring::Alarm);
            }
            state = self
                .changed
                .wait_timeout(state, Duration::from_nanos(left))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

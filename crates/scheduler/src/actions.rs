// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The buffer in which the scheduler leaves what it asks for.

use crate::Action;

/// What the caller must do, oldest first. Make one, keep it, and drain it after each [`crate::Scheduler::on`]: it keeps
/// its memory, so nothing is allocated in the steady state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actions {
    list: Vec<Action>,
}

impl Actions {
    /// More than one event asks for on one engine: `Revoke`, `Grant`, `Preempt` and `WakeAt`.
    const ROOM: usize = 16;

    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self {
            list: Vec::with_capacity(Self::ROOM),
        }
    }

    /// The actions that wait to be carried out, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Action] {
        &self.list
    }

    /// Takes the actions out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Action> + '_ {
        self.list.drain(..)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets what has not been taken.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.list.push(action);
    }
}

impl Default for Actions {
    fn default() -> Self {
        Self::new()
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The time of a model: it stands still unless a unit runs or somebody sleeps until an instant.

use std::cell::Cell;
use std::sync::LockResult;
use std::time::Duration;

use rondo_adapter::clock::Clock;
use rondo_scheduler::Nanos;
use shuttle::sync::MutexGuard;

thread_local! {
    // All threads of a model are one thread of the machine.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

/// Starts from zero.
pub(crate) fn reset() {
    NOW.set(0);
}

/// Lets time pass.
pub(crate) fn pass(nanos: u64) {
    NOW.set(NOW.get().saturating_add(nanos));
}

/// A clock that tells it.
#[derive(Debug)]
pub(crate) struct ModelClock;

impl Clock for ModelClock {
    fn now(&self) -> Nanos {
        Nanos(NOW.get())
    }
}

/// A condition variable whose timed waits always time out.
#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        duration: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        shuttle::thread::yield_now();
        pass(u64::try_from(duration.as_nanos()).unwrap());
        Ok((guard, ()))
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
}

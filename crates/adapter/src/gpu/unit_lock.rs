// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Keeps a VM's running unit and the teardown of what it uses apart, with the teardown first.
//!
//! A worker holds the lock for one unit at a time. A plain mutex lets it take the lock again and again while a driver
//! call sleeps on it; here the worker waits while anybody is in line, so that teardown waits for one unit at most.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct UnitLock {
    unit: Mutex<()>,
    /// Teardowns that wait for the lock or are about to.
    in_line: AtomicUsize,
    /// Told whenever a teardown lets go.
    passed: Condvar,
}

/// No unit of the VM runs while this lives.
#[derive(Debug)]
pub(super) struct UnitsExcluded<'a> {
    lock: &'a UnitLock,
    guard: Option<MutexGuard<'a, ()>>,
}

impl UnitLock {
    /// The worker's side: from now on a unit runs.
    pub(super) fn for_unit(&self) -> MutexGuard<'_, ()> {
        let mut guard = self.unit.lock().unwrap_or_else(PoisonError::into_inner);
        while self.in_line.load(Ordering::SeqCst) > 0 {
            guard = self
                .passed
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        guard
    }

    /// The driver call's side: waits for the running unit, if there is one.
    pub(super) fn exclude_units(&self) -> UnitsExcluded<'_> {
        self.in_line.fetch_add(1, Ordering::SeqCst);
        let guard = self.unit.lock().unwrap_or_else(PoisonError::into_inner);
        self.in_line.fetch_sub(1, Ordering::SeqCst);
        UnitsExcluded {
            lock: self,
            guard: Some(guard),
        }
    }
}

impl Drop for UnitsExcluded<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        self.lock.passed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_teardown_gets_in_between_units_that_follow_at_once() {
        let lock = UnitLock::default();
        let torn_down = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Ends only if the teardown gets the lock, however fast units follow each other.
            scope.spawn(|| {
                while !torn_down.load(Ordering::SeqCst) {
                    let _unit = lock.for_unit();
                }
            });
            for _ in 0..100 {
                let _excluded = lock.exclude_units();
            }
            torn_down.store(true, Ordering::SeqCst);
        });
        assert_eq!(lock.in_line.load(Ordering::SeqCst), 0);
    }
}

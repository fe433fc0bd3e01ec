// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Keeps a VM's running unit and the teardown of what it uses apart, in the order of their arrival.
//!
//! A plain mutex lets whoever is quicker take it again and again: a worker whose units follow each other would keep a
//! teardown waiting, and a guest that tears down in a loop would keep its worker waiting, with the engine in its hands.
//! Here a teardown waits for one unit at most, and a unit for the teardowns that came before it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct UnitLock {
    tickets: Mutex<Tickets>,
    moved_on: Condvar,
}

#[derive(Debug, Default)]
struct Tickets {
    /// The ticket of whoever comes next.
    next: u64,
    /// The ticket whose turn it is.
    serving: u64,
}

/// The lock is held while this lives, or until it is given up for lost.
#[derive(Debug)]
pub(super) struct UnitLockHeld<'a> {
    lock: &'a UnitLock,
    ticket: u64,
}

impl UnitLockHeld<'_> {
    /// The name that [`UnitLock::give_up`] wants.
    pub(super) const fn ticket(&self) -> u64 {
        self.ticket
    }
}

impl UnitLock {
    /// Waits for all who came before.
    pub(super) fn enter(&self) -> UnitLockHeld<'_> {
        let mut tickets = self.tickets();
        let mine = tickets.next;
        tickets.next = mine.wrapping_add(1);
        while tickets.serving != mine {
            tickets = self
                .moved_on
                .wait(tickets)
                .unwrap_or_else(PoisonError::into_inner);
        }
        UnitLockHeld {
            lock: self,
            ticket: mine,
        }
    }

    /// Whoever holds the lock by this ticket may never come back: the next one has it. No change if it came back.
    pub(super) fn give_up(&self, ticket: u64) {
        let mut tickets = self.tickets();
        if tickets.serving != ticket {
            return;
        }
        tickets.serving = ticket.wrapping_add(1);
        let waited_for = tickets.serving != tickets.next;
        drop(tickets);
        if waited_for {
            self.moved_on.notify_all();
        }
    }

    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnitLockHeld<'_> {
    fn drop(&mut self) {
        self.lock.give_up(self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    /// One thread takes the lock again and again until another one has had it a hundred times.
    #[test]
    fn nobody_is_kept_out_by_somebody_who_comes_again_at_once() {
        let lock = UnitLock::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let _held = lock.enter();
                }
            });
            for _ in 0..100 {
                let _held = lock.enter();
            }
            done.store(true, Ordering::SeqCst);
        });
        let tickets = lock.tickets();
        assert_eq!(tickets.next, tickets.serving);
    }

    #[test]
    fn one_at_a_time_holds_it_in_the_order_of_arrival() {
        let lock = UnitLock::default();
        let arrived = AtomicUsize::new(0);
        let served = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let held = lock.enter();
            for number in 0..5 {
                let (lock, arrived, served) = (&lock, &arrived, &served);
                scope.spawn(move || {
                    while arrived.load(Ordering::SeqCst) != number {
                        std::thread::yield_now();
                    }
                    // The next one starts once this one has its ticket: only then is `next` further on.
                    let _held = lock.enter();
                    served.lock().map(|mut served| served.push(number)).ok();
                });
                arrived.store(number, Ordering::SeqCst);
                while lock.tickets().next != number as u64 + 2 {
                    std::thread::yield_now();
                }
            }
            drop(held);
        });
        assert_eq!(
            served.into_inner().ok().as_deref(),
            Some([0, 1, 2, 3, 4].as_slice())
        );
    }

    #[test]
    fn who_was_given_up_for_lost_takes_nothing_away_when_it_comes_back() {
        let lock = UnitLock::default();
        let lost = lock.enter();
        lock.give_up(lost.ticket());
        let next = lock.enter();
        drop(lost);
        assert_eq!(lock.tickets().serving, next.ticket());
        drop(next);
        let _held = lock.enter();
    }

    #[test]
    fn a_panic_lets_go_of_it() {
        let lock = UnitLock::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = lock.enter();
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let _held = lock.enter();
    }
}

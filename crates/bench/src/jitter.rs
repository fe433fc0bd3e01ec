// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The host's own part: how long it takes from waking a thread to that thread running, with nothing of ours in between.
//!
//! Two threads wake each other in turns, after they have worked for as long as a slice: the one that wakes has slept for that
//! long, as a worker has whose VM waited for another one's slice to end.

use std::hint;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread::{self, Thread};

use rondo_adapter::clock::{Clock, MonotonicClock};
use rondo_adapter::thread_priority::{Granted, PromptWorkers};
use rondo_scheduler::Nanos;

use crate::statistics::Samples;
use crate::{affinity, futex};

/// How a thread sleeps and is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `std::thread::park` and `unpark`, as the workers do.
    Park,
    /// `futex(2)` itself.
    Futex,
}

/// Where the threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the kernel likes: the one that is woken usually on another core, which idles.
    AnyCore,
    /// Both on the same core: one takes over when the other one sleeps.
    OneCore,
}

#[derive(Debug)]
struct Table {
    clock: MonotonicClock,
    way: Way,
    place: Place,
    /// Whose turn it is, 0 or 1.
    turn: AtomicU32,
    /// When the turn was passed on.
    passed: AtomicU64,
    threads: [OnceLock<Thread>; 2],
    /// Nobody plays before both are known.
    ready: Barrier,
}

/// So many wake-ups, each after `work` of spinning, from just before the call that wakes to the first look at the clock by
/// the thread that was woken.
pub fn wake_ups(way: Way, place: Place, work: Nanos, count: usize) -> Samples {
    let table = Table {
        clock: MonotonicClock::new(),
        way,
        place,
        turn: AtomicU32::new(0),
        passed: AtomicU64::new(0),
        threads: [OnceLock::new(), OnceLock::new()],
        ready: Barrier::new(2),
    };
    let samples = thread::scope(|scope| {
        let players = [0, 1].map(|me| {
            let table = &table;
            scope.spawn(move || table.play(me, work, count / 2))
        });
        players
            .into_iter()
            .flat_map(|player| player.join().unwrap_or_default())
            .collect()
    });
    Samples::new(samples)
}

/// What the workers' threads get when they ask for real time.
pub fn granted() -> &'static str {
    let asked = thread::spawn(|| PromptWorkers::engine().apply());
    match asked.join() {
        Ok(Ok(Granted::RealTime)) => "real time (SCHED_RR)",
        Ok(Ok(Granted::Nice(_))) => "a short slice (no real time)",
        _ => "nothing",
    }
}

impl Table {
    fn play(&self, me: u32, work: Nanos, count: usize) -> Vec<u64> {
        // Refused or not, it runs as the workers do.
        let _ = PromptWorkers::engine().apply();
        if self.place == Place::OneCore {
            let _ = affinity::stay_on_one_core();
        }
        let mut samples = Vec::with_capacity(count);
        let other = 1 - me;
        let first = self.threads[me as usize].set(thread::current()).is_ok();
        debug_assert!(first, "each has its place");
        self.ready.wait();
        for round in 0..count {
            while self.turn.load(Ordering::SeqCst) != me {
                match self.way {
                    Way::Park => thread::park(),
                    Way::Futex => futex::wait(&self.turn, other),
                }
            }
            let woken = self.clock.now();
            // Nobody has woken the very first.
            if me != 0 || round != 0 {
                samples.push(woken.0.saturating_sub(self.passed.load(Ordering::SeqCst)));
            }
            let mut now = woken;
            while now.0.saturating_sub(woken.0) < work.0 {
                hint::spin_loop();
                now = self.clock.now();
            }
            self.passed.store(self.clock.now().0, Ordering::SeqCst);
            self.turn.store(other, Ordering::SeqCst);
            match self.way {
                Way::Park => {
                    if let Some(thread) = self.threads[other as usize].get() {
                        thread.unpark();
                    }
                }
                Way::Futex => futex::wake(&self.turn),
            }
        }
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, Way, wake_ups};
    use rondo_scheduler::Nanos;

    #[test]
    fn given_two_threads_when_they_wake_each_other_then_each_wake_up_is_a_sample() {
        for way in [Way::Park, Way::Futex] {
            for place in [Place::AnyCore, Place::OneCore] {
                let samples = wake_ups(way, place, Nanos(1), 100);
                assert_eq!(samples.len(), 99, "{way:?}, {place:?}");
                assert!(samples.greatest() > 0.0);
            }
        }
    }
}

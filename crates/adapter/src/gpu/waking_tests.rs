// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What workers and the timer sleep on, on one thread. In a file of its own, since `tests/hand_over` compiles their sources
//! against other primitives.

use std::thread;

use rondo_scheduler::{EngineId, Nanos, VmId};

use super::signals::{Signals, Wake};
use super::timer::{Chore, Ring, Timer};
use crate::clock::{Clock, MonotonicClock};

#[test]
fn a_grant_names_its_engine_and_is_taken_once() {
    let signals = Signals::default();
    assert_eq!(signals.take(), None);
    signals.grant(EngineId(0xabcd));
    assert_eq!(signals.take(), Some(Wake::Granted(EngineId(0xabcd))));
    assert_eq!(signals.take(), None);
    assert_eq!(signals.take_grant(), None);
}

#[test]
fn leaving_comes_first_and_stays() {
    let signals = Signals::default();
    signals.grant(EngineId(1));
    signals.notice();
    assert_eq!(signals.take(), Some(Wake::Notice));
    signals.exit();
    assert_eq!(signals.take(), Some(Wake::Exit));
    assert_eq!(signals.take(), Some(Wake::Exit));
    assert_eq!(signals.take_grant(), Some(EngineId(1)));
}

#[test]
fn a_wake_up_before_the_sleep_is_not_lost() {
    let signals = Signals::default();
    signals.set_worker(thread::current());
    signals.grant(EngineId(2));
    signals.wake();
    assert_eq!(signals.wait(), Wake::Granted(EngineId(2)));
}

#[test]
fn the_alarm_rings_once_not_before_its_time_and_not_after_a_stop() {
    let clock = MonotonicClock::new();
    let timer = Timer::default();
    let at = Nanos(clock.now().0 + 100_000);
    timer.set(1, Nanos::from_millis(3_600_000));
    timer.set(2, at);
    assert_eq!(timer.wait(&clock), Some(Ring::Alarm));
    assert!(clock.now() >= at);
    timer.stop();
    assert_eq!(timer.wait(&clock), None);
}

/// Two threads may carry out what the scheduler asked for in another order than it asked.
#[test]
fn an_alarm_that_was_asked_for_earlier_and_comes_later_is_not_heard() {
    let clock = MonotonicClock::new();
    let timer = Timer::default();
    timer.set(2, Nanos(1));
    timer.set(1, Nanos::from_millis(3_600_000));
    assert_eq!(timer.wait(&clock), Some(Ring::Alarm));
}

#[test]
fn chores_are_done_in_order_before_the_alarm_and_none_after_a_stop() {
    let clock = MonotonicClock::new();
    let timer = Timer::default();
    let chores = [1, 2].map(|vm| Chore::Quarantine(VmId(vm)));
    timer.set(1, Nanos(0));
    for chore in chores {
        timer.leave(chore);
    }
    assert_eq!(timer.wait(&clock), Some(Ring::Chore(chores[0])));
    assert_eq!(timer.wait(&clock), Some(Ring::Chore(chores[1])));
    assert_eq!(timer.wait(&clock), Some(Ring::Alarm));
    timer.leave(chores[0]);
    timer.stop();
    assert_eq!(timer.wait(&clock), None);
}

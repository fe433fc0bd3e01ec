// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Units that outlive the hang timeout: who is told, who pays, who is locked out.

use rondo_scheduler::{
    Action, EngineId, Event, Nanos, Quarantine, SchedulerConfig, VmId, VmProfile, VmState,
};

use crate::desk::{Desk, grant, patient, revoke};
use crate::world::MS;

const TIMEOUT: u64 = 16 * MS;

fn impatient(parts: u32) -> VmProfile {
    VmProfile {
        hang_timeout: Nanos(TIMEOUT),
        ..patient(parts)
    }
}

fn reset(vm: u32) -> Action {
    Action::ResetEngine {
        engine: EngineId(0),
        vm: VmId(vm),
    }
}

fn wake_at(at: u64) -> Action {
    Action::WakeAt { at: Nanos(at) }
}

/// VM 1 hangs; VM 2, with the same share, waits. The stall lasts from 0 to `TIMEOUT + 4 ms`, with a reset of 4 ms.
fn hang(desk: &mut Desk, from: u64) -> Vec<Action> {
    desk.ready(from, 1);
    let told = desk.tell(from + TIMEOUT, Event::Timer).unwrap();
    desk.ready(from + TIMEOUT, 2);
    desk.done(from + TIMEOUT + 4 * MS, 0, 1, TIMEOUT + 4 * MS, false);
    told
}

#[test]
fn given_a_unit_that_outlives_the_timeout_then_the_caller_is_told_once_and_the_vm_pays_for_the_stall()
 {
    let mut desk = Desk::engines(1);
    desk.add(0, 1, impatient(500_000));
    desk.add(0, 2, impatient(500_000));
    assert_eq!(desk.ready(0, 1), [grant(0, 1), wake_at(TIMEOUT)]);
    assert_eq!(desk.tell(TIMEOUT, Event::Timer), Ok(vec![reset(1)]));
    assert_eq!(
        desk.tell(2 * TIMEOUT, Event::Timer),
        Ok(vec![]),
        "told once"
    );
    desk.ready(2 * TIMEOUT, 2);
    let ends = 2 * TIMEOUT + MS;
    let answer = desk.done(ends, 0, 1, ends, true);
    assert_eq!(answer[..2], [revoke(0, 1), grant(0, 2)]);
    let account = desk.account(1);
    assert_eq!((account.resets, account.charged), (1, Nanos(ends)));
    assert_eq!(
        account.lag,
        -(i64::try_from(ends / 2).unwrap()),
        "it pays for the stall"
    );
    // VM 2 has the engine alone until it has run as far ahead of its guarantee as VM 1 has: then time is lent to both.
    let mut now = ends;
    while now < ends + ends / 2 - MS {
        now += MS;
        assert!(
            !desk.done(now, 0, 2, MS, true).contains(&grant(0, 1)),
            "at {now}"
        );
    }
}

#[test]
fn given_units_that_are_done_in_time_then_the_watch_is_lazy_and_ends_with_the_work() {
    let mut desk = Desk::engines(1);
    desk.add(0, 1, impatient(500_000));
    assert_eq!(desk.ready(0, 1), [grant(0, 1), wake_at(TIMEOUT)]);
    for n in 1..10 {
        assert_eq!(desk.done(n * MS, 0, 1, MS, true), [], "no timer is moved");
    }
    let next = 9 * MS + TIMEOUT;
    assert_eq!(desk.tell(TIMEOUT, Event::Timer), Ok(vec![wake_at(next)]));
    assert_eq!(desk.done(17 * MS, 0, 1, 8 * MS, false), [revoke(0, 1)]);
    assert_eq!(
        desk.tell(next, Event::Timer),
        Ok(vec![]),
        "nobody to watch over"
    );
    assert_eq!(desk.account(1).resets, 0);
}

#[test]
fn given_three_hangs_within_a_minute_then_the_vm_runs_nothing_until_it_is_pardoned() {
    let mut desk = Desk::engines(1);
    desk.add(0, 1, impatient(500_000));
    desk.add(0, 2, impatient(500_000));
    let vm = VmId(1);
    for n in 0..3_u64 {
        let from = n * 20_000 * MS;
        let told = hang(&mut desk, from);
        let locked_out = told.contains(&Action::Quarantine { vm });
        assert_eq!((told[0], locked_out), (reset(1), n == 2));
        desk.done(from + 30 * MS, 0, 2, MS, false);
    }
    assert_eq!(desk.account(1).state, VmState::Quarantined);
    let late = 50_000 * MS;
    assert_eq!(desk.ready(late, 1), []);
    assert_eq!(
        desk.ready(late, 2)[0],
        grant(0, 2),
        "everybody else goes on"
    );
    desk.done(late + MS, 0, 2, MS, false);
    let pardoned = desk.tell(late + 100 * MS, Event::Pardon { vm }).unwrap();
    assert_eq!(pardoned[0], grant(0, 1), "it had said that it has work");
    assert_eq!(desk.account(1).resets, 3);
}

#[test]
fn given_hangs_that_are_far_apart_or_no_rule_then_nobody_is_locked_out() {
    for (quarantine, apart) in [(Some(Quarantine::default()), 31_000), (None, 100)] {
        let mut desk = Desk::new(SchedulerConfig {
            quarantine,
            ..SchedulerConfig::default()
        });
        desk.add(0, 1, impatient(500_000));
        desk.add(0, 2, impatient(500_000));
        for n in 0..10_u64 {
            let from = n * apart * MS;
            assert_eq!(hang(&mut desk, from)[0], reset(1));
            desk.done(from + 30 * MS, 0, 2, MS, false);
            assert_eq!(desk.account(1).state, VmState::Idle, "hang {n}");
        }
    }
}

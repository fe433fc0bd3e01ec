// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Changes on a running system: another policy, and grace.

use rondo_scheduler::{Event, Nanos, Policy, SchedulerConfig, VmProfile};

use crate::desk::{Desk, grant, patient, preempt, revoke};
use crate::world::{Guest, Load, MS, POLICIES, US, World};

#[test]
fn given_any_two_policies_when_one_follows_the_other_under_load_then_no_work_is_lost_and_shares_are_those_of_the_second()
 {
    for first in POLICIES {
        for second in POLICIES {
            let guests = vec![
                Guest::new(1, 500_000, 200 * US, Load::busy(200 * US)),
                Guest::new(2, 300_000, 500 * US, Load::busy(500 * US)),
                Guest::new(3, 200_000, 100 * US, Load::busy(300 * US)),
            ];
            let mut world = World::under(first, 7, guests);
            world.run_until(1_000 * MS);
            world.tell(Event::SetPolicy { policy: second });
            world.policy = second;
            world.run_until(5_000 * MS);
            assert_eq!(world.scheduler.policy(), second);
            if matches!(second, Policy::Guaranteed | Policy::Fair) {
                for (client, parts) in world.clients.iter().zip([50, 30, 20]) {
                    let work = client.work_in(2_000 * MS, 5_000 * MS);
                    let due = 30 * MS * parts;
                    assert!(
                        work.abs_diff(due) <= 2 * MS,
                        "{first:?} to {second:?}: {work} of {due}"
                    );
                }
            }
        }
    }
}

#[test]
fn given_a_vm_in_debt_when_policies_change_and_change_back_then_it_still_owes_what_time_has_not_paid()
 {
    for through in [Policy::Fair, Policy::BestEffort, Policy::Fixed] {
        let mut desk = Desk::new(SchedulerConfig::default());
        desk.add(0, 1, patient(250_000));
        desk.add(0, 2, patient(250_000));
        desk.ready(0, 1);
        desk.done(100 * MS, 0, 1, 100 * MS, false);
        assert_eq!(desk.account(1).lag, -75 * (MS as i64));
        for policy in [through, Policy::Guaranteed] {
            desk.tell(100 * MS, Event::SetPolicy { policy }).unwrap();
        }
        let owed = -desk.account(1).lag;
        assert!(owed.abs_diff(75 * MS as i64) < 10, "{through:?}: {owed}");
        // Idle time pays at the rate of the share, not faster.
        desk.tell(140 * MS, Event::Timer).unwrap();
        for policy in [through, Policy::Guaranteed] {
            desk.tell(140 * MS, Event::SetPolicy { policy }).unwrap();
        }
        let owed = -desk.account(1).lag;
        assert!(owed.abs_diff(65 * MS as i64) < 10, "{through:?}: {owed}");
    }
}

#[test]
fn given_a_policy_that_changes_then_the_unit_that_runs_is_the_last_of_the_old_one() {
    let mut desk = Desk::engines(1);
    desk.add(0, 1, patient(900_000));
    desk.add(0, 2, patient(100_000));
    desk.ready(0, 1);
    desk.ready(0, 2);
    let policy = Policy::BestEffort;
    let asked = desk.tell(MS / 2, Event::SetPolicy { policy }).unwrap();
    assert_eq!(asked, [preempt(0, 1)]);
    assert_eq!(desk.done(MS, 0, 1, MS, true), [revoke(0, 1), grant(0, 2)]);
    let same = desk.tell(MS, Event::SetPolicy { policy }).unwrap();
    assert_eq!(same, [], "no change, no unrest");
}

#[test]
fn given_a_grace_then_the_holder_goes_on_within_its_slice_for_so_long_and_no_longer() {
    let mut desk = Desk::engines(1);
    let graceful = VmProfile {
        grace: Nanos(3 * MS),
        slice: Nanos(20 * MS),
        ..patient(100_000)
    };
    desk.add(0, 1, graceful);
    desk.add(0, 2, patient(800_000));
    desk.ready(0, 1);
    // Its requests grow to a slice.
    let mut now = 0;
    for _ in 0..8 {
        now += MS;
        desk.done(now, 0, 1, MS, true);
    }
    let asked = desk.ready(now + MS / 2, 2);
    assert!(!asked.contains(&preempt(0, 1)), "{asked:?}");
    assert_eq!(desk.done(now + MS, 0, 1, MS, true), []);
    assert_eq!(desk.done(now + 2 * MS, 0, 1, MS, true), []);
    let over = desk.tell(now + 7 * MS / 2, Event::Timer).unwrap();
    assert_eq!(over, [preempt(0, 1)]);
    assert_eq!(
        desk.done(now + 4 * MS, 0, 1, 2 * MS, true),
        [revoke(0, 1), grant(0, 2)]
    );
}

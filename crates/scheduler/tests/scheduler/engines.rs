// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Several engines: homes, packing, loans.

use rondo_scheduler::{EngineId, Event, Nanos, Policy, SchedulerConfig, SchedulerError, VmId};

use crate::desk::{Desk, grant, patient, preempt, revoke};
use crate::world::{MS, ppm};

#[test]
fn given_two_engines_when_two_vms_are_ready_then_both_run_at_once() {
    let mut desk = Desk::engines(2);
    desk.add(0, 1, patient(500_000));
    desk.add(0, 2, patient(500_000));
    assert_ne!(desk.home(1), desk.home(2), "the emptiest engine first");
    assert_eq!(desk.ready(0, 1), [grant(0, 1)]);
    assert_eq!(desk.ready(0, 2), [grant(1, 2)]);
    assert_eq!(desk.scheduler.holder(EngineId(0)), Some(VmId(1)));
    assert_eq!(desk.scheduler.holder(EngineId(1)), Some(VmId(2)));
}

#[test]
fn given_an_engine_with_nothing_to_do_then_it_takes_a_waiting_vm_and_gives_it_back_when_its_own_wakes()
 {
    let mut desk = Desk::engines(2);
    for (vm, parts) in [(1, 600_000), (2, 600_000), (3, 300_000)] {
        desk.add(0, vm, patient(parts));
    }
    let (busy, free) = (desk.home(3), 1 - desk.home(3));
    let (resident, owner) = if desk.home(1) == busy { (1, 2) } else { (2, 1) };
    assert_eq!(desk.ready(0, resident), [grant(busy, resident)]);
    // The resident runs at home; the third VM waits there, and the other engine takes it in the same breath.
    assert_eq!(desk.ready(0, 3), [grant(free, 3)]);
    assert_eq!(desk.ready(MS / 2, owner), [preempt(free, 3)]);
    let actions = desk.done(MS, free, 3, MS, true);
    assert_eq!(actions, [revoke(free, 3), grant(free, owner)]);
    let account = desk.account(3);
    assert_eq!((account.charged, account.borrowed), (Nanos(MS), Nanos(MS)));
    assert_eq!(account.lag, 0, "a loan is not held against it");
    assert_eq!(desk.scheduler.busy(EngineId(free)), Some(Nanos(MS)));
}

#[test]
fn given_fixed_slots_then_nothing_is_lent() {
    let mut desk = Desk::new(SchedulerConfig {
        policy: Policy::Fixed,
        engines: 2,
        ..SchedulerConfig::default()
    });
    for (vm, parts) in [(1, 600_000), (2, 600_000), (3, 300_000)] {
        desk.add(0, vm, patient(parts));
    }
    let resident = if desk.home(1) == desk.home(3) { 1 } else { 2 };
    assert_eq!(
        desk.ready(0, resident).first(),
        Some(&grant(desk.home(3), resident))
    );
    let lent = desk.ready(0, 3);
    assert!(!lent.contains(&grant(1 - desk.home(3), 3)), "{lent:?}");
}

#[test]
fn given_guarantees_that_fit_only_in_another_packing_then_the_vms_move_and_owe_what_they_owed() {
    let mut desk = Desk::engines(2);
    desk.add(0, 1, patient(500_000));
    desk.add(0, 2, patient(500_000));
    // 1 runs for a unit at home, which puts it ahead of its guarantee; 2 waits for nothing.
    let at = desk.home(1);
    assert_eq!(desk.ready(0, 1), [grant(at, 1)]);
    assert_eq!(desk.done(MS, at, 1, MS, false), [revoke(at, 1)]);
    assert_eq!(desk.account(1).lag, -(MS as i64) / 2);
    desk.add(MS, 3, patient(1_000_000));
    assert_eq!(desk.home(1), desk.home(2));
    assert_ne!(desk.home(3), desk.home(1));
    assert_eq!(desk.account(1).lag, -(MS as i64) / 2);
    let (vm, profile) = (VmId(4), patient(1));
    let refused = desk.tell(MS, Event::AddVm { vm, profile });
    let expected = SchedulerError::GuaranteeDoesNotFit {
        vm,
        asked: ppm(1),
        free: ppm(0),
        excess: ppm(1),
    };
    assert_eq!(refused, Err(expected));
}

#[test]
fn given_a_running_vm_when_it_is_moved_then_its_unit_goes_on_and_its_next_is_at_its_new_home() {
    let mut desk = Desk::engines(2);
    desk.add(0, 1, patient(500_000));
    desk.add(0, 2, patient(500_000));
    assert_eq!(desk.ready(0, 1), [grant(0, 1)]);
    assert_eq!(desk.ready(0, 2), [grant(1, 2)]);
    desk.add(0, 3, patient(1_000_000));
    let (moved, old) = if desk.home(1) == 0 { (2, 1) } else { (1, 0) };
    assert_eq!(desk.home(3), old);
    assert_eq!(desk.ready(0, 3), [preempt(old, moved)]);
    let actions = desk.done(MS, old, moved, MS, true);
    assert_eq!(actions, [revoke(old, moved), grant(old, 3)]);
    let stays = 3 - moved;
    let actions = desk.done(MS, 1 - old, stays, MS, true);
    assert_eq!(actions, [revoke(1 - old, stays), grant(1 - old, moved)]);
}

#[test]
fn given_a_part_that_is_kept_back_then_it_is_promised_to_nobody() {
    let config = SchedulerConfig {
        reserve: ppm(20_000),
        host_guarantee: ppm(80_000),
        ..SchedulerConfig::default()
    };
    let mut desk = Desk::new(config);
    let (vm, profile) = (VmId(1), patient(900_001));
    let refused = desk.tell(0, Event::AddVm { vm, profile });
    let expected = SchedulerError::GuaranteeDoesNotFit {
        vm,
        asked: ppm(900_001),
        free: ppm(900_000),
        excess: ppm(1),
    };
    assert_eq!(refused, Err(expected));
    desk.add(0, 1, patient(900_000));
}

#[test]
fn given_more_kept_back_than_there_is_then_no_scheduler() {
    let config = SchedulerConfig {
        reserve: ppm(600_000),
        host_guarantee: ppm(400_001),
        ..SchedulerConfig::default()
    };
    let made = rondo_scheduler::Scheduler::new(config);
    assert!(matches!(made, Err(SchedulerError::NothingToPromise { .. })));
}

#[test]
fn given_a_loan_when_slots_become_fixed_then_its_end_is_waited_for_without_a_timer() {
    let mut desk = Desk::engines(2);
    for (vm, parts) in [(1, 600_000), (2, 600_000), (3, 300_000)] {
        desk.add(0, vm, patient(parts));
    }
    let (busy, free) = (desk.home(3), 1 - desk.home(3));
    let (resident, owner) = if desk.home(1) == busy { (1, 2) } else { (2, 1) };
    desk.ready(0, resident);
    assert_eq!(desk.ready(0, 3), [grant(free, 3)]);
    let policy = Policy::Fixed;
    desk.tell(1, Event::SetPolicy { policy }).unwrap();
    desk.ready(2, owner);
    for now in 3..100 {
        let asked = desk.tell(now, Event::Timer).unwrap();
        let soon = asked
            .iter()
            .any(|action| matches!(action, rondo_scheduler::Action::WakeAt { at } if at.0 < MS));
        assert!(!soon, "at {now}: {asked:?}");
    }
}

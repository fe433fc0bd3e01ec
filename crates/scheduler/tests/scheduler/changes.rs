// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Changes at awkward moments: in the middle of a unit that hangs, of a grace, of a debt, of a turn of the host partition.

use rondo_scheduler::{
    Action, EngineId, Event, Mode, Nanos, Policy, SchedulerConfig, VmId, VmProfile,
};

use crate::desk::{Desk, patient};
use crate::world::{MS, US, ppm};

fn wake_ups(actions: &[Action]) -> impl Iterator<Item = u64> + '_ {
    actions.iter().filter_map(|action| match action {
        Action::WakeAt { at } => Some(at.0),
        _ => None,
    })
}

fn set(vm: u32, profile: VmProfile) -> Event {
    let vm = VmId(vm);
    Event::SetProfile { vm, profile }
}

#[test]
fn given_a_hang_timeout_that_is_shortened_while_a_unit_runs_then_the_new_one_counts() {
    let mut desk = Desk::engines(1);
    desk.add(0, 1, patient(500_000));
    desk.ready(0, 1);
    let short = VmProfile {
        hang_timeout: Nanos(250 * MS),
        ..patient(500_000)
    };
    let asked = desk.tell(US, set(1, short)).unwrap();
    assert_eq!(wake_ups(&asked).collect::<Vec<_>>(), [250 * MS]);
    let told = desk.tell(250 * MS, Event::Timer).unwrap();
    let (engine, vm) = (EngineId(0), VmId(1));
    assert_eq!(told, [Action::ResetEngine { engine, vm }]);
}

#[test]
fn given_times_near_the_end_of_time_then_no_timer_is_asked_for_in_the_past() {
    let mut desk = Desk::engines(1);
    let endless = VmProfile {
        grace: Nanos(u64::MAX),
        hang_timeout: Nanos(u64::MAX - 1),
        slice: Nanos(50 * MS),
        ..patient(100_000)
    };
    desk.add(MS, 1, endless);
    desk.add(MS, 2, patient(800_000));
    assert_eq!(wake_ups(&desk.ready(MS, 1)).next(), None);
    for n in 2..50 {
        desk.done(n * MS, 0, 1, MS, true);
    }
    assert_eq!(wake_ups(&desk.ready(50 * MS, 2)).next(), None);
    let rung = desk.tell(50 * MS, Event::Timer).unwrap();
    assert_eq!(wake_ups(&rung).next(), None);
}

#[test]
fn given_a_holder_in_its_grace_that_is_moved_then_no_timer_is_asked_for_again_and_again() {
    let mut desk = Desk::engines(2);
    let graceful = VmProfile {
        grace: Nanos(MS),
        slice: Nanos(50 * MS),
        max_unit: Some(Nanos(MS / 10)),
        ..patient(300_000)
    };
    desk.add(0, 1, graceful);
    desk.add(0, 9, patient(300_000));
    desk.add(0, 2, patient(600_000));
    assert_eq!(desk.home(1), desk.home(2));
    let home = desk.home(1);
    desk.ready(0, 1);
    let mut now = 0;
    for _ in 0..50 {
        now += MS / 10;
        desk.done(now, home, 1, MS / 10, true);
    }
    // It asks, and the other engine takes it in the same breath.
    desk.ready(now, 2);
    let client = VmProfile {
        mode: Mode::Client,
        guarantee: ppm(0),
        ..graceful
    };
    desk.tell(now + 5, set(1, client)).unwrap();
    for n in 0..20 {
        let at = now + MS + n;
        let rung = desk.tell(at, Event::Timer).unwrap();
        assert!(wake_ups(&rung).all(|again| again > at), "at {at}: {rung:?}");
    }
}

/// Units of 5,000 that a VM with 10 % gets, which has never run before, beside a newcomer that took the place of a leaver in debt.
fn units_of_an_innocent(detour: Option<Policy>) -> u64 {
    let mut desk = Desk::engines(1);
    desk.add(0, 1, patient(100_000));
    desk.add(0, 2, patient(800_000));
    desk.add(0, 4, patient(100_000));
    desk.ready(0, 1);
    let mut now = 1_000 * MS;
    desk.done(now, 0, 1, now, false);
    desk.tell(now, Event::RemoveVm { vm: VmId(1) }).unwrap();
    desk.add(now, 3, patient(100_000));
    for policy in detour.into_iter().chain([Policy::Guaranteed]) {
        desk.tell(now, Event::SetPolicy { policy }).unwrap();
    }
    let mut actions = desk.ready(now, 2);
    actions.extend(desk.ready(now, 4));
    let (mut holder, mut units) = (0, 0);
    for _ in 0..5_000 {
        for action in &actions {
            if let Action::Grant { vm, .. } = action {
                holder = vm.0;
            }
        }
        now += MS;
        units += u64::from(holder == 4);
        actions = desk.done(now, 0, holder, MS, true);
    }
    units
}

#[test]
fn given_a_place_that_was_taken_from_a_leaver_when_policies_change_then_nobody_else_pays_for_it() {
    assert!(units_of_an_innocent(None) >= 499);
    for through in [Policy::BestEffort, Policy::Fair, Policy::Fixed] {
        let units = units_of_an_innocent(Some(through));
        assert!(units >= 499, "through {through:?}: {units}");
    }
}

/// How late a VM's unit of 1 ms ends beside a host partition whose client with short units stays, leaves (`leaves`), while one
/// with long units waits.
fn latency_beside_clients(leaves: bool) -> u64 {
    let mut desk = Desk::new(SchedulerConfig {
        host_guarantee: ppm(500_000),
        ..SchedulerConfig::default()
    });
    let server = |unit| VmProfile {
        max_unit: Some(Nanos(unit)),
        ..patient(250_000)
    };
    let client = |unit| VmProfile {
        mode: Mode::Client,
        max_unit: Some(Nanos(unit)),
        ..patient(0)
    };
    desk.add(0, 1, server(10 * MS));
    desk.add(0, 2, server(MS));
    desk.add(0, 3, client(10 * US));
    desk.add(0, 4, client(10 * MS));
    desk.ready(0, 1);
    desk.ready(US, 3);
    desk.ready(US, 4);
    if leaves {
        desk.tell(US, Event::RemoveVm { vm: VmId(3) }).unwrap();
    }
    let arrival = US + 1;
    desk.ready(arrival, 2);
    let mut now = 10 * MS;
    let mut actions = desk.done(now, 0, 1, now, true);
    loop {
        let granted = actions.iter().find_map(|action| match action {
            Action::Grant { vm, .. } => Some(vm.0),
            _ => None,
        });
        let vm = granted.expect("never idle");
        let unit = match vm {
            1 | 4 => 10 * MS,
            2 => MS,
            _ => 10 * US,
        };
        now += unit;
        if vm == 2 {
            return now - arrival;
        }
        actions = desk.done(now, 0, vm, unit, vm != 3);
    }
}

#[test]
fn given_a_client_with_short_units_that_leaves_then_one_with_long_units_has_not_its_finish_tag() {
    for leaves in [false, true] {
        let latency = latency_beside_clients(leaves);
        assert!(latency <= 4 * MS + 10 * MS + 10, "{leaves}: {latency}");
    }
}

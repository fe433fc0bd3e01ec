// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `fixed` under a driver that is late: timers and ends of units are told up to a millisecond after they happened.

use rondo_scheduler::{Action, Actions, Event, Nanos, Policy, Scheduler, SchedulerConfig, VmId};

use crate::random::Random;
use crate::world::{ENGINE, MS, US, share};

/// What VMs that are always busy ran, and for how long each of them, once, had to wait; each in nanoseconds.
struct Outcome {
    ran: Vec<u64>,
    longest_wait: Vec<u64>,
    elapsed: u64,
}

/// VMs of `(parts, unit)`, all always busy; each event is told late by what `lateness` says.
fn run(vms: &[(u32, u64)], mut lateness: impl FnMut() -> u64) -> Outcome {
    let config = SchedulerConfig {
        policy: Policy::Fixed,
        ..SchedulerConfig::default()
    };
    let mut scheduler = Scheduler::new(config).unwrap();
    let mut actions = Actions::new();
    let mut outcome = Outcome {
        ran: vec![0; vms.len()],
        longest_wait: vec![0; vms.len()],
        elapsed: 4_000 * MS,
    };
    let mut stopped = vec![0; vms.len()];
    for (&(parts, unit), id) in vms.iter().zip(0..) {
        let mut profile = share(parts);
        profile.max_unit = Some(Nanos(unit));
        let vm = VmId(id);
        let join = Event::AddVm { vm, profile };
        scheduler.on(Nanos(0), join, &mut actions).unwrap();
        let ready = Event::Ready { vm };
        scheduler.on(Nanos(0), ready, &mut actions).unwrap();
    }
    let (mut now, mut timer, mut holder, mut done) = (0, u64::MAX, None, u64::MAX);
    while now < outcome.elapsed {
        let mut granted = false;
        for action in actions.drain() {
            match action {
                Action::Grant { vm, .. } => {
                    holder = Some(vm);
                    granted = true;
                    let wait = &mut outcome.longest_wait[vm.0 as usize];
                    *wait = (*wait).max(now - stopped[vm.0 as usize]);
                }
                Action::Revoke { vm, .. } => {
                    stopped[vm.0 as usize] = now;
                    holder = None;
                }
                Action::WakeAt { at } => timer = at.0 + lateness(),
                _ => {}
            }
        }
        if let Some(vm) = holder
            && (granted || done <= now)
        {
            done = now + vms[vm.0 as usize].1 + lateness();
        }
        now = timer.min(if holder.is_some() { done } else { u64::MAX });
        let event = match holder {
            Some(vm) if done <= now => {
                let ran = vms[vm.0 as usize].1;
                outcome.ran[vm.0 as usize] += ran;
                Event::UnitDone {
                    engine: ENGINE,
                    vm,
                    ran: Nanos(ran),
                    more: true,
                }
            }
            _ => {
                timer = u64::MAX;
                Event::Timer
            }
        };
        scheduler.on(Nanos(now), event, &mut actions).unwrap();
    }
    outcome
}

#[test]
fn given_a_late_driver_and_units_almost_as_long_as_their_slots_then_nobody_starves() {
    for seed in 1..=8 {
        let mut random = Random::new(seed);
        // Slots of 8, 4.8 and 3.2 ms.
        let vms = [
            (500_000, 7_950 * US),
            (300_000, 4_790 * US),
            (200_000, 3_200 * US),
        ];
        let outcome = run(&vms, || random.within(0, MS));
        for (index, &(parts, unit)) in vms.iter().enumerate() {
            // Frames are longer by what the driver is late: a timer and a unit for each slot.
            let frames = outcome.elapsed / (22 * MS);
            assert!(
                outcome.ran[index] >= (frames - 1) * unit,
                "seed {seed}: {parts} ppm got {} ns",
                outcome.ran[index]
            );
            let wait = outcome.longest_wait[index];
            assert!(
                wait <= 22 * MS,
                "seed {seed}: {parts} ppm waited for {wait} ns"
            );
        }
    }
}

#[test]
fn given_a_late_driver_and_time_that_nobody_has_then_each_gets_its_guarantee_of_the_time_that_passed()
 {
    for seed in 1..=8 {
        let mut random = Random::new(seed);
        let vms = [
            (400_000, 100 * US),
            (250_000, 500 * US),
            (150_000, 200 * US),
        ];
        // As a host that is not idle: some 10 us, and now and then a millisecond.
        let outcome = run(&vms, || match random.one_in(100) {
            true => random.within(0, MS),
            false => random.within(0, 20 * US),
        });
        for (&(parts, _), ran) in vms.iter().zip(&outcome.ran) {
            let due = outcome.elapsed / 1_000_000 * u64::from(parts);
            assert!(
                ran.abs_diff(due) <= outcome.elapsed / 100,
                "seed {seed}: {parts} ppm got {ran} ns instead of {due}"
            );
        }
    }
}

#[test]
fn given_a_late_driver_and_a_full_table_then_all_lose_in_proportion() {
    for seed in 1..=8 {
        let mut random = Random::new(seed);
        let vms = [
            (500_000, 100 * US),
            (250_000, 500 * US),
            (250_000, 200 * US),
        ];
        let outcome = run(&vms, || random.within(0, 50 * US));
        let all: u64 = outcome.ran.iter().sum();
        for (&(parts, _), ran) in vms.iter().zip(&outcome.ran) {
            let due = all / 1_000_000 * u64::from(parts);
            assert!(
                ran.abs_diff(due) <= all / 100,
                "seed {seed}: {parts} ppm got {ran} ns of {all}"
            );
        }
    }
}

#[test]
fn given_units_of_no_length_that_are_told_late_then_they_hold_the_engine_for_no_more_than_two_slots()
 {
    let vms = [(500_000, 0), (500_000, MS)];
    let outcome = run(&vms, || 50 * US);
    // Frames of at most 8 + 8 + 8 ms, and what the reports of the second cost.
    assert!(
        outcome.ran[1] >= outcome.elapsed / 25 * 8 - 16 * MS,
        "{} ns",
        outcome.ran[1]
    );
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `fair`: shares among those who have work.

use rondo_scheduler::{Actions, Event, Nanos, Policy, Scheduler, SchedulerConfig, VmId};

use crate::random::Random;
use crate::world::{ENGINE, Guest, Load, MS, US, World, share};

#[test]
fn given_weights_that_are_no_whole_engine_then_busy_vms_share_all_of_it_by_weight() {
    // The third counts as 1 %; the fourth has no work, and so no part.
    let mut world = World::under(
        Policy::Fair,
        1,
        vec![
            Guest::new(0, 300_000, 500 * US, Load::busy(500 * US)),
            Guest::new(1, 200_000, 3 * MS, Load::busy(3 * MS)),
            Guest::new(2, 0, 500 * US, Load::busy(500 * US)),
            Guest::new(3, 400_000, MS, Load::List(Vec::new())),
        ],
    );
    let end = 20_000 * MS;
    world.run_until(end);
    for (client, part) in world.clients.iter().zip([30, 20, 1, 0]) {
        let (work, due) = (client.work_in(0, end), end / 51 * part);
        assert!(work.abs_diff(due) <= 3 * MS + 51, "{part}: {work}");
    }
}

#[test]
fn given_vms_that_are_busy_in_a_window_then_they_differ_by_no_more_than_the_header_says() {
    for seed in 1..=24 {
        let mut random = Random::new(seed ^ 0xfa1);
        let longest = random.within(1, 20) * MS;
        let mut guests = Vec::new();
        for id in 0..random.within(2, 6) {
            let unit = random.within(100 * US, longest);
            let slice = random.within(0, 2) * 2 * MS;
            let parts = random.within(1, 8) as u32 * 20_000;
            guests.push(Guest::new(id as u32, parts, unit, Load::busy(unit)).slice(slice));
        }
        // They come and go, and so change who is active.
        for id in 10..13 {
            let unit = random.within(100 * US, longest);
            let load = Load::Closed {
                length: (unit, unit),
                pause: (0, 20 * MS),
            };
            guests.push(Guest::new(id, 10_000, unit, load));
        }
        let busy = guests.len() - 3;
        let mut world = World::under(Policy::Fair, seed, guests);
        world.run_until(2_000 * MS);
        let most = world.longest_unit();
        let stretched = |index: usize, from, to| {
            let client = &world.clients[index];
            let weight = u64::from(client.guest.profile.guarantee.get());
            (client.work_in(from, to) / weight, weight, {
                let request = client.guest.profile.slice.0.max(client.guest.unit);
                // Behind and ahead, and the unit that is not charged yet.
                (2 * request + most + client.guest.unit) / weight + 2
            })
        };
        for _ in 0..200 {
            let from = random.within(0, 1_000 * MS);
            let to = random.within(from, 2_000 * MS);
            for one in 0..busy {
                for other in 0..one {
                    let (a, _, allow_a) = stretched(one, from, to);
                    let (b, _, allow_b) = stretched(other, from, to);
                    assert!(
                        a.abs_diff(b) <= allow_a + allow_b,
                        "seed {seed}: {one} and {other} from {from} to {to}: {a} and {b}"
                    );
                }
            }
        }
    }
}

#[test]
fn given_a_debt_when_the_vm_sleeps_and_wakes_all_the_time_then_it_melts_no_faster() {
    // 50 ms were run by one of two halves: the other is owed as much, however its debtor spends the time.
    for nap in [0, 10 * US, MS, 7 * MS] {
        let mut list = vec![(10 * MS, 50 * MS)];
        list.extend((0..4_000).map(|n| (60 * MS + n * (nap + 10 * US), 10 * US)));
        let mut debtor = Guest::new(0, 500_000, 50 * MS, Load::List(list));
        debtor.profile.max_unit = Some(Nanos(10 * US));
        let other = Guest::new(1, 500_000, 100 * US, Load::busy(100 * US));
        let mut world = World::under(Policy::Fair, 1, vec![debtor, other]);
        world.run_until(200 * MS);
        let back = world.clients[0].ran[1].0;
        assert!(
            (109 * MS..=120 * MS).contains(&back),
            "nap {nap}: back at {back}"
        );
    }
}

/// Two VMs with a quarter each, both with work, and the first of them granted the engine.
fn two_quarters() -> (Scheduler, Actions) {
    let config = SchedulerConfig {
        policy: Policy::Fair,
        ..SchedulerConfig::default()
    };
    let mut scheduler = Scheduler::new(config).unwrap();
    let mut actions = Actions::new();
    for vm in [VmId(0), VmId(1)] {
        let mut profile = share(250_000);
        profile.max_unit = Some(Nanos(MS));
        let add = Event::AddVm { vm, profile };
        scheduler.on(Nanos(0), add, &mut actions).unwrap();
        let ready = Event::Ready { vm };
        scheduler.on(Nanos(0), ready, &mut actions).unwrap();
    }
    (scheduler, actions)
}

fn unit(vm: VmId, ran: u64) -> Event {
    Event::UnitDone {
        engine: ENGINE,
        vm,
        ran: Nanos(ran),
        more: true,
    }
}

#[test]
fn given_two_active_quarters_when_one_has_run_then_it_owes_half_of_that_to_the_other() {
    let (mut scheduler, mut actions) = two_quarters();
    let done = unit(VmId(0), MS);
    scheduler.on(Nanos(MS), done, &mut actions).unwrap();
    let lag = |id| scheduler.account(VmId(id)).unwrap().lag;
    assert_eq!((lag(0), lag(1)), (-500_000, 500_000));
}

#[test]
fn given_gaps_between_units_then_the_clock_goes_with_the_work_and_not_with_the_time() {
    let (mut scheduler, mut actions) = two_quarters();
    for n in 1..=1_000 {
        // A millisecond passes for each 0.6 ms of work.
        let holder = scheduler.holder(ENGINE).expect("both have work");
        let done = unit(holder, 600 * US);
        scheduler.on(Nanos(n * MS), done, &mut actions).unwrap();
        actions.clear();
        for id in 0..2 {
            let lag = scheduler.account(VmId(id)).unwrap().lag;
            assert!(lag.unsigned_abs() <= MS, "after {n} units: {lag}");
        }
    }
}

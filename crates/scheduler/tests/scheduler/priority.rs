// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Priorities say who gets time that is nobody's, and move no guarantee.

use rondo_scheduler::{Nanos, Policy, Priority};

use crate::fluid::worst_lateness;
use crate::random::Random;
use crate::setups::{Units, adversarial};
use crate::world::{Guest, Load, MS, POLICIES, US, World};

const ROUNDING: i128 = 2;

fn of(guest: Guest, priority: Priority) -> Guest {
    let mut guest = guest;
    guest.profile.priority = priority;
    guest
}

fn busy(id: u32, parts: u32, unit: u64, priority: Priority) -> Guest {
    of(Guest::new(id, parts, unit, Load::busy(unit)), priority)
}

fn any(random: &mut Random) -> Priority {
    [Priority::Low, Priority::Normal, Priority::High][random.within(0, 2) as usize]
}

/// What each VM got of the second from 1 s to 2 s, in milliseconds.
fn got(guests: Vec<Guest>) -> Vec<u64> {
    let mut world = World::new(1, guests);
    world.run_until(2_000 * MS);
    let work = |index: usize| world.clients[index].work_in(1_000 * MS, 2_000 * MS) / MS;
    (0..world.clients.len()).map(work).collect()
}

fn near(got: u64, wanted: u64) -> bool {
    got.abs_diff(wanted) <= 3
}

#[test]
fn given_random_priorities_that_change_then_every_request_ends_within_c_over_share_plus_l() {
    let mut requests = 0;
    for seed in 1..=96 {
        let mut random = Random::new(seed ^ 0x9107);
        let mut guests: Vec<Guest> = adversarial(seed, Units::Announced)
            .into_iter()
            .map(|guest| of(guest, any(&mut random)))
            .collect();
        let owners = guests.len();
        for id in 0..random.within(0, 6) {
            let unit = random.within(100 * US, 2 * MS);
            guests.push(busy(100 + id as u32, 0, unit, any(&mut random)));
        }
        let mut world = World::new(seed, guests);
        for step in 1..=15 {
            world.run_until(step * 100 * MS);
            let index = random.within(0, world.clients.len() as u64 - 1) as usize;
            let mut profile = world.clients[index].guest.profile;
            profile.priority = any(&mut random);
            world.set_profile(index, profile);
        }
        let longest = i128::from(world.longest_unit());
        for client in &world.clients[..owners] {
            requests += client.completions.len();
            let late = worst_lateness(client, |_| 0);
            assert!(
                late <= longest + ROUNDING,
                "seed {seed}: VM {} was {late} ns late, L is {longest}",
                client.guest.id.0
            );
        }
    }
    assert!(requests > 5_000, "{requests} requests");
}

#[test]
fn given_a_high_priority_then_all_time_that_is_lent_goes_there_and_others_keep_their_guarantees() {
    let got = got(vec![
        busy(0, 200_000, MS, Priority::High),
        busy(1, 300_000, MS, Priority::Normal),
        busy(2, 100_000, MS, Priority::Low),
    ]);
    let wanted = [600, 300, 100];
    for (index, wanted) in wanted.into_iter().enumerate() {
        assert!(near(got[index], wanted), "{got:?}");
    }
}

#[test]
fn given_several_of_the_highest_class_then_they_share_what_is_lent_in_proportion() {
    let got = got(vec![
        busy(0, 200_000, MS, Priority::High),
        busy(1, 100_000, MS, Priority::High),
        busy(2, 100_000, MS, Priority::Normal),
    ]);
    let wanted = [600, 300, 100];
    for (index, wanted) in wanted.into_iter().enumerate() {
        assert!(near(got[index], wanted), "{got:?}");
    }
}

#[test]
fn given_a_low_priority_then_it_gets_what_nobody_above_wants() {
    // 1 leaves 600 ms of each second.
    let pauses = Load::periodic(0, 10 * MS, 4 * MS, 200);
    let got = got(vec![
        busy(0, 100_000, MS, Priority::Low),
        Guest::new(1, 300_000, MS, pauses),
        busy(2, 0, MS, Priority::Low),
        busy(3, 0, MS, Priority::Normal),
    ]);
    assert!(near(got[0], 100), "only its guarantee: {got:?}");
    assert!(near(got[1], 400), "{got:?}");
    assert_eq!(got[2], 0, "{got:?}");
    assert!(near(got[3], 500), "{got:?}");
}

#[test]
fn given_a_high_vm_that_borrowed_when_the_owners_come_back_then_it_has_its_guarantee_at_once() {
    // A second alone at twice its share and more; then both want everything.
    let guests = vec![
        busy(0, 500_000, MS, Priority::High),
        Guest::new(1, 500_000, MS, Load::List(vec![(1_000 * MS, 900 * MS)])),
        busy(2, 0, MS, Priority::Low),
    ];
    let mut world = World::new(1, guests);
    world.run_until(1_100 * MS);
    let work = |index: usize| world.clients[index].work_in(1_000 * MS, 1_100 * MS);
    assert!(work(0) >= 49 * MS && work(1) >= 49 * MS);
}

#[test]
fn given_a_high_vm_that_wakes_when_one_without_a_guarantee_runs_then_it_waits_for_no_slice() {
    let hog = of(
        Guest::new(0, 0, 100 * US, Load::busy(100 * US)).slice(20 * MS),
        Priority::Low,
    );
    let high = of(
        Guest::new(1, 0, 100 * US, Load::periodic(MS, 7 * MS, 100 * US, 50)),
        Priority::High,
    );
    let mut world = World::new(1, vec![hog, high]);
    world.run_until(400 * MS);
    assert_eq!(world.clients[1].completions.len(), 50);
    for request in &world.clients[1].completions {
        assert!(request.end - request.arrival <= 200 * US, "{request:?}");
    }
}

#[test]
fn given_all_have_the_same_priority_then_it_does_not_matter_which_and_fair_and_fixed_never_ask() {
    for policy in POLICIES {
        for seed in 1..=12 {
            let hash = |priority: Option<Priority>| {
                let mut random = Random::new(seed);
                let mut guests = adversarial(seed, Units::Declared);
                guests.push(Guest::new(50, 0, MS, Load::busy(MS)));
                let guests = guests
                    .into_iter()
                    .map(|guest| of(guest, priority.unwrap_or_else(|| any(&mut random))))
                    .collect();
                let mut world = World::under(policy, seed, guests);
                world.run_until(300 * MS);
                world.hash
            };
            let normal = hash(Some(Priority::Normal));
            assert_eq!(hash(Some(Priority::High)), normal, "{policy:?} {seed}");
            assert_eq!(hash(Some(Priority::Low)), normal, "{policy:?} {seed}");
            if matches!(policy, Policy::Fair | Policy::Fixed) {
                assert_eq!(hash(None), normal, "{policy:?} {seed}");
            }
        }
    }
}

#[test]
fn given_best_effort_then_the_higher_priority_goes_first_after_the_unit_that_runs() {
    let mut high = of(
        Guest::new(1, 0, 300 * US, Load::periodic(MS, 5 * MS, 600 * US, 100)),
        Priority::High,
    );
    high.profile.slice = Nanos(2 * MS);
    let hog = |id, priority| busy(id, 0, 400 * US, priority).slice(10 * MS);
    let guests = vec![
        hog(2, Priority::Normal),
        hog(3, Priority::Normal),
        hog(4, Priority::Low),
        high,
    ];
    let mut world = World::under(Policy::BestEffort, 1, guests);
    world.run_until(600 * MS);
    let done = &world.clients[3].completions;
    assert_eq!(done.len(), 100);
    for request in done {
        assert!(request.end - request.arrival <= MS, "{request:?}");
    }
    assert_eq!(
        world.clients[2].work_in(0, 600 * MS),
        0,
        "nobody above left anything"
    );
    let (one, two) = (&world.clients[0], &world.clients[1]);
    let apart = one.work_in(0, 600 * MS).abs_diff(two.work_in(0, 600 * MS));
    assert!(apart <= 60 * MS, "{apart}");
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `fair`: shares among those who have work.

use rondo_scheduler::{Nanos, Policy};

use crate::random::Random;
use crate::world::{Guest, Load, MS, US, World};

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

#[test]
fn given_a_sleeper_then_nothing_is_kept_for_it() {
    // It wants a quarter in bursts of 30 ms; while it sleeps three others use all of the engine, and owe nothing for it.
    let burst = Guest::new(0, 250_000, MS, Load::periodic(0, 120 * MS, 30 * MS, 20));
    let mut guests = vec![burst];
    guests.extend((1..4).map(|id| Guest::new(id, 250_000, MS, Load::busy(MS))));
    let mut world = World::under(Policy::Fair, 1, guests);
    world.run_until(1_000 * MS);
    for client in &world.clients[0].completions {
        assert!(client.end >= client.arrival + 113 * MS, "a quarter at most");
    }
}

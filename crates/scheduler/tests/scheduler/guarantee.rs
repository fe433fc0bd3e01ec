// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The bound: nobody is later than on a slower engine of its own, but for one unit of somebody else.

use rondo_scheduler::Nanos;

use crate::fluid::worst_lateness;
use crate::random::Random;
use crate::setups::{Units, adversarial};
use crate::world::{Guest, Load, MS, US, World};

/// What rounding may cost; the policy's header argues for less than 2 ns.
const ROUNDING: i128 = 2;
const SETUPS: u64 = 64;

/// Every request of every VM of random set-ups, from the first on, against `c'/f + L`.
fn check_bound(units: Units, allowance: impl Fn(&Guest, u64) -> u64) {
    let mut requests = 0;
    for seed in 1..=SETUPS {
        let mut world = World::new(seed, adversarial(seed, units));
        world.run_until(1_500 * MS);
        let longest = i128::from(world.longest_unit());
        for client in &world.clients {
            requests += client.completions.len();
            let late = worst_lateness(client, |request| {
                allowance(&client.guest, request.last_unit)
            });
            assert!(
                late <= longest + ROUNDING,
                "{units:?}, seed {seed}: VM {} was {late} ns late, L is {longest}",
                client.guest.id.0
            );
        }
    }
    assert!(
        requests > 5_000,
        "the set-ups ask for something: {requests} requests"
    );
}

#[test]
fn given_units_as_long_as_declared_then_every_request_ends_within_c_over_share_plus_l() {
    check_bound(Units::Whole, |_, _| 0);
}

#[test]
fn given_units_of_any_length_that_are_announced_then_every_request_ends_within_c_over_share_plus_l()
{
    check_bound(Units::Announced, |_, _| 0);
}

#[test]
fn given_only_the_longest_unit_is_declared_then_the_last_unit_counts_as_that_long() {
    check_bound(Units::Declared, |guest, last_unit| guest.unit - last_unit);
}

#[test]
fn given_slices_then_a_request_counts_at_most_one_slice_more() {
    for seed in 1..=SETUPS {
        let mut random = Random::new(seed ^ 0x51ce);
        let guests = adversarial(seed, Units::Announced)
            .into_iter()
            .map(|guest| guest.slice(random.within(0, 20 * MS)))
            .collect();
        let mut world = World::new(seed, guests);
        world.run_until(1_500 * MS);
        let slices = world
            .clients
            .iter()
            .map(|client| client.guest.profile.slice.0);
        let longest = i128::from(world.longest_unit().max(slices.max().unwrap_or(0)));
        for client in &world.clients {
            let guest = &client.guest;
            let late = worst_lateness(client, |_| guest.profile.slice.0.max(guest.unit));
            assert!(
                late <= longest + ROUNDING,
                "seed {seed}: VM {} was {late} ns late",
                guest.id.0
            );
        }
    }
}

#[test]
fn given_slices_when_work_finds_its_vm_idle_then_it_counts_at_most_twice() {
    // Units of one length, so c' <= 2c + e; neighbours with long slices that are always busy.
    let unit = 100 * US;
    for seed in 1..=40 {
        let mut random = Random::new(seed);
        let length = unit * random.within(1, 40);
        let slice = random.within(1, 10) * MS;
        let neighbour = |id| Guest::new(id, 300_000, 200 * US, Load::busy(200 * US)).slice(slice);
        let period = length * 10 * 2 + random.within(0, 5 * MS);
        let victim =
            Guest::new(9, 100_000, unit, Load::periodic(MS, period, length, 20)).slice(slice);
        let mut world = World::new(seed, vec![neighbour(1), neighbour(2), neighbour(3), victim]);
        world.run_until(MS + 21 * period);
        let client = &world.clients[3];
        assert_eq!(client.completions.len(), 20, "seed {seed}");
        for request in &client.completions {
            assert!(request.found_idle, "seed {seed}");
            let bound = (2 * length + unit) * 10 + 200 * US;
            let took = request.end - request.arrival;
            assert!(
                took <= bound + 2,
                "seed {seed}: {took} ns for {length}, bound {bound}"
            );
        }
    }
}

#[test]
fn given_busy_vms_with_long_slices_when_another_wakes_then_it_waits_for_no_slice() {
    // One always busy VM holds the engine, others wait with better claims than the one that wakes.
    let busy = |id, share| Guest::new(id, share, 100 * US, Load::busy(100 * US)).slice(10 * MS);
    let job = 100 * US;
    let period = 37 * MS + 3 * US;
    let victim = Guest::new(9, 100_000, job, Load::periodic(MS, period, job, 200)).slice(10 * MS);
    let guests = vec![busy(1, 350_000), busy(2, 350_000), busy(3, 200_000), victim];
    let mut world = World::new(3, guests);
    world.run_until(MS + 201 * period);
    let client = &world.clients[3];
    assert_eq!(client.completions.len(), 200);
    for request in &client.completions {
        let took = request.end - request.arrival;
        let bound = job * 10 + 100 * US;
        assert!(took <= bound + 2, "{took} ns, bound {bound}");
    }
}

/// Sixteen VMs: a victim with half-millisecond jobs and fifteen that are always busy with units of 0.1 to `most`.
fn sixteen(seed: u64, most: u64) -> World {
    let job = 500 * US;
    // As much as its share of 1/8: one job every 4 ms.
    let victim = Guest::new(0, 125_000, job, Load::periodic(3 * MS, 4 * MS, job, 250));
    let mut guests = vec![victim];
    for id in 1..16 {
        let load = Load::Closed {
            length: (100 * US, most),
            pause: (0, 0),
        };
        guests.push(Guest::new(id, 58_333, most, load));
    }
    let mut world = World::new(seed, guests);
    world.run_until(1_100 * MS);
    world
}

#[test]
fn given_other_loads_of_the_neighbours_when_a_vm_stays_within_its_share_then_it_is_never_later_than_one_unit()
 {
    for seed in 1..=3 {
        for most in [200 * US, MS, 4 * MS, 20 * MS] {
            let world = sixteen(seed, most);
            let victim = &world.clients[0];
            assert_eq!(
                victim.completions.len(),
                250,
                "seed {seed}, units to {most}: all jobs are done"
            );
            let late = worst_lateness(victim, |_| 0);
            assert!(
                late <= i128::from(most) + ROUNDING,
                "seed {seed}, units to {most}: {late} ns late"
            );
        }
    }
}

#[test]
fn given_the_same_jobs_when_the_neighbours_load_is_replaced_then_completions_move_by_at_most_one_l()
{
    // With neighbours that are always busy, a job is neither early by more than its own stretch nor late by more than L.
    for seed in 1..=4 {
        let (calm, wild) = (sixteen(seed, MS), sixteen(seed + 1_000, 4 * MS));
        let longest = 4 * MS;
        for (one, other) in calm.clients[0]
            .completions
            .iter()
            .zip(&wild.clients[0].completions)
        {
            assert_eq!(one.arrival, other.arrival);
            let moved = one.end.abs_diff(other.end);
            assert!(
                moved <= longest + 4 * MS,
                "seed {seed}: moved by {moved} ns"
            );
            assert!(
                one.end.max(other.end) <= one.arrival + 4 * MS + longest,
                "seed {seed}"
            );
        }
    }
}

#[test]
fn given_a_vm_that_wants_exactly_its_share_in_bursts_then_it_gets_it() {
    // 30 ms every 120 ms is a quarter; three neighbours take all they can get.
    let burst = Guest::new(0, 250_000, MS, Load::periodic(0, 120 * MS, 30 * MS, 50));
    let mut guests = vec![burst];
    for id in 1..4 {
        guests.push(Guest::new(id, 250_000, 5 * MS, Load::busy(5 * MS)));
    }
    let mut world = World::new(7, guests);
    world.run_until(6_005 * MS);
    let client = &world.clients[0];
    assert_eq!(client.completions.len(), 50);
    assert!(worst_lateness(client, |_| 0) <= i128::from(5 * MS) + ROUNDING);
    assert_eq!(
        client.work_in(0, 6_005 * MS),
        1_500 * MS,
        "a quarter of 6 s"
    );
}

#[test]
fn given_a_vm_that_sleeps_for_a_moment_between_requests_then_its_reservation_waits_for_it() {
    // Its requests add up to its share, but it goes idle for a microsecond or more after each, again and again.
    for seed in 1..=20 {
        let mut random = Random::new(seed);
        let (length, mut at, mut list) = (300 * US, 0, Vec::new());
        for _ in 0..400 {
            // Pairs: two requests a microsecond to a millisecond apart, then the rest of their time at one half.
            let apart = random.within(1_000, MS);
            list.push((at, length));
            list.push((at + apart, length));
            at += (4 * length).max(apart + 1);
        }
        let sleeper = Guest::new(0, 500_000, length, Load::List(list));
        let hog = Guest::new(1, 500_000, 4 * MS, Load::busy(4 * MS));
        let mut world = World::new(seed, vec![sleeper, hog]);
        world.run_until(at + 10 * MS);
        let client = &world.clients[0];
        assert_eq!(client.completions.len(), 800, "seed {seed}");
        let late = worst_lateness(client, |_| 0);
        assert!(
            late <= i128::from(4 * MS) + ROUNDING,
            "seed {seed}: {late} ns late"
        );
    }
}

#[test]
fn given_undeclared_units_when_32_are_learned_then_the_bound_holds() {
    for seed in 1..=60 {
        let mut random = Random::new(seed);
        let count = random.within(2, 8);
        let parts = (1_000_000 / count) as u32;
        let warm = 5_000 * MS;
        let guests = (0..count)
            .map(|id| {
                let unit = random.within(MS / 5, 10 * MS);
                let mut list = vec![(0, unit); 40];
                let mut at = warm;
                for _ in 0..100 {
                    at += random.within(0, 4) * random.within(0, 20 * MS);
                    list.push((at, unit));
                }
                Guest::new(id as u32, parts, unit, Load::List(list)).undeclared()
            })
            .collect();
        let mut world = World::new(seed, guests);
        world.run_until(warm + 10_000 * MS);
        let longest = i128::from(world.longest_unit());
        for client in &mut world.clients {
            assert_eq!(client.completions.len(), 140, "seed {seed}");
            client.completions.retain(|request| request.arrival >= warm);
            let late = worst_lateness(client, |_| 0);
            let vm = client.guest.id.0;
            assert!(
                late <= longest + ROUNDING,
                "seed {seed}: VM {vm} was {late} ns late"
            );
        }
    }
}

#[test]
fn given_a_new_vm_of_unknown_units_when_all_others_are_always_busy_then_it_does_not_starve() {
    let mut guests: Vec<Guest> = (0..9)
        .map(|id| Guest::new(id, 100_000, MS, Load::busy(MS)))
        .collect();
    let mut newcomer = Guest::new(9, 100_000, 100 * US, Load::busy(100 * US)).undeclared();
    newcomer.profile.hang_timeout = Nanos::from_millis(250);
    guests.push(newcomer);
    let mut world = World::new(1, guests);
    world.run_until(100 * MS);
    let first = world.clients[9].ran[0].0;
    assert!(
        first <= 10 * MS,
        "the others are ahead after a unit each: {first} ns"
    );
}

#[test]
fn given_any_number_of_best_effort_vms_then_the_bound_of_those_with_a_guarantee_holds() {
    for seed in 1..=8 {
        let mut guests = adversarial(seed, Units::Whole);
        for id in 0..50 {
            guests.push(Guest::new(100 + id, 0, MS, Load::busy(MS)));
        }
        let owners = guests.len() - 50;
        let mut world = World::new(seed, guests);
        world.run_until(500 * MS);
        let longest = i128::from(world.longest_unit());
        for client in &world.clients[..owners] {
            let (late, vm) = (worst_lateness(client, |_| 0), client.guest.id.0);
            assert!(
                late <= longest + ROUNDING,
                "seed {seed}: VM {vm} was {late} ns late"
            );
        }
    }
}

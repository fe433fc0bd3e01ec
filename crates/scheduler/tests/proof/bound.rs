// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The latency bound on any number of engines, with lending: nobody is later than on an engine of its own that is slower by
//! its share, but for one request of somebody else (its grace counts), and what hangs take.

use rondo_scheduler::{Nanos, Policy, Priority, Quarantine, SchedulerConfig};

use crate::books::{Completion, Vm};
use crate::guest::{Guest, Load, MS, US};
use crate::random::Random;
use crate::storm::seeds;
use crate::world::World;

const ENGINES: [u16; 3] = [1, 2, 4];
/// What rounding may cost, in nanoseconds.
const ROUNDING: i128 = 2;
const WHOLE: u128 = 1_000_000;

/// How much later than on its own slower engine each request ended, at worst, in nanoseconds, rounded up. Times are kept in
/// `ns * ppm`, so the reference is exact. Only requests that came at `from` or later count.
fn worst_lateness(vm: &Vm, from: u64) -> i128 {
    let share = u128::from(vm.profile().guarantee.get());
    let (mut done, mut worst) = (0_u128, i128::MIN);
    for &Completion {
        arrival,
        length,
        end,
    } in &vm.completions
    {
        done = done.max(u128::from(arrival) * share) + u128::from(length) * WHOLE;
        let late = (u128::from(end) * share) as i128 - done as i128;
        if arrival >= from {
            worst = worst.max(
                late.div_euclid(share as i128) + i128::from(late.rem_euclid(share as i128) != 0),
            );
        }
    }
    worst
}

/// Set-ups that look for trouble: engines that are full, units from alike to one hog among mice, loads that sleep, burst and
/// gang up. A request is one or more whole units.
fn set_up(random: &mut Random, engines: u16) -> Vec<Guest> {
    let longest = random.within(1, 20) * MS;
    let period = random.within(5, 100) * MS;
    let mut guests = Vec::new();
    for engine in 0..u64::from(engines) {
        let count = random.within(2, 6);
        let weights: Vec<u64> = (0..count).map(|_| random.within(1, 8)).collect();
        let sum: u64 = weights.iter().sum();
        for (n, weight) in weights.iter().enumerate() {
            let parts = (weight * 1_000_000 / sum) as u32;
            let unit = match random.within(0, 2) {
                0 => longest,
                1 => random.within(100 * US, longest),
                _ => random.within(100 * US, MS),
            };
            let length = |random: &mut Random| unit * random.within(1, 3);
            let load = match random.within(0, 5) {
                0 | 1 => Load::busy(unit),
                2 => Load::Closed {
                    length: (unit, unit),
                    pause: (1, unit / 4 + 1),
                },
                3 => {
                    // All at once, again and again.
                    let at = |burst| burst * period;
                    let burst = (0..800 * MS / period).flat_map(|burst| {
                        let length = length(random);
                        (0..random.within(1, 3)).map(move |_| (at(burst), length))
                    });
                    Load::List(burst.collect())
                }
                4 => {
                    let step = unit * 1_000_000 / u64::from(parts) + 1;
                    Load::periodic(random.within(0, period), step, unit, 100)
                }
                _ => {
                    let mut at = 0;
                    let some = (0..60).map(|_| {
                        at += random.within(0, 30 * MS);
                        (at, length(random))
                    });
                    Load::List(some.collect())
                }
            };
            let id = (engine * 10 + n as u64) as u32;
            // Longer than any unit: nobody hangs.
            let mut guest = Guest::new(id, parts, unit, load).hang_timeout(100 * MS);
            // Moves nobody's guarantee.
            guest.profile.priority =
                [Priority::Low, Priority::Normal, Priority::High][random.within(0, 2) as usize];
            guests.push(guest);
        }
    }
    // The order in which they join decides who is at home where.
    for at in (1..guests.len()).rev() {
        guests.swap(at, random.within(0, at as u64) as usize);
    }
    guests
}

fn config(engines: u16) -> SchedulerConfig {
    SchedulerConfig {
        engines,
        policy: Policy::Guaranteed,
        ..SchedulerConfig::default()
    }
}

/// Those of a set-up that fit, in a world.
fn world(seed: u64, config: SchedulerConfig, guests: Vec<Guest>) -> World {
    let mut world = World::new(seed, config, Vec::new(), &[]);
    for guest in guests {
        let _refused = world.join(guest);
    }
    world
}

fn check(world: &World, longest: u64, from: u64) -> (usize, u64) {
    let (mut requests, mut borrowed) = (0, 0);
    for (index, vm) in world.vms.iter().enumerate() {
        if vm.profile().guarantee.get() == 0 || !vm.guest.is_honest() {
            continue;
        }
        let late = worst_lateness(vm, from);
        requests += vm.completions.len();
        borrowed += world.account(index).borrowed.0;
        if late > i128::from(longest) + ROUNDING {
            world.fail(
                "latency",
                &format!(
                    "VM {index} was {late} ns late, allowed are {longest}: {:?}",
                    vm.profile()
                ),
            );
        }
    }
    (requests, borrowed)
}

#[test]
fn given_1_2_and_4_engines_that_lend_when_units_are_declared_then_every_request_ends_within_c_over_share_plus_l()
 {
    let mut borrowed = [0; 3];
    for seed in seeds("bound", 48) {
        for (at, engines) in ENGINES.into_iter().enumerate() {
            let mut random = Random::new(seed ^ 0xb0);
            let mut world = world(seed, config(engines), set_up(&mut random, engines));
            world.run_until(800 * MS);
            let longest = world.vms.iter().map(|vm| vm.guest.unit).max().unwrap_or(0);
            let (requests, lent) = check(&world, longest, 0);
            assert!(requests > 20, "seed {seed}: {requests} requests");
            borrowed[at] += lent;
        }
    }
    assert_eq!(borrowed[0], 0, "one engine lends to nobody else's VMs");
    assert!(
        borrowed[1] > 0 && borrowed[2] > 0,
        "several do: {borrowed:?}"
    );
}

#[test]
fn given_grace_then_it_counts_as_part_of_l_and_nothing_more() {
    for seed in seeds("grace", 12) {
        for engines in ENGINES {
            let mut random = Random::new(seed ^ 0x9c);
            let mut guests = set_up(&mut random, engines);
            for guest in &mut guests {
                guest.profile.slice = Nanos(random.within(0, 3 * MS));
                guest.profile.grace = Nanos(random.within(0, 2 * MS));
            }
            let mut world = world(seed, config(engines), guests);
            world.run_until(800 * MS);
            // With slices a request's last piece counts as a whole request: of its own, and of somebody else.
            for index in 0..world.vms.len() {
                let vm = &world.vms[index];
                let share = u64::from(vm.profile().guarantee.get());
                let own = world.request_of(index) * 1_000_000 / share;
                let late = worst_lateness(vm, 0);
                let allowed = own + world.longest_request();
                if late > i128::from(allowed) + ROUNDING {
                    world.fail(
                        "latency",
                        &format!("VM {index} was {late} ns late, allowed are {allowed}"),
                    );
                }
            }
        }
    }
}

#[test]
fn given_client_vms_and_best_effort_beside_them_then_the_bound_of_those_with_a_guarantee_holds() {
    for seed in seeds("beside", 12) {
        for engines in ENGINES {
            let mut random = Random::new(seed ^ 0xc1);
            let mut guests = set_up(&mut random, engines);
            for guest in &mut guests {
                let parts = guest.profile.guarantee.get();
                guest.profile.guarantee = crate::guest::ppm((parts * 4 / 5).max(1));
            }
            for id in 0..6 {
                let unit = random.within(100 * US, 4 * MS);
                let guest =
                    Guest::new(1_000 + id, 0, unit, Load::busy(unit)).hang_timeout(100 * MS);
                guests.push(if id % 2 == 0 { guest.client() } else { guest });
            }
            let config = SchedulerConfig {
                host_guarantee: crate::guest::ppm(150_000),
                ..config(engines)
            };
            let mut world = world(seed, config, guests);
            world.run_until(800 * MS);
            let longest = world.vms.iter().map(|vm| vm.guest.unit).max().unwrap_or(0);
            check(&world, longest, 0);
        }
    }
}

#[test]
fn given_a_vm_that_hangs_until_it_is_locked_out_then_the_others_are_late_by_what_it_took_and_later_not_at_all()
 {
    for seed in seeds("bound_hangs", 12) {
        for engines in ENGINES {
            let mut random = Random::new(seed ^ 0x4a);
            let mut guests = set_up(&mut random, engines);
            let timeout = random.within(21, 40) * MS;
            let Some(guilty) = guests.first_mut() else {
                continue;
            };
            guilty.profile.hang_timeout = Nanos(timeout);
            guilty.habits.hangs = 1;
            guilty.load = Load::busy(guilty.unit);
            let (id, share) = (guilty.id, u64::from(guilty.profile.guarantee.get()));
            let config = SchedulerConfig {
                quarantine: Some(Quarantine {
                    resets: 3,
                    within: Nanos(60_000 * MS),
                }),
                ..config(engines)
            };
            let mut world = world(seed, config, guests);
            world.run_until(1_200 * MS);
            let longest = world.vms.iter().map(|vm| vm.guest.unit).max().unwrap_or(0);
            let stall = timeout + world.reset_cost;
            let guilty = world
                .vms
                .iter()
                .find(|vm| vm.guest.id == id)
                .expect("it is here");
            let stalls = guilty.charged;
            assert!(
                guilty.resets <= 3 && stalls == guilty.resets * stall,
                "seed {seed}: {guilty:?}"
            );
            check(&world, longest + stalls, 0);
            // What it owes is what the others have missed: paid at its share, from its last reset on.
            if guilty.quarantined {
                let last = guilty.ran.last().map_or(0, |ran| ran.end);
                check(&world, longest, last + stalls * 1_000_000 / share);
            }
        }
    }
}

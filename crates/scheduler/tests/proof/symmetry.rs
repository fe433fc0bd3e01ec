// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What must not matter: the names of VMs, where the clock stands, and in which unit time and weights are counted.

use rondo_scheduler::{Nanos, Policy, SchedulerConfig};

use crate::guest::{Guest, Load, MS, US};
use crate::random::Random;
use crate::storm::{POLICIES, Weather, seeds, storm, storm_of};
use crate::world::World;

#[test]
fn given_other_names_then_only_the_names_in_the_actions_change() {
    for seed in seeds("names", 24) {
        let one = storm(seed, Weather::ALL, &[]);
        // Worlds hash VMs by their index.
        let backwards = storm_of(seed, Weather::ALL, &[], None, |id| u32::MAX - id);
        let scattered = storm_of(seed, Weather::ALL, &[], None, |id| {
            id.wrapping_mul(2_654_435_761)
        });
        assert_eq!(one.hash, backwards.hash, "seed {seed}: backwards");
        assert_eq!(one.hash, scattered.hash, "seed {seed}: scattered");
    }
}

#[test]
fn given_a_clock_that_starts_anywhere_and_wraps_then_nothing_else_changes() {
    for seed in seeds("clock", 24) {
        let one = storm_of(seed, Weather::ALL, &[], Some(0), |id| id);
        for origin in [1, 1 << 63, u64::MAX - 40 * MS, u64::MAX] {
            let other = storm_of(seed, Weather::ALL, &[], Some(origin), |id| id);
            assert_eq!(one.hash, other.hash, "seed {seed}, clock from {origin}");
        }
    }
}

#[test]
fn given_the_same_storm_then_the_same_actions() {
    let mut seen = std::collections::HashSet::new();
    for seed in seeds("determinism", 24) {
        let one = storm(seed, Weather::ALL, &[]);
        assert_eq!(one.hash, storm(seed, Weather::ALL, &[]).hash, "seed {seed}");
        seen.insert(one.hash);
    }
    assert!(seen.len() >= 24, "the hash tells storms apart: {seen:?}");
}

/// Shares that divide the whole, as do their doubles: the arithmetic is exact.
const SHARES: [u32; 6] = [12_500, 25_000, 31_250, 50_000, 62_500, 125_000];

/// A set-up in which all times are multiples of `time`, and all weights of `weight`.
fn set_up(seed: u64, policy: Policy, engines: u16, time: u64, weight: u32, busy: bool) -> World {
    let mut random = Random::new(seed);
    let guests = (0..3 * u32::from(engines)).map(|id| {
        let unit = random.within(50, 3_000) * US;
        let parts = SHARES[random.within(0, 5) as usize];
        let mut at = 0;
        let load = if busy || random.one_in(3) {
            Load::busy(unit * time)
        } else {
            let some = (0..60).map(|_| {
                at += random.within(0, 6_000) * US;
                (at * time, unit * random.within(1, 3) * time)
            });
            Load::List(some.collect())
        };
        let slice = random.within(0, 1) * random.within(0, 4 * MS) * time;
        let mut guest = Guest::new(id, parts * weight, unit * time, load).slice(slice);
        guest.profile.grace = Nanos(random.within(0, 1) * random.within(0, MS) * time);
        guest.profile.hang_timeout = Nanos(100 * MS * time);
        guest
    });
    let guests = guests.collect();
    let config = SchedulerConfig {
        policy,
        engines,
        ..SchedulerConfig::default()
    };
    let mut world = World::new(seed, config, guests, &[]);
    world.run_until(200 * MS * time);
    world
}

/// What each VM ran, times counted in `time`.
fn trace(world: &World, time: u64) -> Vec<Vec<(u16, u64, u64)>> {
    let ran = |vm: &crate::books::Vm| {
        vm.ran
            .iter()
            .map(|ran| (ran.engine.0, ran.start / time, ran.end / time))
            .collect()
    };
    world.vms.iter().map(ran).collect()
}

#[test]
fn given_all_times_seven_times_as_long_then_the_order_is_the_same() {
    for seed in seeds("time", 16) {
        // The frame of `fixed` is as long as it is.
        for &policy in POLICIES.iter().filter(|&&policy| policy != Policy::Fixed) {
            for engines in [1, 2, 4] {
                let one = set_up(seed, policy, engines, 1, 1, false);
                let other = set_up(seed, policy, engines, 7, 1, false);
                assert!(one.grants > 20, "seed {seed}: something happens");
                assert_eq!(
                    trace(&one, 1),
                    trace(&other, 7),
                    "seed {seed}, {policy:?} on {engines}"
                );
            }
        }
    }
}

#[test]
fn given_fair_when_all_weights_are_doubled_then_nothing_changes() {
    for seed in seeds("weights", 32) {
        for policy in [Policy::Fair, Policy::BestEffort] {
            let one = set_up(seed, policy, 1, 1, 1, true);
            let other = set_up(seed, policy, 1, 1, 2, true);
            assert_eq!(trace(&one, 1), trace(&other, 1), "seed {seed}, {policy:?}");
        }
    }
}

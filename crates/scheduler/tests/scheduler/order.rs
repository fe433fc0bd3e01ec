// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The same events give the same actions, whatever VMs are called and wherever the clock stands.

use rondo_scheduler::{Policy, VmId};

use crate::setups::{Units, adversarial};
use crate::world::{Guest, MS, POLICIES, World};

fn mixed(seed: u64) -> Vec<Guest> {
    let mut guests = adversarial(seed, Units::Announced);
    for (n, guest) in guests.iter_mut().enumerate() {
        guest.profile.slice = rondo_scheduler::Nanos(n as u64 % 3 * MS);
        if n % 4 == 1 {
            guest.profile.limit = Some(guest.profile.guarantee);
        }
    }
    guests
}

fn set_ups() -> impl Iterator<Item = (u64, Policy)> {
    (1..=8).flat_map(|seed| POLICIES.map(|policy| (seed, policy)))
}

fn hash_of(mut world: World) -> u64 {
    world.run_until(500 * MS);
    world.hash
}

#[test]
fn given_the_same_seed_then_the_same_actions() {
    let mut seen = std::collections::HashSet::new();
    for (seed, policy) in set_ups() {
        let hash = hash_of(World::under(policy, seed, mixed(seed)));
        assert_eq!(
            hash,
            hash_of(World::under(policy, seed, mixed(seed))),
            "{policy:?}, seed {seed}"
        );
        assert!(
            seen.insert((policy, hash)),
            "{policy:?}, seed {seed}: the hash tells worlds apart"
        );
    }
}

#[test]
fn given_other_names_for_the_vms_then_only_the_names_in_the_actions_change() {
    for (seed, policy) in set_ups() {
        let hash = hash_of(World::under(policy, seed, mixed(seed)));
        let renamed = |name: fn(u32) -> u32| {
            let mut guests = mixed(seed);
            for guest in &mut guests {
                guest.id = VmId(name(guest.id.0));
            }
            hash_of(World::under(policy, seed, guests))
        };
        // The world hashes VMs by their index.
        assert_eq!(
            hash,
            renamed(|id| u32::MAX - id),
            "{policy:?}, seed {seed}: backwards"
        );
        assert_eq!(
            hash,
            renamed(|id| id.wrapping_mul(2_654_435_761)),
            "{policy:?}, seed {seed}: scattered"
        );
    }
}

#[test]
fn given_a_clock_that_wraps_then_nothing_else_changes() {
    for (seed, policy) in set_ups() {
        let hash = hash_of(World::under(policy, seed, mixed(seed)));
        for origin in [1, 1 << 63, u64::MAX - 100 * MS, u64::MAX] {
            let world = World::starting_at(origin, policy, seed, mixed(seed));
            assert_eq!(
                hash,
                hash_of(world),
                "{policy:?}, seed {seed}, clock from {origin}"
            );
        }
    }
}

#[test]
fn given_all_times_a_thousand_times_as_long_then_the_same_order() {
    for seed in 1..=5 {
        let order = |factor: u64| {
            let mut guests = adversarial(seed, Units::Whole);
            for (count, guest) in guests.iter_mut().enumerate() {
                guest.unit = guest.unit / 1_000 * factor;
                guest.profile.max_unit = Some(rondo_scheduler::Nanos(guest.unit));
                guest.profile.hang_timeout = rondo_scheduler::Nanos(u64::MAX);
                // Shares that divide evenly, so that scaling is exact.
                guest.profile.guarantee =
                    crate::world::ppm([10_000, 20_000, 40_000, 50_000][count % 4]);
                guest.load = crate::world::Load::busy(guest.unit);
            }
            let mut world = World::new(seed, guests);
            world.run_until(500_000 * factor);
            let mut units: Vec<(u64, usize)> = Vec::new();
            for (index, client) in world.clients.iter().enumerate() {
                units.extend(client.ran.iter().map(|&(start, _)| (start / factor, index)));
            }
            units.sort_unstable();
            units
        };
        assert_eq!(order(1_000), order(1_000_000), "seed {seed}");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What holds under every policy, whoever comes and goes: the world's own checks, and that nobody is forgotten.

use rondo_scheduler::{Nanos, Policy};

use crate::random::Random;
use crate::setups::{Units, adversarial};
use crate::world::{Guest, Load, MS, POLICIES, US, World, ppm};

/// Set-ups with room for those who join: half of every guarantee.
fn halved(seed: u64, units: Units) -> Vec<Guest> {
    let mut guests = adversarial(seed, units);
    for guest in &mut guests {
        guest.profile.guarantee = ppm((guest.profile.guarantee.get() / 2).max(1));
    }
    guests
}

#[test]
fn given_vms_that_join_leave_and_change_at_random_then_every_nanosecond_is_charged_once_and_no_time_wasted()
 {
    for (seed, policy) in (1..=8).flat_map(|seed| POLICIES.map(|policy| (seed, policy))) {
        let mut random = Random::new(seed ^ 0xe7e);
        let mut world = World::under(policy, seed, halved(seed, Units::Announced));
        let staying = world.clients.len();
        let mut joined: Vec<usize> = Vec::new();
        for name in 100..300 {
            let pause = random.within(0, 4 * MS);
            world.run_until(world.now + pause);
            match random.within(0, 2) {
                0 if !joined.is_empty() => {
                    let at = random.within(0, joined.len() as u64 - 1) as usize;
                    world.leave(joined.swap_remove(at));
                }
                1 => {
                    let index = random.within(1, staying as u64 - 1) as usize;
                    let mut profile = world.clients[index].guest.profile;
                    let most = 250_000 / staying as u64;
                    profile.guarantee = ppm(random.within(1, most) as u32);
                    profile.slice = Nanos(random.within(0, 5 * MS));
                    world.set_profile(index, profile);
                }
                // A leaver's last unit still runs, so its part may not be free yet: five at most.
                _ if joined.len() < 4 => {
                    let unit = random.within(100 * US, 5 * MS);
                    let guest = Guest::new(name, 50_000, unit, Load::busy(unit));
                    joined.push(world.join(guest));
                }
                _ => {}
            }
        }
        // Those who came have work at all times; a second is many times what any of them may have to wait.
        for (index, client) in world.clients.iter_mut().enumerate() {
            client.ran.retain(|_| !joined.contains(&index));
        }
        world.run_until(world.now + 1_000 * MS);
        for index in joined {
            assert!(
                !world.clients[index].ran.is_empty(),
                "{policy:?}, seed {seed}: VM {index} starves"
            );
        }
    }
}

#[test]
fn given_units_that_are_longer_than_declared_then_whoever_has_work_still_runs() {
    for (seed, policy) in (1..=8).flat_map(|seed| POLICIES.map(|policy| (seed, policy))) {
        let mut random = Random::new(seed);
        let guests = (0..6)
            .map(|id| {
                let unit = random.within(MS, 12 * MS);
                let mut guest = Guest::new(id, 150_000, unit, Load::busy(unit));
                guest.profile.max_unit = (id % 3 != 0).then_some(Nanos(unit / (u64::from(id) + 1)));
                guest
            })
            .collect();
        let mut world = World::under(policy, seed, guests);
        world.run_until(3_000 * MS);
        for client in &world.clients {
            let work = client.work_in(1_000 * MS, 3_000 * MS);
            // Best effort promises a turn, of a unit; the others a share, which `fixed` does not exceed.
            let least = if policy == Policy::BestEffort {
                2_000 * MS / 72
            } else {
                200 * MS
            };
            assert!(
                work >= least,
                "{policy:?}, seed {seed}: VM {} got {work}",
                client.guest.id.0
            );
        }
    }
}

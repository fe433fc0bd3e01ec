// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What others do moves a VM that stays within its share by at most one unit of theirs; under `fixed`, not at all.

use rondo_scheduler::{Nanos, Policy, SchedulerConfig};

use crate::guest::{Guest, Load, MS, US};
use crate::random::Random;
use crate::storm::seeds;
use crate::world::World;

const ENGINES: [u16; 3] = [1, 2, 4];

/// What the neighbours do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loads {
    Absent,
    Asleep,
    Busy,
    /// At random; the number is a seed.
    Wild(u64),
}

const LOADS: [Loads; 5] = [
    Loads::Absent,
    Loads::Asleep,
    Loads::Busy,
    Loads::Wild(1),
    Loads::Wild(2),
];

const JOB: u64 = 400 * US;
const SHARE: u32 = 125_000;
/// One job in exactly as long as the VM's own slower engine takes for it.
const PERIOD: u64 = JOB * 8;
const JOBS: u64 = 100;

/// A victim that wants exactly its share, evenly, and seven neighbours per engine with units up to `most`.
fn world(policy: Policy, engines: u16, seed: u64, most: u64, loads: Loads) -> World {
    let config = SchedulerConfig {
        policy,
        engines,
        ..SchedulerConfig::default()
    };
    let mut random = Random::new(seed);
    let first = random.within(0, 5 * MS);
    let mut guests = vec![Guest::new(
        0,
        SHARE,
        JOB,
        Load::periodic(first, PERIOD, JOB, JOBS),
    )];
    let neighbours = if loads == Loads::Absent {
        0
    } else {
        8 * u32::from(engines) - 1
    };
    for id in 1..=neighbours {
        let unit = random.within(50 * US, most);
        let load = match loads {
            Loads::Absent | Loads::Asleep => Load::List([].into()),
            Loads::Busy => Load::busy(unit),
            Loads::Wild(other) => {
                let mut random = Random::new(seed ^ other << 32 ^ u64::from(id));
                let pause = (1, random.within(1, 20 * MS));
                Load::Closed {
                    length: (1, unit * random.within(1, 3)),
                    pause,
                }
            }
        };
        guests.push(Guest::new(id, SHARE, unit, load).hang_timeout(100 * MS));
    }
    let mut world = World::new(seed, config, guests, &[]);
    world.run_until(first + JOBS * PERIOD + 100 * MS);
    assert_eq!(
        world.vms[0].completions.len() as u64,
        JOBS,
        "seed {seed}, {loads:?}"
    );
    world
}

#[test]
fn given_another_load_of_all_neighbours_then_a_vm_within_its_share_is_moved_by_at_most_one_l() {
    for seed in seeds("neighbours", 8) {
        for engines in ENGINES {
            let most = 4 * MS;
            let run = |loads| world(Policy::Guaranteed, engines, seed, most, loads);
            for loads in LOADS {
                let moved = run(loads);
                for job in &moved.vms[0].completions {
                    // Its own slower engine would end it at `arrival + PERIOD`, whatever the neighbours do.
                    if job.end > job.arrival + PERIOD + most + 2 {
                        moved.fail("interference", &format!("{loads:?}: {job:?}"));
                    }
                }
            }
        }
    }
}

#[test]
fn given_busy_neighbours_with_other_units_then_completions_move_by_at_most_one_l_beyond_the_vms_own_stretch()
 {
    for seed in seeds("neighbours_busy", 8) {
        for engines in ENGINES {
            let calm = world(Policy::Guaranteed, engines, seed, MS, Loads::Busy);
            let rough = world(Policy::Guaranteed, engines, seed, 4 * MS, Loads::Busy);
            let pairs = calm.vms[0]
                .completions
                .iter()
                .zip(&rough.vms[0].completions);
            for (one, other) in pairs {
                let moved = one.end.abs_diff(other.end);
                if one.arrival != other.arrival || moved > PERIOD - JOB + 4 * MS + 2 {
                    rough.fail("interference", &format!("{one:?} became {other:?}"));
                }
            }
        }
    }
}

#[test]
fn given_fixed_when_neighbours_do_anything_within_their_slots_then_the_vm_starts_at_the_same_nanosecond()
 {
    for seed in seeds("fixed", 8) {
        for engines in ENGINES {
            // Slots are 2 ms.
            let run = |loads| world(Policy::Fixed, engines, seed, 2 * MS, loads);
            let alone = run(Loads::Asleep);
            for loads in LOADS {
                let other = run(loads);
                if alone.vms[0].ran != other.vms[0].ran {
                    other.fail("fixed", &format!("{loads:?} moved the VM"));
                }
            }
        }
    }
}

#[test]
fn given_fixed_when_a_neighbour_has_another_slice_grace_or_priority_then_nothing_moves() {
    for seed in seeds("fixed_profiles", 4) {
        let alone = world(Policy::Fixed, 2, seed, 2 * MS, Loads::Wild(1));
        let config = alone.config;
        let guests = alone.vms.iter().map(|vm| {
            let mut guest = vm.guest.clone();
            guest.profile.slice = Nanos(u64::from(guest.id.0) * 100 * US);
            guest.profile.grace = Nanos(u64::from(guest.id.0) * 50 * US);
            guest.profile.priority = rondo_scheduler::Priority::High;
            guest
        });
        let mut other = World::new(seed, config, guests.collect(), &[]);
        other.run_until(alone.now);
        assert_eq!(alone.vms[0].ran, other.vms[0].ran, "seed {seed}");
        assert_eq!(alone.hash, other.hash, "seed {seed}: nor does anybody else");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Storms: random set-ups in which VMs of every character come, go, change, lie and hang, at any number of engines.
//!
//! What a storm may contain is its [`Weather`]; which, its seed. `RONDO_PROOF_CASES` multiplies the number of storms.

use rondo_scheduler::{
    EngineId, Event, Nanos, Policy, Ppm, Priority, Quarantine, SchedulerConfig, VmId, VmProfile,
};

use crate::guest::{Guest, Habits, Load, MS, US, ppm};
use crate::random::Random;
use crate::world::{Promise, World};

pub const POLICIES: &[Policy] = &[
    Policy::Guaranteed,
    Policy::Fixed,
    Policy::Fair,
    Policy::BestEffort,
];
const ENGINES: [u16; 6] = [1, 1, 1, 2, 3, 4];
/// How many things are done to a world from outside.
const STEPS: u64 = 60;

/// Seeds that once broke something: run before all others.
const KEPT: &str = include_str!("seeds.txt");

/// What may happen in a storm.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub policies: &'static [Policy],
    /// VMs join and leave.
    pub churn: bool,
    /// Profiles change.
    pub profiles: bool,
    /// The policy changes.
    pub switches: bool,
    /// Units are longer than declared, or never end.
    pub mischief: bool,
    /// Reports come late, units are cut short, VMs have no work after all, timers ring too soon, nonsense is said.
    pub sloppiness: bool,
    pub limits: bool,
    pub clients: bool,
}

impl Weather {
    /// Everything at once.
    pub const ALL: Self = Self {
        policies: POLICIES,
        churn: true,
        profiles: true,
        switches: true,
        mischief: true,
        sloppiness: true,
        limits: true,
        clients: true,
    };

    /// VMs that behave, and stay as they are.
    pub const CALM: Self = Self {
        policies: POLICIES,
        churn: false,
        profiles: false,
        switches: false,
        mischief: false,
        sloppiness: false,
        limits: false,
        clients: false,
    };
}

/// How many times as many cases as usual are asked for.
pub fn cases(usual: u64) -> u64 {
    let factor = std::env::var("RONDO_PROOF_CASES").ok();
    usual * factor.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The seeds of a test: those that were kept for it, then `usual` others.
pub fn seeds(test: &str, usual: u64) -> impl Iterator<Item = u64> {
    let kept: Vec<u64> = KEPT
        .lines()
        .filter_map(|line| {
            line.split_once('#')
                .map_or(Some(line), |(seed, _)| Some(seed))
        })
        .filter_map(|line| line.trim().split_once(' '))
        .filter(|(name, _)| *name == test)
        .map(|(_, seed)| seed.trim().parse().expect("a seed is a number"))
        .collect();
    kept.into_iter().chain(1..=cases(usual))
}

/// Runs `usual` storms, asking the promises after every event. Returns how many events there were.
pub fn storms(test: &str, usual: u64, weather: Weather, promises: &[Promise]) -> u64 {
    let mut events = 0;
    for seed in seeds(test, usual) {
        events += storm(seed, weather, promises).events;
    }
    println!("{test}: {events} events");
    events
}

/// One storm; its world as it is afterwards.
pub fn storm(seed: u64, weather: Weather, promises: &[Promise]) -> World {
    storm_of(seed, weather, promises, None, |id| id)
}

/// A storm under other names, and with a clock that starts at `origin` if that is given.
pub fn storm_of(
    seed: u64,
    weather: Weather,
    promises: &[Promise],
    origin: Option<u64>,
    rename: fn(u32) -> u32,
) -> World {
    let mut random = Random::new(seed ^ 0x0573_044d);
    let mut world = set_up(&mut random, seed, weather, promises, origin, rename);
    let mut name = 100;
    for _ in 0..STEPS {
        let pause = random.within(0, 3 * MS);
        world.run_until(world.now + pause);
        let count = world.vms.len() as u64;
        let chosen = random.within(0, count.max(1) - 1) as usize;
        let here = world.vms.get(chosen).is_some_and(|vm| vm.here);
        match random.within(0, 9) {
            0 | 1 if weather.churn && here => world.leave(chosen),
            2 | 3 if weather.churn => {
                // Some come back under the name that they had.
                let id = if random.one_in(3) {
                    random.within(0, 9)
                } else {
                    name
                };
                name += 1;
                let guest = guest(&mut random, rename(id as u32), 4, weather);
                let _refused = world.join(guest);
            }
            4 | 5 if weather.profiles && here => {
                let profile = profile(&mut random, world.vms[chosen].guest.unit, 4, weather);
                let profile = VmProfile {
                    max_unit: world.vms[chosen].profile().max_unit,
                    ..profile
                };
                let _refused = world.set_profile(chosen, profile);
            }
            6 if weather.switches => {
                let policy =
                    weather.policies[random.within(0, 3) as usize % weather.policies.len()];
                world.set_policy(policy);
            }
            7 if weather.mischief && here => world.pardon(chosen),
            8 if weather.sloppiness && here => world.say_ready(chosen),
            9 if weather.sloppiness => nonsense(&mut random, &mut world, chosen),
            _ => {}
        }
    }
    world.run_until(world.now + 20 * MS);
    world
}

fn set_up(
    random: &mut Random,
    seed: u64,
    weather: Weather,
    promises: &[Promise],
    origin: Option<u64>,
    rename: fn(u32) -> u32,
) -> World {
    let policy = weather.policies[random.within(0, 3) as usize % weather.policies.len()];
    let engines = ENGINES[random.within(0, 5) as usize];
    let part = |random: &mut Random| {
        ppm(if random.one_in(3) {
            random.within(0, 200_000) as u32
        } else {
            0
        })
    };
    let config = SchedulerConfig {
        policy,
        engines,
        reserve: part(random),
        host_guarantee: if weather.clients {
            part(random)
        } else {
            Ppm::default()
        },
        quarantine: (!random.one_in(4)).then(|| Quarantine {
            resets: random.within(1, 3) as u8,
            within: Nanos(random.within(5, 60) * MS),
        }),
    };
    let count = random.within(2, 4 + 2 * u64::from(engines));
    // The clock wraps around in the middle of it.
    let wraps = u64::MAX - random.within(0, 60 * MS);
    let origin = origin.unwrap_or(wraps);
    let mut world = World::starting_at(origin, seed, config, Vec::new(), promises);
    for id in 0..count {
        let each = count.div_ceil(u64::from(engines));
        let _refused = world.join(guest(random, rename(id as u32), each, weather));
    }
    world
}

fn guest(random: &mut Random, id: u32, each: u64, weather: Weather) -> Guest {
    let unit = match random.within(0, 2) {
        0 => random.within(20, 200) * US,
        _ => random.within(100 * US, 3 * MS),
    };
    let pause = match random.within(0, 3) {
        0 => (0, 0),
        // Sleeps just long enough to be forgotten.
        1 => (1, unit / 4 + 1),
        2 => (1, 4 * unit),
        _ => (1, 10 * MS),
    };
    let load = Load::Closed {
        length: (1, unit * random.within(1, 4)),
        pause,
    };
    let mut guest = Guest::new(id, 0, unit, load);
    guest.announces = random.one_in(3);
    guest.profile = profile(random, unit, each, weather);
    if weather.mischief && random.one_in(3) {
        guest.habits.lies = random.within(0, 6);
        guest.habits.hangs = random.within(0, 1) * random.within(4, 12);
    }
    if weather.sloppiness {
        guest.habits = Habits {
            yields: random.within(0, 3),
            dawdles: random.within(0, 4),
            ..guest.habits
        };
    }
    if weather.clients && random.one_in(4) {
        guest = guest.client();
        guest.profile.limit = None;
    }
    guest
}

/// What a VM may be promised if there are `each` of them on an engine.
fn profile(random: &mut Random, unit: u64, each: u64, weather: Weather) -> VmProfile {
    let most = 1_000_000 / each.max(1);
    let guarantee = if random.one_in(6) {
        0
    } else {
        random.within(10_000, most) as u32
    };
    let limit = weather.limits && random.one_in(3);
    VmProfile {
        guarantee: ppm(guarantee),
        limit: limit
            .then(|| ppm(random.within(u64::from(guarantee.max(20_000)), 1_000_000) as u32)),
        slice: Nanos(if random.one_in(2) {
            0
        } else {
            random.within(1, 5 * MS)
        }),
        max_unit: (!weather.mischief || !random.one_in(3)).then_some(Nanos(unit)),
        grace: Nanos(if random.one_in(3) {
            random.within(1, MS)
        } else {
            0
        }),
        hang_timeout: Nanos(random.within(4, 12) * MS),
        priority: [Priority::Low, Priority::Normal, Priority::High][random.within(0, 2) as usize],
        ..VmProfile::default()
    }
}

/// Says what makes no sense, or has no effect. Said twice at one instant, so that time is not what changes things.
fn nonsense(random: &mut Random, world: &mut World, chosen: usize) {
    world.ring();
    let known = world.vms.get(chosen).map_or(VmId(7), |vm| vm.guest.id);
    let nobody = VmId(4_000_000);
    let engine = EngineId(random.within(0, 5) as u16);
    let holds = world.scheduler.holder(engine) == Some(known);
    let event = match random.within(0, 6) {
        0 => Event::Ready { vm: nobody },
        1 => Event::RemoveVm { vm: nobody },
        2 => Event::Pardon { vm: nobody },
        3 if !holds => Event::UnitDone {
            engine,
            vm: known,
            ran: Nanos(random.within(0, MS)),
            more: random.one_in(2),
        },
        4 => Event::SetProfile {
            vm: nobody,
            profile: VmProfile::default(),
        },
        5 => Event::UnitBound {
            vm: nobody,
            at_most: None,
        },
        _ => Event::Timer,
    };
    let refused = world.tell(event).is_err();
    if refused == matches!(event, Event::Timer) {
        world.fail(
            "actions",
            &format!("{event:?} was not answered as it should be"),
        );
    }
}

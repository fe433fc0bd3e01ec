// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Every reachable state of small worlds: up to three VMs with up to three jobs, in every order of arrivals, ends of units of
//! several lengths, timers, and one change each of profile, policy and membership.
//!
//! States are visited depth first. A scheduler cannot be copied, so a state is reached again by the choices that led to it; two
//! states are one if everything that they hold prints the same. In each of them all promises hold, and there is
//! progress: if a VM may run and an engine is free, something is bound to happen. From each last one
//! everybody's work gets done.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use rondo_scheduler::{Mode, Nanos, Policy, Quarantine, SchedulerConfig, VmProfile};

use crate::guest::{Guest, Load, MS, ppm};
use crate::promises;
use crate::storm::POLICIES;
use crate::world::{Promise, World};

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
enum Choice {
    /// A VM gets a job.
    Arrive(usize),
    /// The unit on an engine ends, so long after it began.
    End {
        engine: usize,
        length: u64,
    },
    /// The timer rings, at its instant.
    Ring,
    SetProfile(usize),
    SetPolicy(Policy),
    Remove(usize),
}

/// A small world, and how much of it is looked at.
#[derive(Clone, Copy, Debug)]
struct Small {
    policy: Policy,
    engines: u16,
    vms: usize,
    jobs: usize,
    lengths: &'static [u64],
    /// How many changes of each kind.
    changes: usize,
    depth: usize,
}

/// The longest unit that is declared.
const UNIT: u64 = 3 * MS;
const HANG: u64 = 8 * MS;

const PROMISES: [Promise; 9] = [
    promises::conservation,
    promises::states,
    promises::no_waste,
    promises::no_throttling_without_cause,
    promises::limits,
    promises::monotone,
    promises::debts,
    promises::hangs,
    promises::admission,
];

impl Small {
    fn world(&self) -> World {
        let config = SchedulerConfig {
            policy: self.policy,
            engines: self.engines,
            quarantine: Some(Quarantine {
                resets: 1,
                within: Nanos(60 * MS),
            }),
            ..SchedulerConfig::default()
        };
        let guest = |id, parts| {
            let mut guest = Guest::new(id, parts, UNIT, Load::List([].into()));
            // When a unit ends is chosen, not drawn.
            guest.habits.hangs = 1;
            guest.profile.hang_timeout = Nanos(HANG);
            guest
        };
        let mut limited = guest(2, 200_000);
        limited.profile.limit = Some(ppm(500_000));
        let all = [guest(0, 500_000).slice(4 * MS), guest(1, 300_000), limited];
        World::new(0, config, all.into_iter().take(self.vms).collect(), &[])
    }

    /// What may happen next, after `done`.
    fn choices(&self, world: &World, done: &[Choice]) -> Vec<Choice> {
        let mut choices = Vec::new();
        let count = |what: fn(&Choice) -> bool| done.iter().filter(|&choice| what(choice)).count();
        // The first unit that must have ended.
        let units = world
            .engines
            .iter()
            .flatten()
            .filter_map(|hold| hold.unit.as_ref());
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        let must = units
            .map(|unit| unit.end.unwrap_or(unit.start + longest))
            .min();
        for index in 0..world.vms.len() {
            let given = done
                .iter()
                .filter(|choice| matches!(choice, Choice::Arrive(to) if *to == index));
            if world.vms[index].here && given.count() < self.jobs {
                choices.push(Choice::Arrive(index));
            }
        }
        for (engine, hold) in world.engines.iter().enumerate() {
            let Some(unit) = hold.as_ref().and_then(|hold| hold.unit.as_ref()) else {
                continue;
            };
            let ends = self.lengths.iter().map(|length| unit.start + length);
            let ends = if unit.end.is_some() {
                unit.end.into_iter().collect()
            } else {
                ends.collect::<Vec<_>>()
            };
            let rings = world.wake_at.unwrap_or(u64::MAX);
            for end in ends {
                if end >= world.now && end <= rings && must.is_none_or(|must| end <= must) {
                    choices.push(Choice::End {
                        engine,
                        length: end - unit.start,
                    });
                }
            }
        }
        if let Some(at) = world.wake_at
            && must.is_none_or(|must| at <= must)
        {
            choices.push(Choice::Ring);
        }
        if count(|choice| matches!(choice, Choice::SetProfile(_))) < self.changes {
            choices.push(Choice::SetProfile(0));
        }
        if count(|choice| matches!(choice, Choice::SetPolicy(_))) < self.changes {
            let others = POLICIES.iter().filter(|&&policy| policy != world.policy);
            choices.extend(others.map(|&policy| Choice::SetPolicy(policy)));
        }
        if count(|choice| matches!(choice, Choice::Remove(_))) < self.changes && world.vms[0].here {
            choices.push(Choice::Remove(0));
        }
        choices
    }
}

fn apply(world: &mut World, choice: Choice) {
    match choice {
        Choice::Arrive(index) => world.give(index, UNIT),
        Choice::End { engine, length } => end(world, engine, length),
        Choice::Ring => ring(world),
        Choice::SetProfile(index) => {
            let old = *world.vms[index].profile();
            // Another kind of VM altogether.
            let _refused = world.set_profile(
                index,
                VmProfile {
                    guarantee: ppm(100_000),
                    slice: Nanos(0),
                    limit: Some(ppm(250_000)),
                    ..old
                },
            );
        }
        Choice::SetPolicy(policy) => world.set_policy(policy),
        Choice::Remove(index) => world.leave(index),
    }
}

fn end(world: &mut World, engine: usize, length: u64) {
    let unit = world.engines[engine]
        .as_mut()
        .and_then(|hold| hold.unit.as_mut())
        .expect("it runs");
    let at = unit.start + length;
    unit.end = Some(at);
    world.pass_to(at.max(world.now));
    world.report(engine);
}

fn ring(world: &mut World) {
    let at = world.wake_at.expect("it is armed");
    world.pass_to(at.max(world.now));
    world.ring();
}

/// Everything that the scheduler and the world hold.
fn print_of(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{:?}", world.scheduler).hash(&mut hasher);
    for vm in &world.vms {
        (
            vm.here,
            vm.leaving,
            vm.claims,
            vm.woken,
            vm.quarantined,
            vm.queue.len(),
            vm.lost,
            vm.charged,
        )
            .hash(&mut hasher);
    }
    (world.now, world.wake_at, format!("{:?}", world.engines)).hash(&mut hasher);
    hasher.finish()
}

/// Something is bound to happen, if somebody may run and an engine is free.
fn check_progress(small: &Small, world: &World, path: &[Choice]) {
    let free = world.engines.iter().all(Option::is_none);
    let wants = (0..world.vms.len()).any(|index| world.claims(index) && has_a_slot(world, index));
    if free && wants && world.wake_at.is_none() {
        world.fail(
            "progress",
            &format!("nothing will ever happen after {path:?} of {small:?}"),
        );
    }
}

fn has_a_slot(world: &World, index: usize) -> bool {
    let profile = world.vms[index].profile();
    world.policy != Policy::Fixed || (profile.guarantee.get() > 0 && profile.mode == Mode::Server)
}

/// Lets everything end that has begun: everybody's work gets done.
fn check_end(small: &Small, mut world: World, path: &[Choice]) {
    for _ in 0..400 {
        let runs = |engine: &usize| {
            world.engines[*engine]
                .as_ref()
                .is_some_and(|hold| hold.unit.is_some())
        };
        let next = (0..world.engines.len()).filter(runs).min_by_key(|&engine| {
            world.engines[engine]
                .as_ref()
                .and_then(|hold| hold.unit.as_ref())
                .map(|unit| unit.end.unwrap_or(unit.start + UNIT))
        });
        let ends = next.and_then(|engine| {
            let unit = world.engines[engine].as_ref()?.unit.as_ref()?;
            Some(unit.end.unwrap_or(unit.start + UNIT).max(world.now))
        });
        match (next, ends, world.wake_at) {
            (_, Some(ends), Some(at)) if at < ends => ring(&mut world),
            (Some(engine), Some(ends), _) => {
                let start = world.engines[engine]
                    .as_ref()
                    .and_then(|hold| hold.unit.as_ref())
                    .map_or(0, |unit| unit.start);
                end(&mut world, engine, ends - start);
            }
            (_, _, Some(_)) => ring(&mut world),
            _ => break,
        }
    }
    for index in 0..world.vms.len() {
        let vm = &world.vms[index];
        if vm.here && !vm.quarantined && has_a_slot(&world, index) && !vm.queue.is_empty() {
            world.fail(
                "progress",
                &format!("VM {index} is never done after {path:?} of {small:?}"),
            );
        }
    }
}

/// Visits every state that can be reached in `small.depth` choices; how many there are.
fn explore(small: Small) -> usize {
    let mut seen = HashSet::new();
    let mut path: Vec<Choice> = Vec::new();
    // For each state on the path, what is still to be tried there.
    let root = small.world();
    let mut open = vec![small.choices(&root, &path)];
    let mut here = Some(root);
    while let Some(rest) = open.last_mut() {
        let Some(choice) = rest.pop() else {
            open.pop();
            path.pop();
            here = None;
            continue;
        };
        let mut world = here.take().unwrap_or_else(|| {
            let mut world = small.world();
            path.iter().for_each(|&choice| apply(&mut world, choice));
            world
        });
        world.ask(&PROMISES);
        apply(&mut world, choice);
        world.ask(&[]);
        path.push(choice);
        check_progress(&small, &world, &path);
        let new = seen.insert(print_of(&world));
        let next = if new {
            small.choices(&world, &path)
        } else {
            Vec::new()
        };
        if next.is_empty() || path.len() == small.depth {
            if new {
                check_end(&small, world, &path);
            }
            path.pop();
        } else {
            open.push(next);
            here = Some(world);
        }
    }
    seen.len()
}

fn explore_every_policy(small: Small, least: usize) {
    for &policy in POLICIES {
        let states = explore(Small { policy, ..small });
        println!("{policy:?}: {states} states of {small:?}");
        assert!(states >= least, "{policy:?}: only {states} states");
    }
}

const SMALL: Small = Small {
    policy: Policy::Guaranteed,
    engines: 1,
    vms: 3,
    jobs: 3,
    lengths: &[MS, UNIT],
    changes: 0,
    depth: 7,
};

#[test]
fn given_three_vms_with_three_jobs_in_any_order_then_every_promise_holds_in_every_state() {
    explore_every_policy(SMALL, 500);
}

#[test]
fn given_two_engines_when_three_vms_meet_in_any_order_then_every_promise_holds_in_every_state() {
    explore_every_policy(
        Small {
            engines: 2,
            ..SMALL
        },
        500,
    );
}

#[test]
fn given_changes_of_profile_policy_and_membership_at_any_moment_then_every_promise_holds_in_every_state()
 {
    explore_every_policy(
        Small {
            vms: 2,
            changes: 1,
            jobs: 2,
            ..SMALL
        },
        500,
    );
}

#[test]
fn given_units_that_lie_and_hang_at_any_moment_then_every_promise_holds_in_every_state() {
    let lengths = &[MS, 2 * UNIT, 3 * UNIT];
    explore_every_policy(
        Small {
            lengths,
            jobs: 2,
            ..SMALL
        },
        500,
    );
}

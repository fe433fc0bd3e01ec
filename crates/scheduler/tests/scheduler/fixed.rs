// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `fixed`: a table of slots, which nobody's load can change.

use rondo_scheduler::{
    Action, Actions, Event, Nanos, Policy, Scheduler, SchedulerConfig, VmId, VmProfile,
};

use crate::random::Random;
use crate::world::{ENGINE, Guest, Load, MS, US, World, share};

const FRAME: u64 = 16 * MS;

fn fixed(seed: u64, guests: Vec<Guest>) -> World {
    World::under(Policy::Fixed, seed, guests)
}

fn busy(id: u32, parts: u32, unit: u64) -> Guest {
    Guest::new(id, parts, unit, Load::busy(unit))
}

/// When a VM ran, adjoining units as one.
fn stretches(world: &World, index: usize) -> Vec<(u64, u64)> {
    let mut list: Vec<(u64, u64)> = Vec::new();
    for &(start, end) in &world.clients[index].ran {
        match list.last_mut() {
            Some(last) if last.1 == start => last.1 = end,
            _ => list.push((start, end)),
        }
    }
    list
}

/// The slot from `start` to `end` of the first `count` frames.
fn slots(start: u64, end: u64, count: u64) -> Vec<(u64, u64)> {
    (0..count)
        .map(|frame| (frame * FRAME + start, frame * FRAME + end))
        .collect()
}

#[test]
fn given_busy_vms_then_each_runs_in_its_slot_of_every_frame_and_the_rest_stays_idle() {
    let guests = vec![
        busy(0, 500_000, MS),
        busy(1, 187_500, 500 * US),
        busy(2, 125_000, 2 * MS),
    ];
    let mut world = fixed(1, guests);
    world.run_until(100 * FRAME);
    assert_eq!(stretches(&world, 0), slots(0, 8 * MS, 100));
    assert_eq!(stretches(&world, 1), slots(8 * MS, 11 * MS, 100));
    assert_eq!(stretches(&world, 2), slots(11 * MS, 13 * MS, 100));
    assert_eq!(world.scheduler.busy(ENGINE), Some(Nanos(100 * 13 * MS)));
}

#[test]
fn given_the_whole_table_then_its_owner_runs_without_a_gap() {
    let mut world = fixed(1, vec![busy(0, 1_000_000, 7 * MS)]);
    world.run_until(700 * MS);
    assert_eq!(stretches(&world, 0), [(0, 700 * MS)]);
}

/// The victim among four, and the neighbours' loads made from another seed: all fit their slots of 4 ms or less.
fn neighbours(victim_at: u32, seed: u64) -> Vec<Guest> {
    let mut random = Random::new(seed);
    let steady = Random::new(77).within(0, MS);
    (0..4)
        .map(|id| {
            if id == victim_at {
                let load = Load::periodic(steady, 11 * MS + 7, 3 * MS, 60);
                return Guest::new(id, 250_000, 700 * US, load).announcing();
            }
            let unit = random.within(10 * US, 4 * MS);
            let load = match random.within(0, 2) {
                0 => Load::busy(unit),
                1 => Load::Closed {
                    length: (1, 3 * unit),
                    pause: (0, 9 * MS),
                },
                _ => Load::List(Vec::new()),
            };
            Guest::new(id, 250_000, unit, load).announcing()
        })
        .collect()
}

#[test]
fn given_any_loads_of_the_neighbours_then_a_vms_units_start_and_end_at_the_same_nanoseconds() {
    for victim in 0..4 {
        let mut alone = neighbours(victim, 0);
        for guest in &mut alone {
            if guest.id.0 != victim {
                guest.load = Load::List(Vec::new());
            }
        }
        let mut alone = fixed(0, alone);
        alone.run_until(1_000 * MS);
        let alone = &alone.clients[victim as usize].ran;
        assert!(alone.len() > 200, "{} units", alone.len());
        for seed in 1..=16 {
            let mut world = fixed(seed, neighbours(victim, seed));
            world.run_until(1_000 * MS);
            assert_eq!(
                &world.clients[victim as usize].ran, alone,
                "victim {victim}, seed {seed}"
            );
        }
    }
}

#[test]
fn given_a_neighbour_that_joins_or_leaves_beside_a_vm_then_the_vm_keeps_its_place() {
    let mut world = fixed(
        1,
        vec![
            busy(0, 250_000, MS),
            busy(1, 250_000, MS),
            busy(2, 250_000, MS),
        ],
    );
    world.run_until(10 * FRAME + 9 * MS);
    world.leave(1);
    world.run_until(20 * FRAME + 3 * MS);
    // Into the gap, and behind the last.
    world.join(busy(3, 125_000, MS));
    world.join(busy(4, 250_000, MS));
    world.run_until(40 * FRAME);
    assert_eq!(stretches(&world, 0), slots(0, 4 * MS, 40));
    assert_eq!(stretches(&world, 2), slots(8 * MS, 12 * MS, 40));
    let in_the_gap = &slots(4 * MS, 6 * MS, 40)[20..];
    assert_eq!(stretches(&world, 3), in_the_gap);
    assert_eq!(stretches(&world, 4), &slots(12 * MS, 16 * MS, 40)[20..]);
    // Two gaps of 1/8 and 1/4 are left for three eighths: the table is packed.
    world.leave(4);
    world.join(busy(5, 375_000, MS));
    world.run_until(60 * FRAME);
    let last = |index| stretches(&world, index)[..].last().copied().unwrap();
    let frame = 59 * FRAME;
    assert_eq!(last(0), (frame, frame + 4 * MS));
    assert_eq!(last(3), (frame + 4 * MS, frame + 6 * MS));
    assert_eq!(last(2), (frame + 6 * MS, frame + 10 * MS));
    assert_eq!(last(5), (frame + 10 * MS, frame + 16 * MS));
}

#[test]
fn given_a_unit_that_overruns_then_its_owners_next_slots_are_left_out_and_nobody_elses_is_shorter()
{
    // 4 ms slots; the first declared 1 ms and runs 23: 19 ms too long, four slots and 3 ms of the fifth.
    let mut list = vec![(0, 23 * MS)];
    list.push((MS, 100 * MS));
    let mut liar = Guest::new(0, 250_000, 23 * MS, Load::List(list));
    liar.profile.max_unit = Some(Nanos(MS));
    let mut world = fixed(
        1,
        vec![
            liar,
            busy(1, 250_000, MS),
            busy(2, 250_000, MS),
            busy(3, 250_000, MS),
        ],
    );
    world.run_until(23 * MS);
    assert_eq!(world.lag(0), -19 * MS as i64);
    world.run_until(110 * MS);
    // Late by 19 ms, then by 4 ms less in each frame, and on time from the fifth frame on.
    let starts: Vec<u64> = stretches(&world, 1)
        .iter()
        .map(|&(start, _)| start)
        .collect();
    assert_eq!(starts[0], 4 * MS + 19 * MS);
    assert_eq!(world.clients[0].ran[1].0, 5 * FRAME + 3 * MS);
    let late: Vec<u64> = (0..5)
        .map(|n| 4 * MS + n * FRAME + (19 * MS - n * 4 * MS))
        .collect();
    assert_eq!(starts[..5], late);
    // 1, 2 and 3 have adjoining slots while 0 is left out; each still has all of its 4 ms.
    for index in 1..4 {
        for (start, end) in stretches(&world, index) {
            assert_eq!((end - start) % (4 * MS), 0, "VM {index} at {start}");
        }
    }
}

#[test]
fn given_units_that_never_fit_then_nobody_starves_and_everyone_gets_what_the_table_says() {
    for seed in 1..=16 {
        let mut random = Random::new(seed);
        let mut guests = vec![busy(0, 250_000, MS), busy(1, 250_000, 500 * US)];
        for id in 2..5 {
            guests.push(busy(id, 150_000, random.within(3 * MS, 60 * MS)));
        }
        let mut world = fixed(seed, guests);
        let end = 20_000 * MS;
        world.run_until(end);
        let hogs: u64 = world.clients[2..]
            .iter()
            .map(|client| client.guest.unit)
            .sum();
        for client in &world.clients {
            let parts = u64::from(client.guest.profile.guarantee.get());
            let (work, due) = (client.work_in(0, end), end / 1_000_000 * parts);
            assert!(
                work.abs_diff(due) <= hogs + FRAME,
                "seed {seed}: VM {} got {work} instead of {due}",
                client.guest.id.0
            );
        }
        // And a slot is late by no more than one unit of each who overruns.
        for index in 0..2 {
            let list = stretches(&world, index);
            assert!(
                list.windows(2)
                    .all(|two| two[1].0 - two[0].0 <= FRAME + hogs),
                "seed {seed}: VM {index}"
            );
        }
    }
}

#[test]
fn given_a_debt_when_the_vm_sleeps_changes_or_leaves_and_comes_back_then_it_is_paid_all_the_same() {
    let liar = || {
        let mut guest = Guest::new(0, 250_000, 40 * MS, Load::List(vec![(0, 40 * MS)]));
        guest.profile.max_unit = Some(Nanos(MS));
        guest
    };
    let owes = |world: &World, index| -world.lag(index);
    let mut world = fixed(1, vec![liar(), busy(1, 250_000, MS)]);
    world.run_until(40 * MS);
    assert_eq!(owes(&world, 0), 36 * MS as i64);
    // It sleeps: four slots of 4 ms are left out in four frames.
    world.run_until(40 * MS + 4 * (FRAME - 4 * MS));
    assert_eq!(owes(&world, 0), 20 * MS as i64);
    let mut profile = world.clients[0].guest.profile;
    for parts in [125_000, 1, 250_000] {
        profile.guarantee = crate::world::ppm(parts);
        world.set_profile(0, profile);
        assert_eq!(owes(&world, 0), 20 * MS as i64, "{parts} ppm");
    }
    world.leave(0);
    let mut again = liar();
    again.load = Load::List(vec![(0, MS)]);
    let index = world.join(again);
    assert_eq!(owes(&world, index), 20 * MS as i64);
    world.run_until(400 * MS);
    assert_eq!(owes(&world, index), 0);
    assert_eq!(world.clients[index].completions.len(), 1);
}

#[test]
fn given_a_debt_when_years_pass_at_once_then_it_is_paid_without_walking_every_frame() {
    let mut guest = Guest::new(0, 1, 40 * MS, Load::List(vec![(0, 40 * MS)]));
    guest.profile.max_unit = Some(Nanos(MS));
    let mut world = fixed(1, vec![guest, busy(1, 500_000, MS)]);
    world.leave(1);
    world.run_until(50 * MS);
    assert!(world.lag(0) < -39 * MS as i64);
    // 40 ms in slots of 16 ns are 2.5 million frames: 11 hours.
    world.now = 3_000_000 * FRAME;
    world.tell(Event::Timer);
    assert_eq!(world.lag(0), 0);
}

#[test]
fn given_no_guarantee_then_the_vm_has_no_slot_and_waits_until_it_gets_one() {
    let config = SchedulerConfig {
        policy: Policy::Fixed,
        ..SchedulerConfig::default()
    };
    let mut scheduler = Scheduler::new(config).unwrap();
    let mut actions = Actions::new();
    let mut tell = |now, event| -> Vec<Action> {
        scheduler.on(Nanos(now), event, &mut actions).unwrap();
        actions.drain().collect()
    };
    // Nobody watches for hangs, so that every timer is the table's.
    let patient = |parts| VmProfile {
        hang_timeout: Nanos(u64::MAX),
        ..share(parts)
    };
    let (vm, profile) = (VmId(7), patient(0));
    assert_eq!(tell(0, Event::AddVm { vm, profile }), []);
    assert_eq!(tell(1, Event::Ready { vm }), [], "not even a timer");
    assert_eq!(tell(3 * FRAME + MS, Event::Timer), []);
    let some = Event::SetProfile {
        vm,
        profile: patient(500_000),
    };
    let granted = Action::Grant { engine: ENGINE, vm };
    assert_eq!(tell(3 * FRAME + 2 * MS, some), [granted]);
    // Taken away in the middle of a unit: the unit is the last.
    let none = Event::SetProfile { vm, profile };
    assert_eq!(tell(3 * FRAME + 3 * MS, none), []);
    let done = Event::UnitDone {
        engine: ENGINE,
        vm,
        ran: Nanos(2 * MS),
        more: true,
    };
    let revoked = Action::Revoke { engine: ENGINE, vm };
    assert_eq!(tell(3 * FRAME + 4 * MS, done), [revoked]);
    assert_eq!(tell(9 * FRAME, Event::Timer), []);
}

#[test]
fn given_a_slot_that_is_not_open_then_a_timer_is_asked_for_and_an_overrun_is_preempted_at_its_end()
{
    let config = SchedulerConfig {
        policy: Policy::Fixed,
        ..SchedulerConfig::default()
    };
    let mut scheduler = Scheduler::new(config).unwrap();
    let mut actions = Actions::new();
    let mut tell = |now, event| -> Vec<Action> {
        scheduler.on(Nanos(now), event, &mut actions).unwrap();
        actions.drain().collect()
    };
    let (one, two) = (VmId(1), VmId(2));
    for vm in [one, two] {
        let mut profile = share(500_000);
        profile.max_unit = Some(Nanos(MS));
        profile.hang_timeout = Nanos(u64::MAX);
        assert_eq!(tell(0, Event::AddVm { vm, profile }), []);
    }
    let engine = ENGINE;
    let at = Nanos(8 * MS);
    assert_eq!(tell(1, Event::Ready { vm: two }), [Action::WakeAt { at }]);
    let granted = [Action::Grant { engine, vm: one }];
    assert_eq!(tell(2, Event::Ready { vm: one }), granted);
    let preempt = [Action::Preempt { engine, vm: one }];
    assert_eq!(tell(8 * MS, Event::Timer), preempt);
    let done = Event::UnitDone {
        engine,
        vm: one,
        ran: Nanos(9 * MS - 2),
        more: true,
    };
    // Table time stood still for a millisecond: the slot of the second ends at 17 ms.
    let next = [
        Action::Revoke { engine, vm: one },
        Action::Grant { engine, vm: two },
        Action::WakeAt { at: Nanos(17 * MS) },
    ];
    assert_eq!(tell(9 * MS, done), next);
}

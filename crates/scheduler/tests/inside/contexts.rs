// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Contexts of a process: priorities, quanta, grace, suspension.

use super::world::*;
use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

#[test]
fn given_all_priorities_then_the_highest_runs_first() {
    let mut world = World::new(BandSettings::default());
    for number in 0..15_u8 {
        let rank = number.wrapping_mul(7) % 15;
        world.busy(
            1,
            u64::from(rank),
            priority(i8::try_from(rank).unwrap() - 7),
        );
    }
    let mut order = Vec::new();
    for _ in 0..15 {
        let context = world.unit(50 * US);
        world.sleep(context);
        order.push(context);
    }
    assert_eq!(order, (0..15).rev().collect::<Vec<_>>());
}

#[test]
fn given_a_priority_then_it_means_nothing_to_other_processes() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(7));
    world.busy(2, 2, priority(-7));
    world.units(8_000, 100 * US);
    assert_eq!(world.process_time(1), world.process_time(2));
}

#[test]
fn given_equal_priorities_then_each_runs_for_its_own_quantum_in_turn() {
    let mut world = World::new(graceless(10));
    for (context, quantum) in [(1, MS), (2, 2 * MS), (3, 4 * MS)] {
        let properties = ContextProperties {
            quantum: Nanos(quantum),
            ..priority(0)
        };
        world.busy(1, context, properties);
    }
    let order = runs(&world.units(140, 100 * US));
    assert_eq!(
        order,
        [(1, 10), (2, 20), (3, 40), (1, 10), (2, 20), (3, 40)]
    );
}

#[test]
fn given_units_longer_than_a_quantum_then_time_still_follows_the_quanta() {
    let mut world = World::new(graceless(10));
    for (context, quantum) in [(1, MS), (2, 3 * MS)] {
        let properties = ContextProperties {
            quantum: Nanos(quantum),
            ..priority(0)
        };
        world.busy(1, context, properties);
    }
    for _ in 0..10_000 {
        let context = world.inside.unit_begins().unwrap();
        let length = if context == ContextId(1) {
            7 * MS
        } else {
            100 * US
        };
        world.inside.unit_done(Nanos(length));
        let (one, two) = (world.context_time(1), world.context_time(2));
        assert!((3 * one).abs_diff(two) <= 3 * (7 * MS + MS), "{one} {two}");
    }
}

#[test]
fn given_contexts_that_preempt_then_the_victim_has_the_grace_of_the_preferred_one() {
    let rival = |priority: i8| ContextProperties {
        priority: InProcessPriority::new(priority).unwrap(),
        grace_same: Nanos(500 * US),
        grace_lower: Nanos(200 * US),
        ..properties(Band::Normal)
    };
    for (priority, turn, grace) in [(0, 40, 5), (1, 3, 2)] {
        let mut world = World::new(graceless(10));
        let victim = ContextProperties {
            grace_same: Nanos(9 * MS),
            grace_lower: Nanos(9 * MS),
            ..rival(0)
        };
        world.busy(1, 1, victim);
        world.asleep(1, 2, rival(priority));
        world.units(3, 100 * US);
        world.wake(2);
        // An equal waits for the turn to end; a higher one does not. Both leave the victim its grace.
        let left = if priority == 0 { 20 - 3 } else { 0 };
        let order = runs(&world.units(turn, 100 * US));
        assert_eq!(order[0], (1, left + grace), "priority {priority}");
    }
}

#[test]
fn given_a_suspended_context_then_it_leaves_without_grace_and_keeps_its_work() {
    let mut world = World::new(BandSettings::default());
    world.busy(1, 1, ContextProperties::default());
    world.busy(1, 2, ContextProperties::default());
    world.unit(50 * US);
    let context = ContextId(1);
    assert_eq!(world.inside.unit_begins(), Some(context));
    assert_eq!(world.inside.suspend(context), Ok(true));
    assert!(!world.inside.must_yield(), "it is off already");
    world.inside.unit_done(Nanos(50 * US));
    assert_eq!(world.context_time(1), 100 * US);
    assert_eq!(world.inside.suspend(context), Ok(false));
    assert_eq!(runs(&world.units(500, 50 * US)), [(2, 500)]);
    world.sleep(2);
    assert_eq!(world.inside.next(), None);
    assert!(!world.inside.has_ready());
    assert_eq!(world.inside.resume(context), Ok(true));
    assert_eq!(world.inside.resume(context), Ok(false));
    assert_eq!(world.unit(50 * US), 1);
}

#[test]
fn given_work_for_a_suspended_context_then_it_runs_after_the_resumption() {
    let mut world = World::new(BandSettings::default());
    world.asleep(1, 1, ContextProperties::default());
    world.inside.suspend(ContextId(1)).unwrap();
    world.wake(1);
    assert_eq!(world.inside.unit_begins(), None);
    world.inside.resume(ContextId(1)).unwrap();
    assert_eq!(world.inside.unit_begins(), Some(ContextId(1)));
}

#[test]
fn given_new_properties_during_a_unit_then_they_count_from_its_end_on() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(0));
    world.busy(1, 2, priority(0));
    world.unit(50 * US);
    assert_eq!(world.inside.unit_begins(), Some(ContextId(1)));
    world
        .inside
        .set_properties(ContextId(1), properties(Band::Idle))
        .unwrap();
    assert!(world.inside.must_yield());
    world.inside.unit_done(Nanos(50 * US));
    // The unit was NORMAL's when it began.
    assert_eq!(world.band_time(Band::Normal), 100 * US);
    assert_eq!(runs(&world.units(100, 50 * US)), [(2, 100)]);
}

#[test]
fn given_priorities_that_go_up_and_down_then_no_time_is_gained() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(0));
    world.busy(1, 2, priority(0));
    world.busy(1, 3, priority(-7));
    let mut turns = 0;
    for _ in 0..40_000 {
        if world.unit(100 * US) == 1 {
            turns += 1;
            if turns % 19 == 0 {
                // Just before its quantum ends.
                world
                    .inside
                    .set_properties(ContextId(1), priority(-7))
                    .unwrap();
                world
                    .inside
                    .set_properties(ContextId(1), priority(0))
                    .unwrap();
            }
        }
    }
    let (one, two) = (world.context_time(1), world.context_time(2));
    assert!(one <= two + 4 * MS, "{one} {two}");
}

#[test]
fn given_a_context_removed_during_its_unit_then_the_time_is_counted_all_the_same() {
    let mut world = World::new(BandSettings::default());
    world.busy(1, 1, ContextProperties::default());
    world.inside.unit_begins();
    world.inside.remove_context(ContextId(1)).unwrap();
    world.inside.remove_process(ProcessId(1)).unwrap();
    world.inside.unit_done(Nanos(MS));
    assert_eq!(world.band_time(Band::Normal), MS);
    assert_eq!(world.inside.next(), None);
}

#[test]
fn given_a_context_that_sleeps_in_its_turn_then_the_turn_is_over() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(0));
    world.busy(1, 2, priority(0));
    assert_eq!(runs(&world.units(5, 100 * US)), [(1, 5)]);
    world.sleep(1);
    assert_eq!(runs(&world.units(5, 100 * US)), [(2, 5)]);
    world.wake(1);
    let order = runs(&world.units(40, 100 * US));
    assert_eq!(order, [(2, 15), (1, 20), (2, 5)], "the next one is whole");
}

#[test]
fn given_a_longer_quantum_then_what_was_run_before_is_worth_no_more() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(0));
    world.busy(1, 2, priority(0));
    assert_eq!(world.unit(20 * MS), 1);
    // Ten quanta are a fifth of one now. It waits until the other one has had as much, and one turn.
    let longer = ContextProperties {
        quantum: Nanos(100 * MS),
        ..priority(0)
    };
    for context in 1..=2 {
        let changed = world.inside.set_properties(ContextId(context), longer);
        assert_eq!(changed, Ok(()));
    }
    let order = runs(&world.units(2_500, 100 * US));
    assert_eq!(order, [(2, 1_000), (1, 1_000), (2, 500)]);
}

#[test]
fn given_a_context_that_slept_for_long_then_it_has_saved_nothing() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(0));
    world.busy(1, 2, priority(0));
    world.units(40, 100 * US);
    world.sleep(2);
    world.units(10_000, 100 * US);
    world.wake(2);
    let order = world.units(400, 100 * US);
    let second = order.iter().filter(|&&context| context == 2).count();
    assert!((200..=220).contains(&second), "{second} of 400");
}

#[test]
fn given_units_that_take_no_time_then_equals_have_their_turns_nevertheless() {
    let settings = BandSettings {
        process_quantum: [Nanos(10); 4],
        ..graceless(10)
    };
    let mut world = World::new(settings);
    for (process, context) in [(1, 1), (1, 2), (2, 3)] {
        let quick = ContextProperties {
            quantum: Nanos(5),
            ..priority(0)
        };
        world.busy(process, context, quick);
    }
    let order = runs(&world.units(40, 0));
    assert_eq!(order, [(1, 5), (2, 5), (3, 10), (1, 5), (2, 5), (3, 10)]);
    assert_eq!(world.band_time(Band::Normal), 0);
}

#[test]
fn given_a_neighbour_with_grace_then_what_it_grants_is_paid_for() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, priority(0));
    let generous = ContextProperties {
        grace_same: Nanos(500 * US),
        ..priority(0)
    };
    world.busy(1, 2, generous);
    let order = runs(&world.units(10_000, 100 * US));
    assert_eq!(order[0], (1, 25), "a quantum and the grace");
    let (one, two) = (world.context_time(1), world.context_time(2));
    assert!(one.abs_diff(two) <= 2_600 * US, "{one} {two}");
}

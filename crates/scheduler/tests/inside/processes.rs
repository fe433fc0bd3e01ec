// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Processes of a band: equal time, by turns of a quantum.

use super::world::*;
use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

const QUANTUM: u64 = 4 * MS;

#[test]
fn given_busy_processes_then_they_share_equally_whatever_their_number_of_contexts() {
    let mut world = World::new(graceless(10));
    let mut context = 0;
    for (process, contexts) in [(1, 1), (2, 10), (3, 3)] {
        for _ in 0..contexts {
            context += 1;
            world.busy(process, context, properties(Band::Normal));
        }
    }
    for _ in 0..50_000 {
        world.unit(100 * US);
        let times = [1, 2, 3].map(|process| world.process_time(process));
        let apart = times.iter().max().unwrap() - times.iter().min().unwrap();
        assert!(apart <= QUANTUM, "{times:?}");
    }
}

#[test]
fn given_units_of_any_length_then_equals_stay_within_a_quantum_and_a_unit() {
    // Units of one are ten quanta long, and of the other a fiftieth of one.
    let lengths = [40 * MS, 80 * US];
    let mut world = World::new(graceless(10));
    world.busy(0, 0, properties(Band::Normal));
    world.busy(1, 1, properties(Band::Normal));
    for _ in 0..50_000 {
        let context = world.inside.unit_begins().unwrap().0;
        world
            .inside
            .unit_done(Nanos(lengths[usize::try_from(context).unwrap()]));
        let apart = world.process_time(0).abs_diff(world.process_time(1));
        assert!(apart <= QUANTUM + lengths[0], "{apart}");
    }
}

#[test]
fn given_units_that_divide_the_quantum_then_processes_take_turns_of_a_quantum() {
    let mut world = World::new(graceless(10));
    for process in 1..=3 {
        world.busy(process, process, properties(Band::Normal));
    }
    let order = runs(&world.units(240, 100 * US));
    assert_eq!(
        order,
        [(1, 40), (2, 40), (3, 40), (1, 40), (2, 40), (3, 40)]
    );
}

#[test]
fn given_grace_between_processes_then_a_turn_is_longer_by_it_and_shares_stay_equal() {
    let mut world = World::new(BandSettings::default());
    for process in 1..=2 {
        world.busy(process, process, properties(Band::Normal));
    }
    let order = runs(&world.units(20_000, 100 * US));
    assert_eq!(order[0], (1, 45));
    let (one, two) = (world.process_time(1), world.process_time(2));
    assert!(one.abs_diff(two) <= QUANTUM + 600 * US, "{one} {two}");
}

#[test]
fn given_a_process_that_slept_then_it_has_saved_nothing_and_lost_nothing() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, properties(Band::Normal));
    world.busy(2, 2, properties(Band::Normal));
    world.units(80, 100 * US);
    world.sleep(2);
    world.units(10_000, 100 * US);
    world.wake(2);
    let order = world.units(400, 100 * US);
    let second = order.iter().filter(|&&context| context == 2).count();
    assert!((200..=240).contains(&second), "{second} of 400");
}

#[test]
fn given_a_process_that_sleeps_in_its_turn_then_the_turn_is_over() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, properties(Band::Normal));
    world.busy(2, 2, properties(Band::Normal));
    assert_eq!(runs(&world.units(5, 100 * US)), [(1, 5)]);
    world.sleep(1);
    assert_eq!(runs(&world.units(5, 100 * US)), [(2, 5)]);
    world.wake(1);
    let order = runs(&world.units(80, 100 * US));
    assert_eq!(order, [(2, 35), (1, 40), (2, 5)], "the next one is whole");
}

#[test]
fn given_a_process_that_sleeps_after_each_long_unit_then_it_pays_for_them() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, properties(Band::Normal));
    world.busy(2, 2, properties(Band::Normal));
    for _ in 0..20_000 {
        let context = world.inside.unit_begins().unwrap().0;
        world
            .inside
            .unit_done(Nanos(if context == 1 { 20 * MS } else { 100 * US }));
        if context == 1 {
            world.sleep(1);
            world.wake(1);
        }
    }
    let apart = world.process_time(1).abs_diff(world.process_time(2));
    assert!(apart <= QUANTUM + 20 * MS, "{apart}");
}

#[test]
fn given_new_processes_without_end_then_an_old_one_is_served() {
    let mut world = World::new(graceless(10));
    world.busy(0, 0, properties(Band::Normal));
    world.units(100, 100 * US);
    for newcomer in 1..2_000 {
        world.busy(newcomer, newcomer, properties(Band::Normal));
        world.units(20, 100 * US);
    }
    // Each round has more turns than the one before, as in a ring to which members are added at the tail.
    assert!(
        world.context_time(0) >= 5 * QUANTUM,
        "{}",
        world.context_time(0)
    );
}

#[test]
fn given_names_that_are_unknown_taken_or_in_use_then_they_are_refused() {
    let mut inside = ContextScheduler::new(BandSettings::default());
    let (process, context) = (ProcessId(1), ContextId(2));
    let add = |inside: &mut ContextScheduler| {
        inside.add_context(process, context, properties(Band::Normal))
    };
    assert_eq!(add(&mut inside), Err(InsideError::UnknownProcess(process)));
    assert_eq!(
        inside.remove_process(process),
        Err(InsideError::UnknownProcess(process))
    );
    assert_eq!(inside.add_process(process), Ok(()));
    assert_eq!(
        inside.add_process(process),
        Err(InsideError::ProcessIsKnown(process))
    );
    assert_eq!(
        inside.ready(context),
        Err(InsideError::UnknownContext(context))
    );
    assert_eq!(
        inside.suspend(context),
        Err(InsideError::UnknownContext(context))
    );
    assert_eq!(add(&mut inside), Ok(()));
    assert_eq!(add(&mut inside), Err(InsideError::ContextIsKnown(context)));
    assert_eq!(
        inside.remove_process(process),
        Err(InsideError::ProcessHasContexts {
            process,
            contexts: 1
        })
    );
    let zero = ContextProperties {
        quantum: Nanos(0),
        ..properties(Band::Normal)
    };
    assert_eq!(
        inside.set_properties(context, zero),
        Err(InsideError::ZeroQuantum)
    );
    assert_eq!(inside.remove_context(context), Ok(()));
    assert_eq!(inside.remove_process(process), Ok(()));
}

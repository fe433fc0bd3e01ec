// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The strict order of bands and levels, and grace between bands.

use super::world::*;
use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

#[test]
fn given_any_higher_band_busy_then_idle_has_nothing() {
    for band in [Band::Normal, Band::Focus, Band::Realtime] {
        let mut world = World::new(BandSettings::default());
        world.busy(1, 1, properties(Band::Idle));
        world.busy(2, 2, properties(band));
        world.units(10_000, 100 * US);
        assert_eq!(world.band_time(Band::Idle), 0, "{band:?}");
        world.sleep(2);
        assert_eq!(world.unit(100 * US), 1);
    }
}

#[test]
fn given_realtime_busy_then_it_starves_all_below() {
    let mut world = World::new(BandSettings::default());
    for (number, band) in (1..).zip(Band::ALL) {
        world.busy(number, number, properties(band));
    }
    world.units(10_000, 100 * US);
    assert_eq!(world.band_time(Band::Realtime), 10_000 * 100 * US);
}

#[test]
fn given_all_levels_of_realtime_then_the_highest_runs_first_whatever_its_process() {
    let mut world = World::new(BandSettings::default());
    for number in 0..32_u8 {
        // Levels are spread over three processes and come in no order.
        let number = number.wrapping_mul(13) % 32;
        world.busy(u64::from(number % 3), u64::from(number), level(number));
    }
    let mut order = Vec::new();
    for _ in 0..32 {
        let context = world.unit(50 * US);
        world.sleep(context);
        order.push(context);
    }
    assert_eq!(order, (0..32).rev().collect::<Vec<_>>());
}

#[test]
fn given_realtime_wakes_then_it_runs_after_one_unit_at_most() {
    for band in [Band::Idle, Band::Normal, Band::Focus] {
        let mut world = World::new(BandSettings::default());
        world.busy(1, 1, properties(band));
        world.asleep(2, 2, level(0));
        world.units(7, 50 * US);
        let running = world.inside.unit_begins();
        assert_eq!(running, Some(ContextId(1)));
        world.wake(2);
        assert!(world.inside.must_yield());
        world.inside.unit_done(Nanos(50 * US));
        assert_eq!(world.unit(50 * US), 2, "over {band:?}");
    }
}

#[test]
fn given_a_band_with_grace_then_its_victim_goes_on_for_just_that_long() {
    let grace = [0, 1_000 * US, 500 * US, 250 * US].map(Nanos);
    let settings = BandSettings {
        grace,
        ..graceless(0)
    };
    for (low, high, units) in [
        (Band::Idle, Band::Normal, 20),
        (Band::Idle, Band::Focus, 10),
        (Band::Normal, Band::Focus, 10),
        (Band::Focus, Band::Realtime, 5),
    ] {
        let mut world = World::new(settings);
        world.busy(1, 1, properties(low));
        world.asleep(2, 2, properties(high));
        world.units(3, 50 * US);
        world.wake(2);
        assert_eq!(
            runs(&world.units(40, 50 * US)),
            [(1, units), (2, 40 - units)],
            "{high:?} over {low:?}"
        );
    }
}

#[test]
fn given_a_second_rival_with_less_grace_then_the_victim_has_no_more_than_that() {
    let mut world = World::new(BandSettings::default());
    world.busy(1, 1, properties(Band::Normal));
    world.asleep(2, 2, properties(Band::Focus));
    world.asleep(3, 3, level(0));
    world.unit(50 * US);
    world.wake(2);
    assert_eq!(world.units(2, 50 * US), [1, 1]);
    world.wake(3);
    assert_eq!(world.unit(50 * US), 3);
}

#[test]
fn given_a_rival_that_goes_away_then_the_next_grace_starts_anew() {
    let mut world = World::new(BandSettings::default());
    world.busy(1, 1, properties(Band::Normal));
    world.asleep(2, 2, properties(Band::Focus));
    world.unit(50 * US);
    world.wake(2);
    assert_eq!(world.units(9, 50 * US), [1; 9]);
    world.sleep(2);
    world.unit(50 * US);
    world.wake(2);
    assert_eq!(runs(&world.units(12, 50 * US)), [(1, 10), (2, 2)]);
}

#[test]
fn given_a_turn_that_is_preempted_then_it_goes_on_afterwards() {
    let mut world = World::new(graceless(10));
    world.busy(1, 1, properties(Band::Normal));
    world.busy(2, 2, properties(Band::Normal));
    world.asleep(3, 3, level(5));
    assert_eq!(runs(&world.units(30, 50 * US)), [(1, 30)]);
    world.wake(3);
    assert_eq!(runs(&world.units(500, 50 * US)), [(3, 500)]);
    world.sleep(3);
    assert_eq!(runs(&world.units(60, 50 * US)), [(1, 50), (2, 10)]);
}

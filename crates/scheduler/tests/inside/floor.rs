// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! NORMAL's part under FOCUS.

use super::world::*;
use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

const FOCUS: u64 = 1;
const NORMAL: u64 = 2;

fn saturated(settings: BandSettings) -> World {
    let mut world = World::new(settings);
    world.busy(1, FOCUS, properties(Band::Focus));
    world.busy(2, NORMAL, properties(Band::Normal));
    world
}

#[test]
fn given_focus_and_normal_saturated_then_normal_has_its_part_at_every_instant() {
    for percentage in 0..=50 {
        for unit in [10 * US, 70 * US, 1_300 * US] {
            let mut world = saturated(graceless(percentage));
            let part = u64::from(percentage);
            for _ in 0..20_000 {
                world.unit(unit);
                let (focus, normal) = (world.band_time(Band::Focus), world.band_time(Band::Normal));
                let (got, due) = (100 * normal, part * (focus + normal));
                assert!(
                    got + part * (4 * MS + unit) >= due && got <= due + (100 - part) * unit,
                    "{percentage} %, units of {unit} ns: {normal} of {}",
                    focus + normal
                );
            }
        }
    }
}

#[test]
fn given_a_cycle_of_whole_units_then_each_percentage_is_exact() {
    // A unit that divides the quantum: after 100 quanta of time NORMAL has exactly its part.
    for percentage in 0..=50_u64 {
        let settings = BandSettings {
            process_quantum: [Nanos(100 - percentage); 4],
            ..graceless(u8::try_from(percentage).unwrap())
        };
        let mut world = saturated(settings);
        for _ in 0..100 * 1_000 {
            world.unit(1);
        }
        assert_eq!(world.band_time(Band::Normal), percentage * 1_000);
    }
}

#[test]
fn given_default_settings_then_normal_has_ten_percent() {
    let mut world = World::new(BandSettings::default());
    world.busy(
        1,
        FOCUS,
        ContextProperties {
            band: Band::Focus,
            ..ContextProperties::default()
        },
    );
    world.busy(2, NORMAL, ContextProperties::default());
    let total = 10_000 * MS;
    world.units(total / (50 * US), 50 * US);
    let normal = world.band_time(Band::Normal);
    // The yield check comes a quantum, a grace period and a unit late at most.
    assert!(
        normal.abs_diff(total / 10) <= total / 1_000,
        "{normal} of {total}"
    );
}

#[test]
fn given_presents_more_often_than_checks_then_normal_still_has_its_part() {
    for between in [1, 3, 20, 333] {
        let mut world = saturated(BandSettings::default());
        let units = 100_000;
        for unit in 0..units {
            world.unit(50 * US);
            if unit % between == 0 {
                world.inside.focus_present();
            }
        }
        let normal = world.band_time(Band::Normal);
        let total = units * 50 * US;
        assert!(
            normal.abs_diff(total / 10) <= total / 200,
            "{between}: {normal} of {total}"
        );
    }
}

#[test]
fn given_a_focus_present_then_normal_is_served_at_once_if_it_is_behind() {
    let mut world = saturated(graceless(10));
    assert_eq!(runs(&world.units(30, 50 * US)), [(FOCUS, 30)]);
    assert!(!world.inside.must_yield());
    world.inside.focus_present();
    assert!(world.inside.must_yield());
    // 1.5 ms of FOCUS make 0.17 ms of NORMAL: four units.
    assert_eq!(runs(&world.units(6, 50 * US)), [(NORMAL, 4), (FOCUS, 2)]);
    world.inside.focus_present();
    assert!(!world.inside.must_yield(), "NORMAL is ahead");
}

#[test]
fn given_focus_processes_that_sleep_before_their_quantum_ends_then_normal_is_not_forgotten() {
    let mut world = World::new(graceless(10));
    for process in 1..=2 {
        world.busy(process, process, properties(Band::Focus));
    }
    world.busy(3, 3, properties(Band::Normal));
    for _ in 0..50_000 {
        let context = world.unit(50 * US);
        if context != 3 {
            // Each sleeps after each unit, but there is always one of them with work.
            world.sleep(context);
            world.wake(context);
        }
    }
    let total = 50_000 * 50 * US;
    let normal = world.band_time(Band::Normal);
    assert!(
        normal.abs_diff(total / 10) <= total / 200,
        "{normal} of {total}"
    );
}

#[test]
fn given_normal_asleep_for_long_then_it_has_no_claim_to_that_time() {
    let mut world = saturated(graceless(10));
    world.sleep(NORMAL);
    world.units(20_000, 50 * US);
    world.wake(NORMAL);
    world.inside.focus_present();
    assert_eq!(runs(&world.units(80, 50 * US)), [(FOCUS, 80)]);
}

#[test]
fn given_normal_asleep_then_what_it_was_owed_is_forfeited() {
    let mut world = saturated(graceless(10));
    assert_eq!(runs(&world.units(70, 50 * US)), [(FOCUS, 70)]);
    world.sleep(NORMAL);
    world.unit(50 * US);
    world.wake(NORMAL);
    world.inside.focus_present();
    assert_eq!(world.unit(50 * US), FOCUS);
}

#[test]
fn given_focus_asleep_then_normal_owes_nothing_for_that_time() {
    let mut world = saturated(graceless(10));
    world.sleep(FOCUS);
    assert_eq!(runs(&world.units(20_000, 50 * US)), [(NORMAL, 20_000)]);
    world.wake(FOCUS);
    let order = runs(&world.units(200, 50 * US));
    // A quantum of FOCUS, and then NORMAL's part of it.
    assert_eq!(order[..2], [(FOCUS, 80), (NORMAL, 9)]);
}

#[test]
fn given_new_settings_then_they_count_from_the_next_yield_check_on() {
    let mut world = saturated(graceless(0));
    assert_eq!(runs(&world.units(10, 50 * US)), [(FOCUS, 10)]);
    world.inside.set_up_bands(graceless(50)).unwrap();
    // The check is made when the process' turn ends: 4 ms are 80 units. What FOCUS ran until then was free.
    assert_eq!(runs(&world.units(70, 50 * US)), [(FOCUS, 70)]);
    let order = runs(&world.units(400, 50 * US));
    assert_eq!(
        order,
        [
            (FOCUS, 80),
            (NORMAL, 80),
            (FOCUS, 80),
            (NORMAL, 80),
            (FOCUS, 80)
        ]
    );
    world.inside.set_up_bands(graceless(0)).unwrap();
    world.inside.focus_present();
    assert_eq!(runs(&world.units(200, 50 * US)), [(FOCUS, 200)]);
}

#[test]
fn given_settings_out_of_range_then_they_are_refused() {
    let mut inside = ContextScheduler::new(BandSettings::default());
    assert_eq!(inside.set_up_bands(graceless(50)), Ok(()));
    let asked = 51;
    assert_eq!(
        inside.set_up_bands(graceless(asked)),
        Err(InsideError::NormalPercentage { asked })
    );
    let settings = BandSettings {
        process_quantum: [Nanos(1), Nanos(1), Nanos(0), Nanos(1)],
        ..graceless(10)
    };
    assert_eq!(inside.set_up_bands(settings), Err(InsideError::ZeroQuantum));
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One test for each promise: storms of every kind in which it must hold, asked after every event.

use rondo_scheduler::{Policy, Priority};

use crate::promises;
use crate::storm::{POLICIES, Weather, storms};

const USUAL: u64 = 128;

/// Storms that are worth the name: this many events at least.
const EVENTFUL: u64 = 50_000;

#[test]
fn given_any_storm_then_every_nanosecond_is_charged_once_to_its_vm_and_its_engine() {
    let events = storms(
        "conservation",
        USUAL,
        Weather::ALL,
        &[promises::conservation],
    );
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_scheduler_and_world_agree_on_who_holds_waits_and_sleeps() {
    let events = storms("states", USUAL, Weather::ALL, &[promises::states]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_honest_vms_then_nobody_is_further_from_its_entitlement_than_its_bound() {
    let weather = Weather {
        policies: &[Policy::Guaranteed, Policy::Fair],
        ..Weather::CALM
    };
    let events = storms("lag", USUAL, weather, &[promises::lag]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_honest_vms_that_come_and_go_then_each_is_served_at_its_rate_but_for_a_few_requests() {
    let weather = Weather {
        policies: &[Policy::Guaranteed],
        churn: true,
        clients: true,
        ..Weather::CALM
    };
    let events = storms("service", USUAL, weather, &[promises::service]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_no_engine_stands_idle_while_a_vm_may_run() {
    let events = storms("no_waste", USUAL, Weather::ALL, &[promises::no_waste]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_virtual_time_never_goes_back() {
    let events = storms("monotone", USUAL, Weather::ALL, &[promises::monotone]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_what_a_vm_owes_shrinks_by_time_and_work_alone() {
    let events = storms("debts", USUAL, Weather::ALL, &[promises::debts]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_no_window_exceeds_a_limit_by_more_than_a_stretch() {
    let weather = Weather {
        mischief: false,
        ..Weather::ALL
    };
    let events = storms("limits", USUAL, weather, &[promises::limits]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_a_vm_is_kept_away_by_nothing_but_a_limit_that_it_used_up() {
    let weather = Weather {
        sloppiness: false,
        ..Weather::ALL
    };
    let test = "no_throttling";
    let events = storms(
        test,
        USUAL,
        weather,
        &[promises::no_throttling_without_cause],
    );
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_a_hang_costs_one_context_at_once_and_as_many_as_agreed_the_vm_its_freedom()
{
    let events = storms("hangs", USUAL, Weather::ALL, &[promises::hangs]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_no_more_is_promised_than_there_is_and_what_is_refused_changes_nothing() {
    let events = storms("admission", USUAL, Weather::ALL, &[promises::admission]);
    assert!(events > EVENTFUL, "{events} events");
}

#[test]
fn given_any_storm_then_it_ends_with_everybody_served_who_has_work() {
    let mut lost = 0;
    for (policy, seed) in POLICIES
        .iter()
        .flat_map(|&policy| (1..=3).map(move |seed| (policy, seed)))
    {
        let weather = Weather {
            limits: false,
            ..Weather::ALL
        };
        let mut world = crate::storm::storm(seed, weather, &[]);
        world.set_policy(policy);
        let before: Vec<u64> = world.vms.iter().map(|vm| vm.units).collect();
        // Debts of everybody's making are paid in that time, many times over.
        world.run_until(world.now + 4_000 * crate::guest::MS);
        for (index, vm) in world.vms.iter().enumerate() {
            lost += vm.lost;
            // Without a guarantee it lives on what is left, if anything is, and under `fixed` on nothing. Under `best-effort`
            // a higher priority goes first, for ever.
            let promised = match policy {
                Policy::Fair => true,
                Policy::BestEffort => vm.profile().priority == Priority::High,
                _ => vm.profile().guarantee.get() > 0,
            };
            if vm.here
                && !vm.quarantined
                && promised
                && vm.units == before.get(index).copied().unwrap_or(0)
            {
                world.fail("starvation", &format!("VM {index} was not served: {vm:?}"));
            }
        }
    }
    assert!(lost > 0, "somebody hangs in storms");
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Known loads with known answers: shares, lag, latency beside noisy neighbours, bursts, and a small sweep.

use rondo_simulator::contender::Contender;
use rondo_simulator::metrics::Report;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::sweep::{Sweep, Trouble};

const SEED: u64 = 1;

fn vm(name: &str, share: u64, unit_us: u64, load: &str) -> String {
    format!(
        "[[vm]]\nname = \"{name}\"\nshare_ppm = {share}\nmax_unit_us = {unit_us}\nload = {{ {load} }}\n"
    )
}

fn backlogged(name: &str, share: u64, unit_us: u64) -> String {
    vm(
        name,
        share,
        unit_us,
        &format!("kind = \"backlogged\", length_us = {unit_us}"),
    )
}

fn scenario(duration_ms: u64, vms: &[String]) -> Scenario {
    let text = format!("duration_ms = {duration_ms}\n{}", vms.concat());
    Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn four(units: [u64; 4], shares: [u64; 4]) -> Scenario {
    let vms: Vec<String> = (0..4)
        .map(|n| backlogged(&format!("vm{n}"), shares[n], units[n]))
        .collect();
    scenario(60_000, &vms)
}

fn run(scenario: &Scenario, contender: Contender) -> Report {
    simulate(scenario, contender, SEED, false).unwrap().report
}

fn sweep(setups: u64, engines: u16, trouble: Trouble) -> Sweep {
    Sweep {
        setups,
        seed: SEED,
        engines,
        trouble,
    }
}

const QUARTERS: [u64; 4] = [250_000; 4];

fn check_shares(scenario: &Scenario) {
    let report = run(scenario, Contender::Guaranteed);
    assert!(
        report.share_error_percent <= 0.1,
        "share error {} %",
        report.share_error_percent
    );
    assert!(
        report.weighted_jain >= 0.9999,
        "Jain {}",
        report.weighted_jain
    );
    assert!(report.lag_in_l <= 1.0, "lag {} L", report.lag_in_l);
    assert_eq!(report.books.idle_ns, 0);
}

#[test]
fn given_load_a_short_units_beside_long_ones_then_each_gets_its_share() {
    check_shares(&four([200, 8_000, 8_000, 8_000], QUARTERS));
}

#[test]
fn given_load_b_units_of_four_sizes_then_each_gets_its_share() {
    check_shares(&four([200, 1_500, 8_000, 50_000], QUARTERS));
}

#[test]
fn given_load_c_weights_of_one_to_eight_then_each_gets_its_share() {
    check_shares(&four(
        [1_000, 2_000, 3_000, 4_000],
        [66_666, 133_333, 266_666, 533_333],
    ));
}

#[test]
fn given_load_d_units_of_200_ms_beside_half_milliseconds_then_each_gets_its_share() {
    check_shares(&four([500, 500, 500, 200_000], QUARTERS));
}

#[test]
fn given_load_a_then_turns_without_charges_miss_the_shares() {
    let report = run(
        &four([200, 8_000, 8_000, 8_000], QUARTERS),
        Contender::RoundRobin,
    );
    assert!(
        report.share_error_percent > 50.0,
        "{} %",
        report.share_error_percent
    );
}

/// A victim with a job of half a millisecond every 4 ms, 1/8 of the engine, and 15 that are always busy with up to 4 ms.
fn noisy() -> Scenario {
    let mut vms = vec![vm(
        "victim",
        125_000,
        500,
        "kind = \"frames\", length_us = 500, period_us = 4000",
    )];
    vms.extend((1..16).map(|n| backlogged(&format!("noisy{n}"), 58_333, 4_000 - n * 17)));
    scenario(4_000, &vms)
}

#[test]
fn given_fifteen_noisy_neighbours_then_the_victim_keeps_its_latency_and_nothing_is_wasted() {
    let report = run(&noisy(), Contender::Guaranteed);
    let victim = &report.vms[0];
    assert_eq!(victim.requests, 1_000);
    assert!(
        victim.latency_p99_ns <= 4_600_000,
        "p99 {}",
        victim.latency_p99_ns
    );
    assert!(
        victim.latency_p999_ns <= 5_000_000,
        "p99.9 {}",
        victim.latency_p999_ns
    );
    assert_eq!(report.books.idle_ns, 0);
    let late: u64 = report.vms.iter().filter_map(|vm| vm.late).sum();
    assert_eq!(late, 0);
}

#[test]
fn given_fifteen_noisy_neighbours_then_the_comparators_that_ignore_reservations_are_slower() {
    let scenario = noisy();
    let guaranteed = run(&scenario, Contender::Guaranteed).vms[0].latency_p99_ns;
    for other in [
        Contender::RoundRobin,
        Contender::NvidiaStrict,
        Contender::AmdFairness,
        Contender::GvtG,
    ] {
        let p99 = run(&scenario, other).vms[0].latency_p99_ns;
        assert!(p99 > 2 * guaranteed, "{other:?}: {p99} beside {guaranteed}");
    }
}

#[test]
fn given_a_vm_that_wants_exactly_its_share_in_bursts_then_it_gets_it() {
    let mut vms = vec![vm(
        "bursty",
        250_000,
        1_000,
        "kind = \"bursty\", length_us = 1000, on_ms = 30, off_ms = 90",
    )];
    vms.extend((1..4).map(|n| backlogged(&format!("busy{n}"), 250_000, 4_000)));
    let report = run(&scenario(6_000, &vms), Contender::Guaranteed);
    let bursty = &report.vms[0];
    // 50 bursts of 30 ms, 25 % of the run; the last of them may be late by one unit of somebody else.
    assert!(
        bursty.service_ns >= 1_500_000_000 - 4_000_000,
        "{}",
        bursty.service_ns
    );
    assert_eq!(bursty.late, Some(0));
    assert_eq!(report.books.idle_ns, 0);
}

#[test]
fn given_one_of_four_active_then_it_gets_everything_and_fixed_slots_give_a_quarter() {
    let mut vms = vec![backlogged("busy", 250_000, 1_000)];
    vms.extend((1..4).map(|n| {
        vm(
            &format!("idle{n}"),
            250_000,
            1_000,
            "kind = \"list\", requests = []",
        )
    }));
    let scenario = scenario(2_000, &vms);
    assert_eq!(
        run(&scenario, Contender::Guaranteed).vms[0].service_ns,
        2_000_000_000
    );
    for keeper in [
        Contender::NvidiaStrict,
        Contender::AmdFairness,
        Contender::GvtG,
    ] {
        let service = run(&scenario, keeper).vms[0].service_ns;
        assert!(
            (480_000_000..=520_000_000).contains(&service),
            "{keeper:?}: {service}"
        );
    }
}

#[test]
fn given_a_vm_that_hangs_then_its_stall_is_its_own_and_the_others_keep_their_shares() {
    let mut vms = vec![
        "[[vm]]\nname = \"hang\"\nshare_ppm = 250000\nload = { kind = \"hang\", after_ms = 100 }\n"
            .to_owned(),
    ];
    vms.extend((1..4).map(|n| backlogged(&format!("busy{n}"), 250_000, 1_000)));
    let report = run(&scenario(4_000, &vms), Contender::Guaranteed);
    assert_eq!(report.books.reset_ns, 10_000_000);
    assert_eq!(report.vms[0].service_ns, 260_000_000);
    let third = (4_000_000_000 - 260_000_000) / 3;
    for vm in &report.vms[1..] {
        assert!(
            vm.service_ns.abs_diff(third) <= 1_000_000,
            "{}: {}",
            vm.name,
            vm.service_ns
        );
        assert_eq!(vm.late, Some(0), "{}", vm.name);
    }
}

#[test]
fn given_a_hundred_adversarial_set_ups_then_only_the_guarantee_holds_in_all_of_them() {
    for (contender, tallies) in sweep(100, 1, Trouble::Nothing).run() {
        let tally = tallies[0];
        assert_eq!(tally.setups, 100);
        assert!(tally.requests > 10_000, "{contender:?}: {tally:?}");
        match contender {
            Contender::Guaranteed => {
                assert_eq!((tally.broken, tally.late), (0, 0), "{tally:?}");
                assert!(tally.worst <= 1.0, "{tally:?}");
                assert_eq!(tally.idle_while_work, 0, "{tally:?}");
            }
            Contender::BestEffort
            | Contender::RoundRobin
            | Contender::NvidiaStrict
            | Contender::GvtG
            | Contender::AmdFairness
            | Contender::DrmFair
            | Contender::Eevdf => assert!(tally.broken > 0, "{contender:?}: {tally:?}"),
            // Rare (the same tags on another clock), or another promise (`fair`, `fixed`).
            _ => {}
        }
    }
}

#[test]
fn given_changes_of_hands_that_cost_time_when_the_shares_leave_room_for_them_then_the_bound_holds()
{
    let text = include_str!("../scenarios/switch-cost.toml");
    let mut scenario = Scenario::parse(text).unwrap();
    scenario.duration = 4_000_000_000;
    let report = run(&scenario, Contender::Guaranteed);
    assert!(report.books.switch_ns > 0);
    assert_eq!(report.books.idle_ns, 0);
    let late: u64 = report.vms.iter().filter_map(|vm| vm.late).sum();
    assert_eq!(late, 0);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What every run keeps, whoever decides: the trace has no gap, the books close, the seed is the only chance.

use std::collections::HashMap;

use rondo_simulator::contender::Contender;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::trace::HEADER;

/// Every kind of load at once, with a switch cost and a part of the engine that is nobody's.
const ZOO: &str = r#"
duration_ms = 1500
switch_cost_us = 7
[[vm]]
name = "backlogged"
share_ppm = 100000
max_unit_us = 300
load = { kind = "backlogged", length_us = 1000 }
[[vm]]
name = "closed"
share_ppm = 100000
load = { kind = "closed", length_us = 500, think_us = 900 }
[[vm]]
name = "bursty"
share_ppm = 100000
max_unit_us = 1000
load = { kind = "bursty", length_us = 700, on_ms = 20, off_ms = 180 }
[[vm]]
name = "frames"
share_ppm = 100000
load = { kind = "frames", length_us = 1500, period_us = 16667 }
[[vm]]
name = "poisson"
share_ppm = 100000
load = { kind = "poisson", length_us = 400, rate_per_s = 150 }
[[vm]]
name = "pareto"
share_ppm = 100000
max_unit_us = 2000
load = { kind = "pareto", min_us = 200, alpha = 1.5, rate_per_s = 80.5 }
[[vm]]
name = "hang"
share_ppm = 50000
load = { kind = "hang", after_ms = 400 }
[[vm]]
name = "liar"
share_ppm = 50000
load = { kind = "liar", declared_us = 500, length_us = 3000 }
[[vm]]
name = "list"
share_ppm = 50000
load = { kind = "list", requests = [[0, 100], [500000, 2500], [400000, 900]] }
"#;

const SEED: u64 = 11;

fn zoo() -> Scenario {
    Scenario::parse(ZOO).expect("a sound scenario")
}

#[test]
fn given_every_load_under_everybody_then_the_trace_covers_all_time_once_and_the_books_close() {
    let scenario = zoo();
    for &contender in Contender::all() {
        let outcome = simulate(&scenario, contender, SEED, true).unwrap();
        let mut rows = outcome.traces[0].text().lines();
        assert_eq!(rows.next(), Some(HEADER));
        let mut at = 0;
        let mut sums: HashMap<&str, u64> = HashMap::new();
        let mut service: HashMap<&str, u64> = HashMap::new();
        let mut ran: HashMap<(&str, &str), (u64, u64)> = HashMap::new();
        for row in rows {
            let fields: Vec<&str> = row.split(',').collect();
            let [start, end, kind, vm, request, arrival, length] = fields[..] else {
                panic!("{contender:?}: {row}");
            };
            let (start, end): (u64, u64) = (start.parse().unwrap(), end.parse().unwrap());
            assert_eq!(start, at, "{contender:?}: a gap or an overlap at {row}");
            assert!(end > start, "{contender:?}: an empty row {row}");
            at = end;
            *sums.entry(kind).or_default() += end - start;
            if kind == "idle" {
                assert_eq!(
                    (vm, request, arrival, length),
                    ("", "", "", ""),
                    "{contender:?}"
                );
                continue;
            }
            assert!(
                arrival.parse::<u64>().unwrap() <= start,
                "{contender:?}: {row}"
            );
            if kind != "switch" {
                *service.entry(vm).or_default() += end - start;
            }
            if kind == "run" {
                let entry = ran
                    .entry((vm, request))
                    .or_insert_with(|| (0, length.parse().unwrap()));
                entry.0 += end - start;
                assert!(
                    entry.0 <= entry.1,
                    "{contender:?}: more than its length: {row}"
                );
            }
        }
        assert_eq!(at, scenario.duration, "{contender:?}");
        let books = outcome.report.books;
        let sum = |kind| sums.get(kind).copied().unwrap_or(0);
        assert_eq!(
            [sum("run"), sum("switch"), sum("idle"), sum("reset")],
            [
                books.busy_ns,
                books.switch_ns,
                books.idle_ns,
                books.reset_ns
            ],
            "{contender:?}"
        );
        let charged: u64 = outcome.report.vms.iter().map(|vm| vm.service_ns).sum();
        assert_eq!(charged, books.busy_ns + books.reset_ns, "{contender:?}");
        for vm in &outcome.report.vms {
            assert_eq!(
                service.get(vm.name.as_str()).copied().unwrap_or(0),
                vm.service_ns
            );
            // Nobody has more unfinished requests in the trace than the one that its end cut short.
            let whole = ran
                .iter()
                .filter(|((name, _), (ran, length))| *name == vm.name && ran == length);
            if vm.name != "hang" {
                assert_eq!(
                    whole.count() as u64,
                    vm.requests,
                    "{contender:?}: {}",
                    vm.name
                );
            }
        }
    }
}

#[test]
fn given_a_seed_then_the_trace_is_the_same_and_given_another_it_is_not() {
    let scenario = zoo();
    for &contender in Contender::all() {
        let hash = |seed| {
            simulate(&scenario, contender, seed, false)
                .unwrap()
                .trace_hash()
        };
        assert_eq!(hash(SEED), hash(SEED), "{contender:?}");
        assert_ne!(hash(SEED), hash(SEED + 1), "{contender:?}");
        let kept = simulate(&scenario, contender, SEED, true)
            .unwrap()
            .trace_hash();
        assert_eq!(hash(SEED), kept, "{contender:?}");
    }
}

#[test]
fn given_a_published_seed_then_the_random_loads_are_those_of_every_machine() {
    // Round robin: no policy of ours is in this hash, only the world, the generators and the trace.
    let hash = simulate(&zoo(), Contender::RoundRobin, SEED, false)
        .unwrap()
        .trace_hash();
    assert_eq!(format!("{hash:016x}"), "0187f83db911e83d");
}

#[test]
fn given_units_longer_than_max_unit_then_they_are_cut_and_without_it_they_are_not() {
    let outcome = simulate(&zoo(), Contender::Guaranteed, SEED, true).unwrap();
    let longest = |name: &str| {
        let rows = outcome.traces[0]
            .text()
            .lines()
            .map(|row| row.split(',').collect::<Vec<_>>());
        rows.filter(|row| row[2] == "run" && row[3] == name)
            .map(|row| row[1].parse::<u64>().unwrap() - row[0].parse::<u64>().unwrap())
            .max()
    };
    assert_eq!(longest("backlogged"), Some(300_000));
    assert_eq!(longest("closed"), Some(500_000));
    assert_eq!(longest("liar"), Some(3_000_000));
    // The watchdog of the scheduler counts from the grant, and it took 7 us to change hands.
    assert_eq!(longest("hang"), Some(250_000_000 - 7_000));
}

#[test]
fn given_a_policy_that_lends_then_the_engine_is_never_idle_while_work_waits_and_fixed_slots_are() {
    let idle = |contender| {
        simulate(&zoo(), contender, SEED, false)
            .unwrap()
            .report
            .idle_while_work_ns
    };
    for lender in [
        Contender::Guaranteed,
        Contender::Fair,
        Contender::BestEffort,
        Contender::RoundRobin,
        Contender::DrmFair,
        Contender::Eevdf,
    ] {
        assert_eq!(idle(lender), 0, "{lender:?}");
    }
    for keeper in [
        Contender::Fixed,
        Contender::NvidiaStrict,
        Contender::AmdFairness,
    ] {
        assert!(idle(keeper) > 0, "{keeper:?}");
    }
}

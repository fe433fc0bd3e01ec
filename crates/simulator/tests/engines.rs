// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Several engines: every one's trace covers all time once, no VM is in two places, the bound holds on each.

use rondo_simulator::contender::Contender;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::sweep::{DURATION, Sweep, Trouble};

const SEED: u64 = 1;

fn busy(name: &str, share: u32) -> String {
    format!(
        "[[vm]]\nname = \"{name}\"\nshare_ppm = {share}\nmax_unit_us = 1000\nload = {{ kind = \"backlogged\", length_us = 1000 }}\n"
    )
}

fn scenario(engines: u16, vms: &[String]) -> Scenario {
    let text = format!("duration_ms = 1000\nengines = {engines}\n{}", vms.concat());
    Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn given_three_engines_then_each_trace_covers_all_time_once_and_no_vm_runs_twice_at_a_time() {
    let mut vms: Vec<String> = (0..5).map(|n| busy(&format!("vm{n}"), 500_000)).collect();
    vms.push(
        "[[vm]]\nname = \"random\"\nshare_ppm = 300000\nload = { kind = \"poisson\", length_us = 700, rate_per_s = 400 }\n"
            .to_owned(),
    );
    let scenario = scenario(3, &vms);
    for contender in Contender::on(3) {
        let outcome = simulate(&scenario, contender, SEED, true).unwrap();
        assert_eq!(outcome.traces.len(), 3);
        let mut runs: Vec<(String, u64, u64)> = Vec::new();
        for trace in &outcome.traces {
            let mut at = 0;
            for row in trace.text().lines().skip(1) {
                let fields: Vec<&str> = row.split(',').collect();
                let (start, end): (u64, u64) =
                    (fields[0].parse().unwrap(), fields[1].parse().unwrap());
                assert_eq!(start, at, "{contender:?}: {row}");
                at = end;
                if fields[2] == "run" {
                    runs.push((fields[3].to_owned(), start, end));
                }
            }
            assert_eq!(at, scenario.duration, "{contender:?}");
        }
        runs.sort();
        for pair in runs.windows(2) {
            assert!(
                pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1,
                "{contender:?}: {pair:?}"
            );
        }
        let books = outcome.report.books;
        let all = books.busy_ns + books.switch_ns + books.idle_ns + books.reset_ns;
        assert_eq!(all, 3 * scenario.duration, "{contender:?}");
    }
}

#[test]
fn given_two_engines_and_three_vms_then_what_nobody_wants_is_lent_and_none_gets_more_than_an_engine()
 {
    let vms = [
        busy("half", 500_000),
        busy("quarter", 250_000),
        busy("tenth", 100_000),
    ];
    let report = simulate(&scenario(2, &vms), Contender::Guaranteed, SEED, false)
        .unwrap()
        .report;
    assert_eq!(report.books.idle_ns, 0);
    for vm in &report.vms {
        let promised = u64::from(vm.share_ppm) * 1_000;
        assert!(
            vm.service_ns + 2_000_000 >= promised,
            "{}: {}",
            vm.name,
            vm.service_ns
        );
        assert!(
            vm.service_ns <= 1_000_000_000,
            "{}: {}",
            vm.name,
            vm.service_ns
        );
    }
}

#[test]
fn given_adversarial_set_ups_on_2_4_and_8_engines_then_the_guarantee_holds_in_all_of_them() {
    for (engines, setups) in [(2, 8), (4, 4), (8, 2)] {
        let sweep = Sweep {
            setups,
            seed: SEED,
            engines,
            trouble: Trouble::Nothing,
        };
        let results = sweep.run();
        assert_eq!(results.len(), 4, "comparators drive one engine");
        for (contender, tallies) in results {
            let tally = tallies[0];
            assert!(tally.requests > 1_000, "{contender:?}: {tally:?}");
            if contender == Contender::Guaranteed {
                assert_eq!(
                    (tally.broken, tally.late),
                    (0, 0),
                    "{engines} engines: {tally:?}"
                );
                // Where somebody is owed something, an engine may wait for less than a unit: never for long.
                let waste =
                    tally.idle_while_work as f64 / (setups * DURATION * u64::from(engines)) as f64;
                assert!(waste < 0.001, "{engines} engines: {tally:?}");
            }
        }
    }
}

/// Late requests, of how many, by each judgement.
fn judged(trouble: Trouble, setups: u64) -> Vec<(u64, u64)> {
    let sweep = Sweep {
        setups,
        seed: SEED,
        engines: 1,
        trouble,
    };
    let mut sums = vec![(0, 0); sweep.judgements().len()];
    for seed in 0..setups {
        for (sum, tally) in sums
            .iter_mut()
            .zip(sweep.judge(Contender::Guaranteed, SEED + seed))
        {
            *sum = (sum.0 + tally.late, sum.1 + tally.requests);
        }
    }
    sums
}

#[test]
fn given_vms_that_hang_then_nobody_else_is_late_by_more_than_the_stall() {
    let (late, of) = judged(Trouble::Hangs, 40)[0];
    assert!(of > 10_000, "{of}");
    assert_eq!(late, 0, "of {of}");
}

#[test]
fn given_lengths_that_must_be_learned_then_late_requests_are_rare_and_rarer_once_warm() {
    let judged = judged(Trouble::Learned, 40);
    let part = |n: usize| {
        let (late, of) = judged[n];
        late as f64 / of as f64
    };
    assert!(part(0) < 0.02, "{judged:?}");
    assert!(part(1) < part(0) && part(2) <= part(1), "{judged:?}");
}

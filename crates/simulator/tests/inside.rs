// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs with processes: what the bands give, and that none of it shows outside.

use rondo_simulator::contender::Contender;
use rondo_simulator::inside_report::InsideReport;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;

const SEED: u64 = 5;

fn percent(inside: &InsideReport, band: &str) -> f64 {
    let found = inside.bands.iter().find(|part| part.name == band);
    found.unwrap().percent
}

#[test]
fn given_a_saturated_focus_then_normal_gets_its_tenth_and_idle_nothing() {
    let scenario = Scenario::parse(include_str!("../scenarios/focus-and-normal.toml")).unwrap();
    let outcome = simulate(&scenario, Contender::Guaranteed, SEED, false).unwrap();
    let desktop = &outcome.report.vms[0];
    let inside = desktop.inside.as_ref().unwrap();
    let normal = percent(inside, "normal");
    assert!((9.5..=10.5).contains(&normal), "{normal} %");
    assert!(percent(inside, "idle") < 0.001, "{inside:?}");
    assert!((percent(inside, "focus") + normal - 100.0).abs() < 0.001);
    let parts: u64 = inside
        .processes
        .iter()
        .map(|process| process.part.service_ns)
        .sum();
    assert_eq!(parts, desktop.service_ns);
    assert_eq!(outcome.report.vms[1].late, Some(0));
    // The two processes of NORMAL share its part.
    let (mail, build) = (&inside.processes[1].part, &inside.processes[2].part);
    assert!((mail.percent - build.percent).abs() < 0.5, "{inside:?}");
}

#[test]
fn given_other_percentages_then_normal_gets_those() {
    let text = include_str!("../scenarios/focus-and-normal.toml");
    for asked in [1, 25, 50] {
        let text = text.replace("normal_percent = 10", &format!("normal_percent = {asked}"));
        let scenario = Scenario::parse(&text).unwrap();
        let outcome = simulate(&scenario, Contender::Guaranteed, SEED, false).unwrap();
        let got = percent(outcome.report.vms[0].inside.as_ref().unwrap(), "normal");
        assert!((got - f64::from(asked)).abs() <= 0.5, "{asked} %: {got} %");
    }
}

/// Insides that could not be more different; all of them always have units of half a millisecond.
const INSIDES: [&str; 5] = [
    "load = { kind = \"backlogged\", length_us = 500 }\n",
    "[[vm.process]]\nname = \"one\"\nload = { kind = \"backlogged\", length_us = 5000 }\n",
    "[[vm.process]]\nname = \"a\"\n[[vm.process.context]]\nband = \"focus\"\npriority = 7\nload = { kind = \"backlogged\", length_us = 1500 }\n[[vm.process]]\nname = \"b\"\nload = { kind = \"backlogged\", length_us = 500 }\n",
    "[[vm.process]]\nname = \"a\"\n[[vm.process.context]]\nband = \"idle\"\nload = { kind = \"backlogged\", length_us = 500 }\n[[vm.process.context]]\nband = \"realtime\"\nrealtime_level = 31\nload = { kind = \"closed\", length_us = 500, think_us = 700 }\n[[vm.process.context]]\nband = \"realtime\"\nload = { kind = \"poisson\", length_us = 1000, rate_per_s = 300 }\n",
    "[[vm.process]]\nname = \"a\"\n[[vm.process.context]]\nquantum_us = 100\nload = { kind = \"backlogged\", length_us = 1000 }\n[[vm.process.context]]\npriority = -7\nload = { kind = \"backlogged\", length_us = 2500 }\n[[vm.process]]\nname = \"b\"\n[[vm.process.context]]\nband = \"focus\"\nload = { kind = \"bursty\", length_us = 500, on_ms = 5, off_ms = 9 }\n",
];

/// Who ran when, as the outside sees it: without what the requests were.
fn outer(inside: &str, contender: Contender) -> Vec<String> {
    let text = format!(
        "duration_ms = 2000\n[[vm]]\nname = \"guest\"\nshare_ppm = 300000\nmax_unit_us = 500\n{inside}\
         [[vm]]\nname = \"busy\"\nshare_ppm = 400000\nmax_unit_us = 900\nload = {{ kind = \"backlogged\", length_us = 2100 }}\n\
         [[vm]]\nname = \"frames\"\nshare_ppm = 200000\nmax_unit_us = 700\nload = {{ kind = \"frames\", length_us = 1400, period_us = 8333 }}\n\
         [[vm]]\nname = \"random\"\nshare_ppm = 100000\nmax_unit_us = 400\nload = {{ kind = \"poisson\", length_us = 600, rate_per_s = 100 }}\n"
    );
    let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let outcome = simulate(&scenario, contender, SEED, true).unwrap();
    let rows = outcome.traces[0].text().lines();
    rows.map(|row| {
        let fields: Vec<&str> = row.split(',').collect();
        if fields[3] == "guest" {
            fields[..4].join(",")
        } else {
            row.to_owned()
        }
    })
    .collect()
}

#[test]
fn given_any_inside_of_a_vm_that_always_has_work_then_the_outside_is_the_same_to_the_nanosecond() {
    for contender in [
        Contender::Guaranteed,
        Contender::Fixed,
        Contender::Fair,
        Contender::BestEffort,
    ] {
        let plain = outer(INSIDES[0], contender);
        assert!(plain.len() > 1_000, "{contender:?}: {} rows", plain.len());
        for inside in &INSIDES[1..] {
            assert_eq!(plain, outer(inside, contender), "{contender:?}: {inside}");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The numbers that only a simulated world can gate: the same on every machine, from the simulator's own scenarios.

use rondo_simulator::contender::Contender;
use rondo_simulator::metrics::Report;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;

use crate::report::{Goal, Section, Table, number};

/// Where random loads start.
const SEED: u64 = 1;

/// The simulator's scenarios, and one of our own.
const SCENARIOS: [(&str, &str); 7] = [
    (
        "load A",
        include_str!("../../simulator/scenarios/load-a.toml"),
    ),
    (
        "load B",
        include_str!("../../simulator/scenarios/load-b.toml"),
    ),
    (
        "load C",
        include_str!("../../simulator/scenarios/load-c.toml"),
    ),
    (
        "load D",
        include_str!("../../simulator/scenarios/load-d.toml"),
    ),
    (
        "noisy neighbours",
        include_str!("../../simulator/scenarios/noisy-neighbours.toml"),
    ),
    (
        "bursts",
        include_str!("../../simulator/scenarios/bursts.toml"),
    ),
    ("one of four is active", ONE_OF_FOUR),
];

const ONE_OF_FOUR: &str = r#"
duration_ms = 10000
vm = [
    { name = "active", share_ppm = 250000, max_unit_us = 1000, load = { kind = "backlogged", length_us = 1000 } },
    { name = "idle1", share_ppm = 250000, load = { kind = "list", requests = [] } },
    { name = "idle2", share_ppm = 250000, load = { kind = "list", requests = [] } },
    { name = "idle3", share_ppm = 250000, load = { kind = "list", requests = [] } },
]
"#;

/// Runs and tells; the sweep has so many set-ups.
///
/// # Errors
/// A scenario that is wrong or refused, in words.
pub fn section(setups: u64) -> Result<Section, String> {
    let mut section = Section::new("Simulation");
    section.say(format!(
        "`rondo-simulator`'s scenarios under `guaranteed`, seed {SEED}, each run twice: the hash of the trace is the same on every machine and build. All comparators beside it: docs/scheduling.md."
    ));
    let mut table = Table::new([
        "scenario",
        "busy %",
        "idle with work ns",
        "share error %",
        "weighted Jain",
        "lag L",
        "first VM: p99 ms",
        "p99.9 ms",
        "late",
        "trace hash",
    ]);
    let (mut idle_with_work, mut differ) = (0, 0);
    for (name, text) in SCENARIOS {
        eprintln!("simulation: {name}");
        let scenario = Scenario::parse(text).map_err(|error| format!("{name}: {error}"))?;
        let run = || simulate(&scenario, Contender::Guaranteed, SEED, false);
        let outcome = run().map_err(|error| format!("{name}: {error}"))?;
        let again = run().map_err(|error| format!("{name}: {error}"))?;
        let hash = outcome.trace_hash();
        differ += u64::from(hash != again.trace_hash());
        let report = &outcome.report;
        idle_with_work += report.idle_while_work_ns;
        let late: u64 = report.vms.iter().filter_map(|vm| vm.late).sum();
        let first = report.vms.first();
        let ms = |ns: Option<u64>| number(ns.unwrap_or(0) as f64 / 1e6);
        table.row([
            name.to_owned(),
            format!("{:.2}", busy(report)),
            report.idle_while_work_ns.to_string(),
            format!("{:.4}", report.share_error_percent),
            format!("{:.6}", report.weighted_jain),
            format!("{:.3}", report.lag_in_l),
            ms(first.map(|vm| vm.latency_p99_ns)),
            ms(first.map(|vm| vm.latency_p999_ns)),
            late.to_string(),
            format!("{hash:016x}"),
        ]);
        judge(&mut section, name, report);
    }
    section.judge(
        "Idle while a VM without a limit had work, all scenarios",
        idle_with_work as f64,
        "ns",
        Goal::AtMost(0.0),
    );
    section.judge(
        "Scenarios whose second run gave another trace hash",
        differ as f64,
        "",
        Goal::AtMost(0.0),
    );
    section.show(&table);
    inside(&mut section)?;
    crate::sweep::tell(&mut section, setups);
    Ok(section)
}

fn busy(report: &Report) -> f64 {
    let books = report.books;
    let all = books.busy_ns + books.switch_ns + books.idle_ns + books.reset_ns;
    books.busy_ns as f64 * 100.0 / all.max(1) as f64
}

fn judge(section: &mut Section, name: &str, report: &Report) {
    let first = report.vms.first();
    if name.starts_with("load") {
        section.judge(
            format!("Simulation, {name}, share error after 60 s"),
            report.share_error_percent,
            "%",
            Goal::AtMost(0.1),
        );
        section.judge(
            format!("Simulation, {name}, weighted Jain"),
            report.weighted_jain,
            "",
            Goal::AtLeast(0.9999),
        );
        section.judge(
            format!("Simulation, {name}, lag"),
            report.lag_in_l,
            "L",
            Goal::AtMost(1.0),
        );
    }
    match (name, first) {
        ("noisy neighbours", Some(victim)) => {
            let ms = |ns: u64| ns as f64 / 1e6;
            section.judge(
                "Simulation, victim among 15 noisy VMs, p99",
                ms(victim.latency_p99_ns),
                "ms",
                Goal::AtMost(4.6),
            );
            section.judge(
                "Simulation, victim among 15 noisy VMs, p99.9",
                ms(victim.latency_p999_ns),
                "ms",
                Goal::AtMost(5.0),
            );
            section.judge(
                "Simulation, GPU busy meanwhile",
                busy(report),
                "%",
                Goal::AtLeast(100.0),
            );
        }
        ("bursts", Some(bursty)) => {
            let part = bursty.service_ns as f64 * 100.0 / bursty.fluid_ns.max(1) as f64;
            section.judge(
                "Simulation, a VM that wants exactly its quarter in bursts gets of it",
                part,
                "%",
                Goal::AtLeast(99.9),
            );
        }
        ("one of four is active", Some(_)) => {
            section.judge(
                "Simulation, 1 of 4 VMs active, GPU busy",
                busy(report),
                "%",
                Goal::AtLeast(100.0),
            );
        }
        _ => {}
    }
}

/// What the guest of the first of two VMs does inside: each a context's band and unit.
const INSIDES: [(&str, &[(&str, u64)]); 4] = [
    ("FOCUS and NORMAL", &[("focus", 100), ("normal", 100)]),
    ("NORMAL alone", &[("normal", 100)]),
    ("REALTIME and IDLE", &[("realtime", 100), ("idle", 100)]),
    (
        "all four",
        &[
            ("realtime", 100),
            ("focus", 100),
            ("normal", 100),
            ("idle", 100),
        ],
    ),
];

/// Two VMs that always have work; the first one's guest does this inside.
fn with_inside(contexts: &[(&str, u64)]) -> String {
    let contexts: String = (contexts.iter())
        .map(|(band, unit)| {
            format!(
                "[[vm.process.context]]\nname = \"{band}\"\nband = \"{band}\"\nload = {{ kind = \"backlogged\", length_us = {unit} }}\n"
            )
        })
        .collect();
    format!(
        "duration_ms = 10000\n[[vm]]\nname = \"guest\"\nshare_ppm = 300000\nmax_unit_us = 100\n[[vm.process]]\nname = \"p\"\n{contexts}\
         [[vm]]\nname = \"other\"\nshare_ppm = 700000\nmax_unit_us = 700\nload = {{ kind = \"backlogged\", length_us = 700 }}\n"
    )
}

/// What a guest does inside its VM: NORMAL's floor, and that nobody outside can tell.
fn inside(section: &mut Section) -> Result<(), String> {
    let mut outside = Vec::new();
    let mut normal = 0.0;
    for (name, contexts) in INSIDES {
        let scenario =
            Scenario::parse(&with_inside(contexts)).map_err(|error| format!("{name}: {error}"))?;
        let outcome = simulate(&scenario, Contender::Guaranteed, SEED, false);
        let report = outcome.map_err(|error| format!("{name}: {error}"))?.report;
        let bands = report.vms.first().and_then(|vm| vm.inside.as_ref());
        let part = |band: &str| {
            let bands = bands.into_iter().flat_map(|inside| &inside.bands);
            let mut found = bands.filter(|part| part.name == band);
            found.next().map_or(0.0, |part| part.percent)
        };
        if name == "FOCUS and NORMAL" {
            normal = part("normal");
        }
        let vms = report.vms.iter();
        let account: Vec<(u64, u64)> = vms
            .map(|vm| (vm.service_ns, vm.lag_in_l.to_bits()))
            .collect();
        outside.push((account, report.books));
    }
    let differ = outside
        .iter()
        .filter(|&account| Some(account) != outside.first())
        .count();
    section.say(format!(
        "Inside a VM, beside another one, both always busy for 10 s. FOCUS and NORMAL saturated, bands as they are by default: NORMAL got {normal:.3} %. The same with {} other insides: \
         service and lag of both VMs and the engine's books are the same to the bit, but for {differ} of them.",
        INSIDES.len() - 1
    ));
    section.judge(
        "NORMAL's part while FOCUS is saturated, distance from 10 %",
        (normal - 10.0).abs(),
        "%",
        Goal::AtMost(0.5),
    );
    section.judge(
        "Guests' insides that change the accounts of the VMs",
        differ as f64,
        "",
        Goal::AtMost(0.0),
    );
    Ok(())
}

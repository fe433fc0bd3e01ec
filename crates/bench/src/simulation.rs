// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The numbers that only a simulated world can gate: the same on every machine, from the simulator's own scenarios.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::{
    Band, BandSettings, ContextId, ContextProperties, ContextScheduler, InsideError, ProcessId,
};
use rondo_simulator::contender::Contender;
use rondo_simulator::metrics::Report;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::sweep;

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
        let hash = outcome.trace.hash();
        differ += u64::from(hash != again.trace.hash());
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
    focus(&mut section).map_err(|error| error.to_string())?;
    if setups > 0 {
        bound(&mut section, setups);
    }
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

/// FOCUS and NORMAL that always have work, inside one VM.
fn focus(section: &mut Section) -> Result<(), InsideError> {
    const UNITS: u64 = 200_000;
    let mut inside = ContextScheduler::new(BandSettings::default());
    inside.add_process(ProcessId(1))?;
    for (context, band) in [(1, Band::Focus), (2, Band::Normal)] {
        let properties = ContextProperties {
            band,
            ..ContextProperties::default()
        };
        inside.add_context(ProcessId(1), ContextId(context), properties)?;
        inside.ready(ContextId(context))?;
    }
    // Lengths that divide no quantum.
    let (mut normal, mut all) = (0, 0);
    for unit in 0..UNITS {
        let ran = 37_000 + unit * 7_919 % 90_000;
        let is_normal = inside.unit_begins() == Some(ContextId(2));
        inside.unit_done(Nanos(ran));
        normal += if is_normal { ran } else { 0 };
        all += ran;
    }
    let part = normal as f64 * 100.0 / all as f64;
    section.say(format!(
        "Inside a VM: FOCUS and NORMAL always have work, {UNITS} units of 37 to 127 us, bands as they are by default: NORMAL got {part:.3} %."
    ));
    section.judge(
        "NORMAL's part while FOCUS is saturated, distance from 10 %",
        (part - 10.0).abs(),
        "%",
        Goal::AtMost(0.5),
    );
    Ok(())
}

/// Random adversarial set-ups: who is late.
fn bound(section: &mut Section, setups: u64) {
    eprintln!("simulation: {setups} adversarial set-ups");
    let next = AtomicU64::new(SEED);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<(u64, u64, f64, u64)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let (mut broken, mut late, mut worst, mut requests) = (0, 0, 0.0_f64, 0);
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= SEED + setups {
                            return (broken, late, worst, requests);
                        }
                        let tally = sweep::judge(Contender::Guaranteed, seed);
                        broken += tally.broken;
                        late += tally.late;
                        requests += tally.requests;
                        worst = worst.max(tally.worst);
                    }
                })
            })
            .collect();
        (workers.into_iter())
            .filter_map(|worker| worker.join().ok())
            .collect()
    });
    let sum = |of: fn(&(u64, u64, f64, u64)) -> u64| tallies.iter().map(of).sum::<u64>();
    let worst = tallies
        .iter()
        .fold(0.0_f64, |worst, tally| worst.max(tally.2));
    section.say(format!(
        "{setups} random adversarial set-ups from seed {SEED} on, 1 s each, cold start included: {} of {} requests later than `c/share + L`, in {} set-ups; the worst took {worst:.3} of its bound.",
        sum(|tally| tally.1),
        sum(|tally| tally.3),
        sum(|tally| tally.0),
    ));
    section.judge(
        format!("Requests past c/share + L in {setups} adversarial set-ups"),
        sum(|tally| tally.1) as f64,
        "",
        Goal::AtMost(0.0),
    );
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One scenario under everybody, in one table.

use std::fmt::Write;

use crate::contender::Contender;
use crate::metrics::{Report, VmReport};
use crate::scenario::Scenario;
use crate::simulation::simulate;

/// The table, in Markdown: a row for each contender, with the numbers of the first VM of the scenario at its end.
#[must_use]
pub fn table(scenario: &Scenario, seed: u64) -> String {
    let mut table = String::new();
    let first = scenario.vms.first().map_or("", |vm| vm.name.as_str());
    // Writing into a String cannot fail.
    let _ = writeln!(
        table,
        "| policy | busy % | idle with work ms | share error % | Jain | lag L | late of requests | worst of bound | {first}: service % | p50 ms | p99 ms | p99.9 ms | max ms |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for contender in Contender::on(scenario.engines) {
        let cells = match simulate(scenario, contender, seed, false) {
            Ok(outcome) => row(scenario, &outcome.report),
            Err(refusal) => format!("refused: {refusal}"),
        };
        let _ = writeln!(table, "| {} | {cells} |", contender.name());
    }
    if scenario.engines > 1 {
        let _ = writeln!(
            table,
            "\n{} engines: the comparators drive one and are not shown.",
            scenario.engines
        );
    }
    table
}

fn row(scenario: &Scenario, report: &Report) -> String {
    let ms = |ns: u64| ns as f64 / 1e6;
    let percent = |ns: u64| ns as f64 * 100.0 / scenario.duration as f64;
    let late: u64 = report.vms.iter().filter_map(|vm| vm.late).sum();
    let requests: u64 = report.vms.iter().map(|vm| vm.requests).sum();
    let worst = report
        .vms
        .iter()
        .filter_map(|vm| vm.worst_of_bound)
        .fold(0.0, f64::max);
    let of_all = format!(
        "{:.2} | {:.3} | {:.3} | {:.5} | {:.2} | {late} of {requests} | {worst:.3}",
        percent(report.books.busy_ns) / f64::from(scenario.engines),
        ms(report.idle_while_work_ns),
        report.share_error_percent,
        report.weighted_jain,
        report.lag_in_l
    );
    let of_first = |vm: &VmReport| {
        format!(
            "{:.2} | {:.3} | {:.3} | {:.3} | {:.3}",
            percent(vm.service_ns),
            ms(vm.latency_p50_ns),
            ms(vm.latency_p99_ns),
            ms(vm.latency_p999_ns),
            ms(vm.latency_max_ns)
        )
    };
    format!(
        "{of_all} | {}",
        report.vms.first().map(of_first).unwrap_or_default()
    )
}

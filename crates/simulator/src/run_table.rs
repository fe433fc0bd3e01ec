// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What one run amounts to, for a reader: a few lines and a table for the VMs, one more for each VM with processes.

use std::fmt::Write;

use crate::inside_report::{InsideReport, PartReport};
use crate::metrics::Report;

/// The lines and tables, in Markdown.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut text, report);
    text
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    let books = report.books;
    writeln!(
        text,
        "busy {:.3} ms, switch {:.3} ms, idle {:.3} ms ({:.3} ms of it with work waiting), reset {:.3} ms",
        ms(books.busy_ns),
        ms(books.switch_ns),
        ms(books.idle_ns),
        ms(report.idle_while_work_ns),
        ms(books.reset_ns)
    )?;
    writeln!(
        text,
        "share error {:.4} %, weighted Jain {:.6}, lag {:.3} L, L {:.3} ms\n",
        report.share_error_percent,
        report.weighted_jain,
        report.lag_in_l,
        ms(report.longest_unit_ns)
    )?;
    writeln!(
        text,
        "| VM | share % | service ms | fluid ms | lag L | requests | p50 ms | p99 ms | p99.9 ms | max ms | late | worst of bound |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
    )?;
    for vm in &report.vms {
        let late = vm
            .late
            .map_or_else(|| "-".to_owned(), |late| late.to_string());
        let worst = vm
            .worst_of_bound
            .map_or_else(|| "-".to_owned(), |worst| format!("{worst:.3}"));
        writeln!(
            text,
            "| {} | {:.2} | {:.3} | {:.3} | {:.2} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {late} | {worst} |",
            vm.name,
            f64::from(vm.share_ppm) / 1e4,
            ms(vm.service_ns),
            ms(vm.fluid_ns),
            vm.lag_in_l,
            vm.requests,
            ms(vm.latency_p50_ns),
            ms(vm.latency_p99_ns),
            ms(vm.latency_p999_ns),
            ms(vm.latency_max_ns)
        )?;
    }
    for vm in &report.vms {
        if let Some(inside) = &vm.inside {
            write_inside(text, &vm.name, inside)?;
        }
    }
    Ok(())
}

fn write_inside(text: &mut String, vm: &str, inside: &InsideReport) -> std::fmt::Result {
    writeln!(
        text,
        "\nInside {vm}:\n\n| part | % of the VM | service ms | requests | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|---|"
    )?;
    let row = |text: &mut String, kind: &str, part: &PartReport, rest: &str| {
        let service = ms(part.service_ns);
        let name = &part.name;
        writeln!(
            text,
            "| {kind}{name} | {:.3} | {service:.3} | {rest} |",
            part.percent
        )
    };
    for band in &inside.bands {
        row(text, "band ", band, "| | |")?;
    }
    for process in &inside.processes {
        row(text, "process ", &process.part, "| | |")?;
        for context in &process.contexts {
            let kind = format!("{}, {} context ", process.part.name, context.band);
            let rest = format!(
                "{} | {:.3} | {:.3} | {:.3}",
                context.requests,
                ms(context.latency_p50_ns),
                ms(context.latency_p99_ns),
                ms(context.latency_max_ns)
            );
            row(text, &kind, &context.part, &rest)?;
        }
    }
    Ok(())
}

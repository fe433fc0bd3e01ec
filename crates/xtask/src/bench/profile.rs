// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where the time goes: both VMMs under each load once more, sampled by perf.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rondo_tests::lab::target_folder;

use super::contender::{Contender, Stable};
use super::guest_run::GuestRun;
use super::load::Load;
use crate::programs;

/// Samples a second for each processor.
const SAMPLES_PER_SECOND: u32 = 4000;
/// Loads run so much longer than when they are measured, so that there are enough samples.
const SCALE: u64 = 4;
/// Lines shown for each run.
const LINES: usize = 12;
/// What is below this many percent of a run is left out.
const LEAST_PERCENT: f64 = 0.4;

/// A line of a profile: a part of all samples of a process.
#[derive(Debug, Clone, PartialEq)]
struct Share {
    percent: f64,
    thread: String,
    place: String,
}

/// Whether there is a perf that works.
///
/// # Errors
/// Says what to install or to allow.
pub fn check() -> Result<()> {
    if !programs::exists("perf") {
        bail!("there is no perf for --profile: install it (Debian: linux-perf)");
    }
    let out = target_folder().join("bench-vmm.perf");
    programs::output(record(&out).arg("true")).context(
        "perf cannot sample for --profile (may this user? see /proc/sys/kernel/perf_event_paranoid)",
    )?;
    Ok(())
}

/// The profiles of the loads that take time, as tables.
///
/// # Errors
/// When a VMM, the guest or perf fails.
pub fn markdown(stable: &Stable, loads: &[Load]) -> Result<String> {
    let mut text = String::new();
    for &load in loads {
        if !matches!(load, Load::Frames | Load::Commands | Load::RoundTrips) {
            continue;
        }
        for contender in Contender::BOTH {
            eprintln!("profile: {}, {}", load.title(), contender.name());
            let shares = profile(stable, contender, load)?;
            text.push_str(&format!("\n**{}, {}**\n\n", title(load), contender.name()));
            text.push_str(&table(&shares));
        }
    }
    Ok(text)
}

fn title(load: Load) -> String {
    let title = load.title();
    let (first, rest) = title.split_at(1);
    format!("{}{rest}", first.to_uppercase())
}

fn record(out: &std::path::Path) -> Command {
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--event", "cpu-clock"])
        .args(["--freq", &SAMPLES_PER_SECOND.to_string(), "--output"])
        .arg(out)
        .arg("--");
    perf
}

fn profile(stable: &Stable, contender: Contender, load: Load) -> Result<Vec<Share>> {
    let out = target_folder().join("bench-vmm.perf");
    let vmm = stable.command(contender, &load.words(SCALE));
    let mut command = record(&out);
    command.arg(vmm.get_program()).args(vmm.get_args());
    let mut run = GuestRun::start(&mut command)?;
    run.line("bye")?;
    run.finish()?;
    let text = programs::output(
        Command::new("perf")
            .args(["report", "--stdio", "--fields", "overhead,comm,dso,symbol"])
            .args(["--field-separator", "\t", "--input"])
            .arg(&out),
    )?;
    Ok(text.lines().filter_map(share).collect())
}

/// A line of perf's report: `12.34%<tab>thread<tab>file<tab>[k] symbol`.
fn share(line: &str) -> Option<Share> {
    let mut fields = line.split('\t').map(str::trim);
    let percent = fields.next()?.strip_suffix('%')?.parse().ok()?;
    let thread = fields.next()?.to_owned();
    let file = fields.next()?;
    let symbol = fields.next()?;
    let symbol = symbol.strip_prefix("[.] ").unwrap_or(symbol);
    let place = match symbol.strip_prefix("[k] ") {
        Some(symbol) => format!("kernel: `{symbol}`"),
        None => format!("{file}: `{symbol}`"),
    };
    Some(Share {
        percent,
        thread,
        place,
    })
}

fn table(shares: &[Share]) -> String {
    let mut threads: BTreeMap<&str, f64> = BTreeMap::new();
    for share in shares {
        *threads.entry(&share.thread).or_default() += share.percent;
    }
    let mut threads: Vec<_> = threads.into_iter().collect();
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    let by_thread: Vec<_> = threads
        .iter()
        .filter(|(_, percent)| *percent >= LEAST_PERCENT)
        .map(|(thread, percent)| format!("{thread} {percent:.1} %"))
        .collect();
    let mut text = format!("By thread: {}.\n\n", by_thread.join(", "));
    text.push_str("| % | thread | where |\n|---|---|---|\n");
    for share in shares
        .iter()
        .filter(|share| share.percent >= LEAST_PERCENT)
        .take(LINES)
    {
        let Share {
            percent,
            thread,
            place,
        } = share;
        text.push_str(&format!("| {percent:.1} | {thread} | {place} |\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Share, share, table};

    #[test]
    fn given_perfs_report_when_read_then_threads_are_summed_and_symbols_named() {
        let lines = [
            "# comment",
            "47.50%\tvcpu0 vm\t[kernel.kallsyms]\t[k] enter_guest",
            "  2.50%\tvcpu0 vm\trondo\t[.] run",
            "50.00%\tgpu\tlibc.so.6\t[.] memcpy",
        ];
        let shares: Vec<Share> = lines.iter().filter_map(|line| share(line)).collect();
        assert_eq!(shares.len(), 3);
        let text = table(&shares);
        assert!(
            text.starts_with("By thread: gpu 50.0 %, vcpu0 vm 50.0 %."),
            "{text}"
        );
        assert!(
            text.contains("| 47.5 | vcpu0 vm | kernel: `enter_guest` |\n"),
            "{text}"
        );
        assert!(
            text.contains("| 50.0 | gpu | libc.so.6: `memcpy` |\n"),
            "{text}"
        );
    }
}

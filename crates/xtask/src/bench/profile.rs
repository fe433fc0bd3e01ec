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
const LINES: usize = 8;
/// What is below this many percent of a run is left out.
const LEAST_PERCENT: f64 = 0.5;

/// A line of a profile: a part of all samples of a process.
#[derive(Debug, Clone, PartialEq)]
struct Share {
    percent: f64,
    thread: String,
    place: String,
}

/// What perf saw of one run.
#[derive(Debug, PartialEq)]
struct Profile {
    /// The processor time of all threads, in nanoseconds.
    nanoseconds: f64,
    shares: Vec<Share>,
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
        let Some((key, item)) = load.item() else {
            continue;
        };
        for contender in Contender::BOTH {
            eprintln!("profile: {}, {}", load.title(), contender.name());
            let (profile, items) = profile(stable, contender, load, key)?;
            text.push_str(&format!("\n**{}, {}.** ", title(load), contender.name()));
            text.push_str(&table(&profile, item, items));
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

/// One run, and how many items it was.
fn profile(stable: &Stable, contender: Contender, load: Load, key: &str) -> Result<(Profile, f64)> {
    let out = target_folder().join("bench-vmm.perf");
    let vmm = stable.command(contender, &load.words(SCALE));
    let mut command = record(&out);
    command.arg(vmm.get_program()).args(vmm.get_args());
    let mut run = GuestRun::start(&mut command)?;
    let items = run.line(key)?.0.number(key)?;
    run.finish()?;
    let text = programs::output(
        Command::new("perf")
            .args(["report", "--stdio", "--fields", "overhead,comm,dso,symbol"])
            .args(["--field-separator", "\t", "--input"])
            .arg(&out),
    )?;
    let profile = Profile::parse(&text).context("perf's report has no event count")?;
    Ok((profile, items))
}

impl Profile {
    fn parse(report: &str) -> Option<Self> {
        let count = report
            .lines()
            .find_map(|line| line.strip_prefix("# Event count (approx.): "))?;
        Some(Self {
            nanoseconds: count.trim().parse().ok()?,
            shares: report.lines().filter_map(share).collect(),
        })
    }
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

fn table(profile: &Profile, item: &str, items: f64) -> String {
    let microseconds = |percent: f64| percent / 100.0 * profile.nanoseconds / items / 1e3;
    let mut threads: BTreeMap<&str, f64> = BTreeMap::new();
    for share in &profile.shares {
        *threads.entry(&share.thread).or_default() += share.percent;
    }
    let mut threads: Vec<_> = threads.into_iter().collect();
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    let by_thread: Vec<_> = threads
        .iter()
        .filter(|(_, percent)| *percent >= LEAST_PERCENT)
        .map(|(thread, percent)| format!("{thread} {:.2} us", microseconds(*percent)))
        .collect();
    let mut text = format!(
        "Processor time for one {item}, by thread: {}.\n\n",
        by_thread.join(", ")
    );
    text.push_str("| us | thread | where |\n|---|---|---|\n");
    for share in profile
        .shares
        .iter()
        .filter(|share| share.percent >= LEAST_PERCENT)
        .take(LINES)
    {
        text.push_str(&format!(
            "| {:.2} | {} | {} |\n",
            microseconds(share.percent),
            share.thread,
            share.place
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Profile, table};

    #[test]
    fn given_perfs_report_when_read_then_threads_are_summed_and_symbols_named() {
        let report = "# Event count (approx.): 2000000\n# comment\n\
                      47.50%\tvcpu0 vm\t[kernel.kallsyms]\t[k] enter_guest\n\
                      \x20 2.50%\tvcpu0 vm\trondo\t[.] run\n\
                      50.00%\tgpu\tlibc.so.6\t[.] memcpy\n";
        let profile = Profile::parse(report).unwrap();
        assert_eq!(profile.shares.len(), 3);
        let text = table(&profile, "frame", 100.0);
        let first = "Processor time for one frame, by thread: gpu 10.00 us, vcpu0 vm 10.00 us.\n";
        assert!(text.starts_with(first), "{text}");
        assert!(
            text.contains("| 9.50 | vcpu0 vm | kernel: `enter_guest` |\n"),
            "{text}"
        );
        assert!(
            text.contains("| 10.00 | gpu | libc.so.6: `memcpy` |\n"),
            "{text}"
        );
        assert_eq!(Profile::parse("no count"), None);
    }
}

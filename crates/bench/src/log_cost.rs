// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduling log costs: the same work with it and without it, in turns.

use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rondo_adapter::ddi::DdiResult;
use rondo_adapter::handle::ContextHandle;
use rondo_adapter::scheduling_log::{ContextState, LogEntry, LogReader, LogWriter, SchedulingLog};
use rondo_scheduler::journal::Journal;
use rondo_scheduler::{Actions, Nanos, Policy};

use crate::clock;
use crate::gpu::{Gpu, VmPlan, percent};
use crate::report::{Goal, Section, Table, number};
use crate::statistics::{Samples, median};
use crate::world::{Load, Setup, record};

/// How long each run is.
const RUN: Duration = Duration::from_millis(100);
/// How often the log is read meanwhile.
const READ_EVERY: Duration = Duration::from_millis(2);
/// Room for what is read.
const ENTRIES_OF_A_RUN: usize = 1 << 21;
/// Pairs of runs.
const PAIRS: usize = 12;
/// The decisions a second at which the log's part is given.
const DECISIONS: f64 = 1e5;

/// Measures and tells.
pub fn section() -> DdiResult<Section> {
    let mut section = Section::new("The scheduling log");
    let alone = entry_alone();
    let (mut without, mut with, mut per_entry, mut per_unit, mut lost) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    for pair in 1..=PAIRS {
        eprintln!("log: pair {pair} of {PAIRS}");
        let (off, _) = run(false)?;
        let (on, log) = run(true)?;
        per_entry.push((on - off) / log.entries_a_unit.max(1e-9));
        per_unit.push(log.entries_a_unit);
        lost += log.lost;
        without.push(off);
        with.push(on);
    }
    let (without, with) = (median(&without), median(&with));
    let (per_entry, per_unit) = (median(&per_entry), median(&per_unit));
    section.say(format!(
        "One VM with two contexts that always have work, in units of no length that take turns after each unit: the worst case, {} entries a unit. {PAIRS} pairs of runs of {} ms, without and with the log, \
         which a reader comes for every {} ms; medians. *Alone*: entries written one after the other, without the clock.",
        number(per_unit),
        RUN.as_millis(),
        READ_EVERY.as_millis()
    ));
    let mut table = Table::new(["", "without", "with", "ratio"]);
    table.row([
        "a unit, from one to the next, ns".to_owned(),
        number(without),
        number(with),
        number(with / without.max(1e-9)),
    ]);
    section.show(&table);
    let entries_a_second = 2.0 * DECISIONS;
    let part = per_entry.max(0.0) * entries_a_second / 1e9 * 100.0;
    let mut table = Table::new(["", "ns"]);
    table.row(["an entry, alone".to_owned(), number(alone)]);
    table.row([
        "an entry, in the worker, by the difference".to_owned(),
        number(per_entry),
    ]);
    table.row([
        "a line of the scheduler's journal, into memory".to_owned(),
        number(journal_line()),
    ]);
    section.show(&table);
    section.judge(
        "Scheduling log, an entry",
        per_entry,
        "ns",
        Goal::AtMost(50.0),
    );
    section.judge(
        "Scheduling log, part of the time at 100,000 decisions a second (two entries each)",
        part,
        "%",
        Goal::AtMost(2.0),
    );
    section.judge(
        "Scheduling log, entries lost by the reader",
        lost as f64,
        "",
        Goal::AtMost(0.0),
    );
    section.judge(
        "Scheduling log, rows",
        SchedulingLog::DEFAULT_ENTRIES.get().into(),
        "",
        Goal::AtLeast(65_536.0),
    );
    Ok(section)
}

/// What a log has got in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Logged {
    entries_a_unit: f64,
    lost: u64,
}

/// Nanoseconds from a unit's beginning to the next one's, and what was logged.
fn run(logged: bool) -> DdiResult<(f64, Logged)> {
    let plans = [VmPlan {
        contexts: 2,
        ..VmPlan::busy(percent(100), Nanos(0))
    }];
    let gpu = Gpu::new(&plans)?;
    let mut reader = None;
    if logged {
        let log = Arc::new(SchedulingLog::new(SchedulingLog::DEFAULT_ENTRIES));
        gpu.log(0, Some(Arc::clone(&log)))?;
        reader = Some(LogReader::new(log));
    }
    let (mut entries, mut lost) = (Vec::with_capacity(ENTRIES_OF_A_RUN), 0);
    let run = gpu.measure(&plans, |gpu| {
        // Nobody came for what was written before.
        if let Some(reader) = &mut reader {
            reader.read(usize::MAX, &mut entries);
            entries.clear();
        }
        let end = gpu.clock.now().0 + u64::try_from(RUN.as_nanos()).unwrap_or(u64::MAX);
        while gpu.clock.now().0 < end {
            if let Some(reader) = &mut reader {
                lost += reader.read(usize::MAX, &mut entries);
            }
            thread::sleep(READ_EVERY);
        }
    })?;
    let units = &run.vms[0].units;
    let (Some(first), Some(last)) = (units.first(), units.last()) else {
        return Ok((0.0, Logged::default()));
    };
    let within = |entry: &&LogEntry| (first.began..last.began).contains(&entry.timestamp);
    let logged = Logged {
        entries_a_unit: entries.iter().filter(within).count() as f64 / units.len() as f64,
        lost,
    };
    let span = last.began.0 - first.began.0;
    let per_unit = span as f64 / units.len().saturating_sub(1).max(1) as f64;
    Ok((per_unit, logged))
}

/// Nanoseconds of an entry, written one after the other.
fn entry_alone() -> f64 {
    const ENTRIES: u64 = 100_000;
    let log = Arc::new(SchedulingLog::new(SchedulingLog::DEFAULT_ENTRIES));
    let Some(mut writer) = LogWriter::claim(log) else {
        return 0.0;
    };
    let rounds: Vec<f64> = (0..21)
        .map(|_| {
            let before = Instant::now();
            for number in 0..ENTRIES {
                writer.record(black_box(LogEntry {
                    timestamp: Nanos(number),
                    context: ContextHandle(number),
                    state: ContextState::Running,
                    node: 0,
                }));
            }
            clock::nanos(before, Instant::now()) as f64 / ENTRIES as f64
        })
        .collect();
    median(&rounds)
}

/// Nanoseconds of a line of the scheduler's journal, written into memory; zero if the scheduler refused what is recorded.
fn journal_line() -> f64 {
    let setup = Setup {
        policy: Policy::Guaranteed,
        engines: 1,
        vms: 100,
        load: Load::Sleepy,
    };
    let (Ok(recording), Ok(mut scheduler)) = (record(setup, 20_000), setup.scheduler()) else {
        return 0.0;
    };
    let mut actions = Actions::new();
    let mut line = String::with_capacity(1 << 10);
    let mut lines = Vec::with_capacity(recording.steps.len());
    for step in recording.beginning.iter().chain(&recording.steps) {
        actions.clear();
        let result = scheduler.on(step.at, step.event, &mut actions);
        line.clear();
        let before = Instant::now();
        // Writing into a String cannot fail.
        let _ = writeln!(
            line,
            "{}",
            Journal::line(step.at, &step.event, actions.as_slice(), &result)
        );
        lines.push(clock::nanos(before, Instant::now()));
    }
    Samples::new(lines).p50() - clock::cost() as f64
}

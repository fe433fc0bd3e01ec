// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduling log costs: an entry, alone and with the clock that stamps it, and a reader's part of it.
//!
//! `cargo bench -p rondo-adapter` prints one line a case: the median of its rounds, in nanoseconds an entry.

#![allow(missing_docs, clippy::unwrap_used, clippy::cast_precision_loss)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use rondo_adapter::clock::{Clock, MonotonicClock};
use rondo_adapter::handle::ContextHandle;
use rondo_adapter::scheduling_log::{ContextState, LogEntry, LogReader, LogWriter, SchedulingLog};
use rondo_scheduler::Nanos;

const ENTRIES: usize = 50_000;
const ROUNDS: usize = 101;

fn entry(timestamp: Nanos, context: u64) -> LogEntry {
    LogEntry {
        timestamp,
        context: ContextHandle(context),
        state: ContextState::Running,
        node: 0,
    }
}

/// The median of a round's time, by the entry.
fn measure(name: &str, mut round: impl FnMut() -> u128) {
    let mut times: Vec<u128> = (0..ROUNDS).map(|_| round()).collect();
    times.sort_unstable();
    let median = times[ROUNDS / 2] as f64 / ENTRIES as f64;
    println!("{name:<40}{median:>8.1} ns an entry");
}

fn main() {
    let log = Arc::new(SchedulingLog::new(SchedulingLog::DEFAULT_ENTRIES));
    let mut writer = LogWriter::claim(Arc::clone(&log)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(MonotonicClock::new());
    let now = Nanos(1);
    measure("write", || {
        let start = Instant::now();
        for context in 0..ENTRIES as u64 {
            writer.record(black_box(entry(now, context)));
        }
        start.elapsed().as_nanos()
    });
    measure("write with a clock reading", || {
        let start = Instant::now();
        for context in 0..ENTRIES as u64 {
            writer.record(entry(clock.now(), black_box(context)));
        }
        start.elapsed().as_nanos()
    });
    let mut reader = LogReader::new(log);
    let mut read = Vec::with_capacity(ENTRIES);
    reader.read(usize::MAX, &mut read);
    measure("read", || {
        (0..ENTRIES as u64).for_each(|context| writer.record(entry(now, context)));
        read.clear();
        let start = Instant::now();
        let lost = reader.read(ENTRIES, &mut read);
        let took = start.elapsed().as_nanos();
        assert_eq!((lost, read.len()), (0, ENTRIES));
        took
    });
}

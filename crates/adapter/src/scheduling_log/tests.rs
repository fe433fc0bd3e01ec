// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#![allow(clippy::unwrap_used)]

use std::thread;

use proptest::prelude::*;

use super::*;

fn log(entries: u32) -> Arc<SchedulingLog> {
    Arc::new(SchedulingLog::new(NonZeroU32::new(entries).unwrap()))
}

/// An entry all of whose fields follow from its number.
fn entry(number: u64) -> LogEntry {
    LogEntry {
        timestamp: Nanos(number),
        context: ContextHandle(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        state: ContextState::from_number(number % 3).unwrap(),
        node: u16::try_from(number % 7).unwrap(),
    }
}

#[test]
fn an_entry_survives_its_32_bytes() {
    for number in 0..100 {
        let entry = entry(number);
        assert_eq!(LogEntry::from_words(entry.to_words()), Some(entry));
    }
}

#[test]
fn a_log_has_one_writer_at_a_time_and_goes_on_where_the_last_one_stopped() {
    let log = log(4);
    let mut writer = LogWriter::claim(Arc::clone(&log)).unwrap();
    assert!(LogWriter::claim(Arc::clone(&log)).is_none());
    (0..5).for_each(|number| writer.record(entry(number)));
    drop(writer);
    let mut reader = LogReader::new(Arc::clone(&log));
    let mut read = Vec::new();
    reader.read(usize::MAX, &mut read);
    LogWriter::claim(Arc::clone(&log)).unwrap().record(entry(5));
    assert_eq!(reader.read(usize::MAX, &mut read), 0);
    assert_eq!(read.last(), Some(&entry(5)));
}

#[test]
fn the_header_counts_entries_and_laps_as_wddm_has_it() {
    let log = log(4);
    let mut writer = LogWriter::claim(Arc::clone(&log)).unwrap();
    (0..11).for_each(|number| writer.record(entry(number)));
    assert_eq!(log.header.load(Ordering::SeqCst), 2 << 32 | 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// What is read and what is counted as lost is what was written; all is read by one who never falls a ring behind.
    #[test]
    fn nothing_is_lost_in_time_and_what_is_lost_late_is_counted(
        capacity in 1..20_u32,
        steps in proptest::collection::vec((0..30_u64, 0..30_usize), 1..40),
    ) {
        let log = log(capacity);
        let mut writer = LogWriter::claim(Arc::clone(&log)).unwrap();
        let mut reader = LogReader::new(log);
        let (mut written, mut seen, mut unread) = (0, 0, 0);
        for (writes, reads) in steps {
            (0..writes).for_each(|more| writer.record(entry(written + more)));
            written += writes;
            unread += writes;
            let mut read = Vec::new();
            let lost = reader.read(reads, &mut read);
            if unread < u64::from(capacity) {
                prop_assert_eq!(lost, 0);
                prop_assert_eq!(read.len() as u64, unread.min(reads as u64));
            }
            seen += lost;
            for got in read {
                prop_assert_eq!(got, entry(seen));
                seen += 1;
            }
            unread = written - seen;
        }
    }
}

#[test]
fn given_a_writer_that_runs_away_then_a_reader_gets_whole_entries_in_order_and_an_exact_loss() {
    const WRITES: u64 = 300_000;
    let log = log(64);
    let mut reader = LogReader::new(Arc::clone(&log));
    let mut writer = LogWriter::claim(log).unwrap();
    let writing =
        thread::spawn(move || (0..WRITES).for_each(|number| writer.record(entry(number))));
    let (mut seen, mut read) = (0, Vec::new());
    while seen < WRITES {
        let done = writing.is_finished();
        seen += reader.read(50, &mut read);
        let empty = read.is_empty();
        for got in read.drain(..) {
            assert_eq!(got, entry(seen));
            seen += 1;
        }
        if done && empty {
            break;
        }
    }
    assert_eq!(seen, WRITES);
    writing.join().unwrap();
}

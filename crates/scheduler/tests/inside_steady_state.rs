// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Inside a VM too, deciding allocates nothing. Alone in its file: it counts the allocations of the whole process.
#![allow(clippy::unwrap_used)]

mod counting;

use rondo_scheduler::Nanos;
use rondo_scheduler::inside::*;

const CONTEXTS: u64 = 1_000;

fn properties(number: u64) -> ContextProperties {
    let priority = i8::try_from(number % 15).unwrap() - 7;
    ContextProperties {
        band: Band::ALL[usize::try_from(number % 3).unwrap()],
        priority: InProcessPriority::new(priority).unwrap(),
        ..ContextProperties::default()
    }
}

#[test]
fn given_a_thousand_contexts_when_they_run_sleep_wake_and_change_then_nothing_is_allocated() {
    let mut inside = ContextScheduler::new(BandSettings::default());
    for process in 0..10 {
        inside.add_process(ProcessId(process)).unwrap();
    }
    for context in 0..CONTEXTS {
        let id = ContextId(context);
        inside
            .add_context(ProcessId(context % 10), id, properties(context))
            .unwrap();
        // Its process will be in all bands that are used below.
        for band in 0..3 {
            inside.set_properties(id, properties(band)).unwrap();
        }
    }
    let mut run = |steps: u64| {
        let mut units = 0;
        for step in 0..steps {
            let number = step.wrapping_mul(2_654_435_761);
            let context = ContextId(number % CONTEXTS);
            match step % 8 {
                0 => inside.idle(context).unwrap(),
                1 => inside
                    .set_properties(context, properties(number >> 13))
                    .unwrap(),
                2 => inside.focus_present(),
                3 => {
                    inside.suspend(context).unwrap();
                    inside.resume(context).unwrap();
                }
                4 | 5 => inside.ready(context).unwrap(),
                _ => {
                    if inside.unit_begins().is_some() {
                        inside.unit_done(Nanos(50_000 + number % 100_000));
                        units += 1;
                    }
                }
            }
        }
        units
    };
    run(20_000);
    let before = counting::counts()[0];
    let units = run(200_000);
    let allocated = counting::counts()[0] - before;
    assert!(units > 40_000, "{units} units");
    assert_eq!(allocated, 0, "allocations in 200,000 events");
}

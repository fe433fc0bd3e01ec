// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a decision costs: the scheduler's answer to one event, from few VMs to many.

use std::hint::black_box;
use std::time::Instant;

use rondo_scheduler::{Actions, Event, Policy, Scheduler, SchedulerError};

use crate::clock;
use crate::report::{Goal, Section, Table, nanos};
use crate::statistics::{Samples, median};
use crate::world::{Load, Recording, Setup, record};

/// Events of a recorded run.
const EVENTS: usize = 100_000;
/// Of these the first are not timed.
const WARM_UP: usize = 20_000;
/// Events between two looks at the clock, where many are timed in one go.
const BATCH: usize = 64;
/// Replays of each kind; the median counts.
const ROUNDS: usize = 5;

/// All policies, with their names.
pub const POLICIES: [(Policy, &str); 4] = [
    (Policy::Guaranteed, "guaranteed"),
    (Policy::Fixed, "fixed"),
    (Policy::Fair, "fair"),
    (Policy::BestEffort, "best-effort"),
];

/// What events of one kind cost, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    p50: f64,
    p99: f64,
}

/// What was measured of one set-up.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    unit_done: Cost,
    ready: Cost,
    /// An event of the batches, all kinds and rare long ones included.
    mean: f64,
}

/// Measures and tells.
///
/// # Errors
/// What the scheduler refuses.
pub fn section() -> Result<Section, SchedulerError> {
    let clock = clock::cost();
    let mut section = Section::new("Decisions");
    section.say(format!(
        "One event from the call of `Scheduler::on` to its return. *Unit done*: charge, requeue, pick, grant; *ready*: a VM wakes. Slices are zero, so that each unit \
         is followed by a decision. A recorded run of {EVENTS} events (the first {WARM_UP} are not timed) is replayed on a fresh scheduler, {ROUNDS} times each way, and the median of the replays counts. \
         *p50* and *p99*: each event between two looks at the clock, less what two looks at it with nothing in between cost ({clock} ns here; one look is a fence, so this is the upper side). \
         *mean*: {BATCH} events between two looks, so that the clock does not matter; rare long events are in it."
    ));
    let mut table = Table::new([
        "policy, engines",
        "VMs",
        "unit done: p50 ns",
        "p99 ns",
        "mean ns",
        "ready: p50 ns",
        "p99 ns",
    ]);
    for engines in [1, 4, 16] {
        for (policy, name) in POLICIES {
            let mut by_size = Vec::new();
            for vms in [1, 100, 1_000, 10_000] {
                if vms < u32::from(engines) {
                    continue;
                }
                eprintln!("decisions: {name}, {engines} engines, {vms} VMs");
                let setup = |load| Setup {
                    policy,
                    engines,
                    vms,
                    load,
                };
                let Ok(busy) = measure(setup(Load::Busy), clock) else {
                    continue;
                };
                let sleepy = measure(setup(Load::Sleepy), clock)?;
                let ready = |cost: f64| if vms > 1 { nanos(cost) } else { String::new() };
                table.row([
                    format!("{name}, {engines}"),
                    vms.to_string(),
                    nanos(busy.unit_done.p50),
                    nanos(busy.unit_done.p99),
                    nanos(busy.mean),
                    ready(sleepy.ready.p50),
                    ready(sleepy.ready.p99),
                ]);
                by_size.push((vms, busy));
            }
            judge(&mut section, name, engines, &by_size);
        }
    }
    section.show(&table);
    Ok(section)
}

/// The goals are those of the default policy; the others are held against the same ones.
fn judge(section: &mut Section, name: &str, engines: u16, by_size: &[(u32, Measured)]) {
    let of = |vms: u32| by_size.iter().find(|(size, _)| *size == vms);
    if engines == 1 {
        for (vms, goal) in [(1, 150.0), (100, 200.0), (10_000, 250.0)] {
            if let Some((_, cost)) = of(vms) {
                let plural = if vms == 1 { "VM" } else { "VMs" };
                let what = format!("Decision, {name}, {vms} {plural}, p50");
                section.judge(what, cost.unit_done.p50, "ns", Goal::AtMost(goal));
            }
        }
    }
    // On several engines, the default policy stands for all; the table has the others.
    if engines > 1 && name != POLICIES[0].1 {
        return;
    }
    if let (Some((_, few)), Some((_, many))) = (of(100), of(10_000)) {
        let plural = if engines == 1 { "engine" } else { "engines" };
        for (kind, few, many) in [
            ("p50", few.unit_done.p50, many.unit_done.p50),
            ("mean", few.mean, many.mean),
        ] {
            let what = format!(
                "Decision, {name}, {engines} {plural}, growth of the {kind} from 100 to 10,000 VMs"
            );
            section.judge(what, many / few.max(1.0), "", Goal::AtMost(2.0));
        }
    }
}

fn measure(setup: Setup, clock: u64) -> Result<Measured, SchedulerError> {
    let recording = record(setup, EVENTS)?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mean = in_batches(fresh(setup, &recording)?, &recording)?;
        let (unit_done, ready) = one_by_one(fresh(setup, &recording)?, &recording, clock)?;
        rounds.push(Measured {
            unit_done,
            ready,
            mean,
        });
    }
    let of = |value: fn(&Measured) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    Ok(Measured {
        unit_done: Cost {
            p50: of(|round| round.unit_done.p50),
            p99: of(|round| round.unit_done.p99),
        },
        ready: Cost {
            p50: of(|round| round.ready.p50),
            p99: of(|round| round.ready.p99),
        },
        mean: of(|round| round.mean),
    })
}

/// A scheduler for which the timed part of the recording comes next.
fn fresh(setup: Setup, recording: &Recording) -> Result<Scheduler, SchedulerError> {
    let mut scheduler = setup.scheduler()?;
    let mut actions = Actions::new();
    let warm_up = recording.steps.iter().take(WARM_UP);
    for step in recording.beginning.iter().chain(warm_up) {
        actions.clear();
        scheduler.on(step.at, step.event, &mut actions)?;
    }
    Ok(scheduler)
}

fn in_batches(mut scheduler: Scheduler, recording: &Recording) -> Result<f64, SchedulerError> {
    let mut actions = Actions::new();
    let mut batches = Vec::with_capacity(EVENTS / BATCH);
    for batch in recording.steps[WARM_UP..].chunks_exact(BATCH) {
        let before = Instant::now();
        for step in batch {
            actions.clear();
            scheduler.on(step.at, step.event, &mut actions)?;
            black_box(&actions);
        }
        batches.push(clock::nanos(before, Instant::now()));
    }
    // The median of the batches: one in which the host took the processor away does not count.
    Ok(Samples::new(batches).p50() / BATCH as f64)
}

fn one_by_one(
    mut scheduler: Scheduler,
    recording: &Recording,
    clock: u64,
) -> Result<(Cost, Cost), SchedulerError> {
    let mut actions = Actions::new();
    let (mut unit_done, mut ready) = (Vec::with_capacity(EVENTS), Vec::with_capacity(EVENTS));
    for step in &recording.steps[WARM_UP..] {
        actions.clear();
        let before = Instant::now();
        scheduler.on(step.at, step.event, &mut actions)?;
        let after = Instant::now();
        black_box(&actions);
        let took = clock::nanos(before, after).saturating_sub(clock);
        match step.event {
            Event::UnitDone { .. } => unit_done.push(took),
            Event::Ready { .. } => ready.push(took),
            _ => {}
        }
    }
    let cost = |samples| {
        let samples = Samples::new(samples);
        Cost {
            p50: samples.p50(),
            p99: samples.p99(),
        }
    };
    Ok((cost(unit_done), cost(ready)))
}

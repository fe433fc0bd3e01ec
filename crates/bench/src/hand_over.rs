// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! From the end of one VM's last unit to the beginning of the next VM's first, with the adapter's real threads.

use std::thread;
use std::time::Duration;

use rondo_adapter::ddi::DdiResult;
use rondo_adapter::thread_priority::PromptWorkers;
use rondo_scheduler::Nanos;

use crate::gpu::{DEFAULT_SLICE, Gpu, Ran, Run, VmPlan, percent};
use crate::jitter::{self, Place, Way};
use crate::report::{Goal, Section, Table, number};
use crate::statistics::{Samples, median};

/// A slice after which hands change often.
const SHORT_SLICE: Nanos = Nanos::from_micros(200);
/// A unit where hands change often.
const SHORT_UNIT: Nanos = Nanos::from_micros(50);
/// A unit of usual length: the renderer's budget is about this much.
const USUAL_UNIT: Nanos = Nanos::from_micros(100);
/// How long each round is.
const ROUND: Duration = Duration::from_millis(700);
/// Rounds of each kind, in turns; medians count.
const ROUNDS: usize = 5;

/// Gaps between units, where all VMs always have work.
#[derive(Clone, Debug, Default)]
pub struct Gaps {
    /// Between units of different VMs.
    pub hand_overs: Samples,
    /// All of them together.
    changing: u64,
    /// Between units of the same VM, together.
    staying: u64,
    /// The time from the first unit's beginning to the last one's end.
    span: u64,
}

impl Gaps {
    /// Those of a run.
    pub fn of(run: &Run) -> Self {
        let mut units: Vec<(Ran, usize)> = (run.vms.iter().enumerate())
            .flat_map(|(vm, did)| did.units.iter().map(move |unit| (*unit, vm)))
            .collect();
        units.sort_unstable_by_key(|(unit, _)| unit.began);
        let (mut hand_overs, mut staying) = (Vec::new(), 0);
        for pair in units.windows(2) {
            let [(before, of), (after, to)] = pair else {
                continue;
            };
            let gap = after.began.0.saturating_sub(before.ended.0);
            if of == to {
                staying += gap;
            } else {
                hand_overs.push(gap);
            }
        }
        let span = units
            .first()
            .zip(units.last())
            .map_or(0, |((first, _), (last, _))| last.ended.0 - first.began.0);
        Self {
            changing: hand_overs.iter().sum(),
            hand_overs: Samples::new(hand_overs),
            staying,
            span,
        }
    }

    fn percent(&self, part: u64) -> f64 {
        part as f64 * 100.0 / self.span.max(1) as f64
    }

    /// Percent of the time that went into changes of hands.
    pub fn lost_to_changes(&self) -> f64 {
        self.percent(self.changing)
    }

    /// Percent of the time that went into what the adapter does between units of the same VM.
    pub fn lost_between_units(&self) -> f64 {
        self.percent(self.staying)
    }
}

/// Measures and tells.
pub fn section() -> DdiResult<Section> {
    let mut section = Section::new("Hand-over in real time");
    section.say(format!(
        "The adapter with its real threads, one engine, `guaranteed`; VMs that always have work, whose units spin for a given time and note when they began and ended. A *hand-over* is the time from the \
         end of a VM's last unit to the beginning of the next VM's first: the report to the scheduler, its decision, the wake-up of the next worker's thread, and what that does before its unit. \
         *Host* is the same without the adapter: two threads that wake each other after spinning for a slice each, from the call that wakes to the woken thread's first look at the clock; where the kernel likes, and both on one core. \
         Workers run on any core, as those of `rondo` do, or take turns on one (`PromptWorkers::one_core`), which is for hosts with cores to spare: beside vCPUs that fill the cores it starves the guests that feed the engine. \
         Threads have asked for what `rondo`'s workers ask for and got {}. Medians of {ROUNDS} rounds in turns, of {} ms each.",
        jitter::granted(),
        ROUND.as_millis()
    ));
    hand_overs(&mut section)?;
    losses(&mut section)?;
    Ok(section)
}

fn plans(vms: u32, slice: Nanos, unit: Nanos) -> Vec<VmPlan> {
    let plan = VmPlan {
        slice,
        ..VmPlan::busy(percent(100 / vms), unit)
    };
    vec![plan; vms as usize]
}

/// Where workers run: as `rondo` starts them, and as whoever has cores to spare can.
const PLACES: [(&str, bool); 2] = [("any core", false), ("one core", true)];

fn gaps(plans: &[VmPlan], one_core: bool) -> DdiResult<Gaps> {
    let workers = PromptWorkers {
        one_core,
        ..PromptWorkers::engine()
    };
    let gpu = Gpu::with(plans, workers)?;
    let run = gpu.measure(plans, |_| thread::sleep(ROUND))?;
    Ok(Gaps::of(&run))
}

/// p50 and p99 of one round, in microseconds.
fn tails(samples: &Samples) -> [f64; 2] {
    [samples.p50() / 1e3, samples.p99() / 1e3]
}

/// The host's own wake-ups that a hand-over is held against.
const HOST: [(&str, Way, Place); 4] = [
    ("host, park and unpark, any core", Way::Park, Place::AnyCore),
    ("host, futex, any core", Way::Futex, Place::AnyCore),
    ("host, park and unpark, one core", Way::Park, Place::OneCore),
    ("host, futex, one core", Way::Futex, Place::OneCore),
];
/// Wake-ups of each kind in a round.
const WAKE_UPS: usize = 1_000;

fn hand_overs(section: &mut Section) -> DdiResult<()> {
    const SIZES: [(u32, (&str, bool)); 6] = [
        (2, PLACES[0]),
        (4, PLACES[0]),
        (8, PLACES[0]),
        (2, PLACES[1]),
        (4, PLACES[1]),
        (8, PLACES[1]),
    ];
    let mut ours: [Vec<[f64; 2]>; SIZES.len()] = Default::default();
    let mut hosts: [Vec<[f64; 2]>; HOST.len()] = Default::default();
    let mut seen = [0; SIZES.len()];
    for round in 1..=ROUNDS {
        eprintln!("hand-over: round {round} of {ROUNDS}");
        for ((_, way, place), rounds) in HOST.iter().zip(&mut hosts) {
            rounds.push(tails(&jitter::wake_ups(
                *way,
                *place,
                SHORT_SLICE,
                WAKE_UPS,
            )));
        }
        for (((vms, (_, one_core)), rounds), seen) in SIZES.iter().zip(&mut ours).zip(&mut seen) {
            let gaps = gaps(&plans(*vms, SHORT_SLICE, SHORT_UNIT), *one_core)?;
            rounds.push(tails(&gaps.hand_overs));
            *seen += gaps.hand_overs.len();
        }
    }
    let mut table = Table::new([
        "slices of 200 us, units of 50 us",
        "p50 us",
        "p99 us",
        "p50 to the host's on any core",
        "on one core",
        "samples",
    ]);
    for ((name, ..), rounds) in HOST.iter().zip(&hosts) {
        let [p50, p99] = medians(rounds).map(number);
        let samples = (ROUNDS * WAKE_UPS).to_string();
        table.row([
            (*name).to_owned(),
            p50,
            p99,
            String::new(),
            String::new(),
            samples,
        ]);
    }
    let [any_core, _, one_core, _] = hosts.map(|rounds| medians(&rounds)[0]);
    for (((vms, (place, _)), rounds), seen) in SIZES.iter().zip(&ours).zip(seen) {
        let [p50, p99] = medians(rounds);
        table.row([
            format!("hand-over, {vms} VMs, {place}"),
            number(p50),
            number(p99),
            number(p50 / any_core.max(1e-3)),
            number(p50 / one_core.max(1e-3)),
            seen.to_string(),
        ]);
        section.judge(
            format!("Hand-over, {vms} VMs, workers on {place}, p50"),
            p50,
            "us",
            Goal::AtMost(5.0),
        );
        section.judge(
            format!("Hand-over, {vms} VMs, workers on {place}, p99"),
            p99,
            "us",
            Goal::AtMost(20.0),
        );
    }
    section.show(&table);
    Ok(())
}

/// Medians of p50 and of p99 of rounds.
fn medians(rounds: &[[f64; 2]]) -> [f64; 2] {
    [0, 1].map(|which| median(&rounds.iter().map(|tails| tails[which]).collect::<Vec<_>>()))
}

fn losses(section: &mut Section) -> DdiResult<()> {
    let mut table = Table::new([
        "default slices, units of 100 us",
        "lost to changes of hands %",
        "between units of one VM %",
        "changes a second",
    ]);
    let cases = PLACES
        .iter()
        .flat_map(|place| [2, 4, 8].map(|vms| (vms, place)));
    for (vms, &(place, one_core)) in cases {
        eprintln!("hand-over: default slices, {vms} VMs, {place}");
        let rounds: DdiResult<Vec<Gaps>> = (0..3)
            .map(|_| gaps(&plans(vms, DEFAULT_SLICE, USUAL_UNIT), one_core))
            .collect();
        let rounds = rounds?;
        let of = |value: fn(&Gaps) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
        let lost = of(Gaps::lost_to_changes);
        let changes = of(|gaps| gaps.hand_overs.len() as f64 * 1e9 / gaps.span.max(1) as f64);
        table.row([
            format!("{vms} VMs, {place}"),
            number(lost),
            number(of(Gaps::lost_between_units)),
            number(changes),
        ]);
        let what =
            format!("GPU time lost to switching, default slices, {vms} VMs, workers on {place}");
        section.judge(what, lost, "%", Goal::AtMost(1.0));
    }
    section.show(&table);
    Ok(())
}

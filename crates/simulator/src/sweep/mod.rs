// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Random set-ups that look for trouble: who breaks `c/share + L + switch`, how often, how badly.
//!
//! For each engine 2 to 16 VMs with weights 1 to 8, now and then a part of the engine that is nobody's, units from 0.1 up to 50 ms, and
//! loads that never stop, pause, gang up, keep to a pace or come at random. Every VM declares its longest unit, requests
//! are cut to it for everybody alike, and the bound counts from the first request on: nothing is dropped as warm-up. A
//! change of hands costs nothing, so the term for it is zero. [`Trouble`] breaks one of these rules at a time.

mod setups;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use clap::ValueEnum;

use crate::arbiter::{Arbiter, arbiter};
use crate::contender::Contender;
use crate::metrics::{Judgement, Meter};
use crate::scenario::{MS, Scenario};
use crate::world;

pub use setups::setup;

/// How long a set-up runs.
pub const DURATION: u64 = 1_000 * MS;
/// How much of it is warm-up, where that does not count.
const WARM_UP: u64 = DURATION / 5;

/// What goes wrong in the set-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Trouble {
    /// Nothing.
    #[default]
    #[value(skip)]
    Nothing,
    /// No VM declares its longest unit, and each request is one unit: lengths must be learned.
    Learned,
    /// Some declare units that are 2 to 50 times shorter than they are. Their own requests do not count.
    Liars,
    /// Some hang once. Their own requests do not count; `L` is the longest stall.
    Hangs,
    /// A change of hands costs up to 20 us. The shares leave room for it.
    SwitchCost,
}

/// What is swept.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// How many set-ups.
    pub setups: u64,
    /// The seed of the first; each next has the next one.
    pub seed: u64,
    /// How many engines; on several only the shipped policies run.
    pub engines: u16,
    /// What goes wrong.
    pub trouble: Trouble,
}

impl Sweep {
    /// By what requests are judged: one table for each, with the words that open it.
    #[must_use]
    pub fn judgements(&self) -> Vec<(&'static str, Judgement)> {
        let strict = Judgement::default();
        let warm = Judgement {
            from: WARM_UP,
            ..strict
        };
        let known = Judgement {
            own_longest: true,
            ..warm
        };
        match self.trouble {
            Trouble::Learned => vec![
                ("every request, `c/share + L`", strict),
                ("requests from 200 ms on, `c/share + L`", warm),
                (
                    "requests from 200 ms on, `c` being the longest unit of their VM",
                    known,
                ),
            ],
            _ => vec![("", strict)],
        }
    }
}

/// What a contender did in all set-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Set-ups run.
    pub setups: u64,
    /// Set-ups with a late request.
    pub broken: u64,
    /// Requests that came.
    pub requests: u64,
    /// Requests that were late.
    pub late: u64,
    /// The greatest ratio of a latency to its bound.
    pub worst: f64,
    /// The seed of the set-up that had it.
    pub worst_seed: u64,
    /// Nanoseconds that the engine was idle with work waiting.
    pub idle_while_work: u64,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.setups += other.setups;
        self.broken += other.broken;
        self.requests += other.requests;
        self.late += other.late;
        self.idle_while_work += other.idle_while_work;
        // Among equals the smallest seed, so that the order of the threads does not show.
        let worse = other.worst > self.worst
            || (other.worst >= self.worst && other.worst_seed < self.worst_seed);
        if worse {
            self.worst = other.worst;
            self.worst_seed = other.worst_seed;
        }
    }
}

/// An arbiter for a set-up. Shares that cannot be packed onto the engines in the order in which they come are lowered, by a
/// tenth at a time, until they can.
fn admitted(contender: Contender, scenario: &mut Scenario, seed: u64) -> Box<dyn Arbiter> {
    for _ in 0..20 {
        match arbiter(contender, scenario) {
            Ok(arbiter) => return arbiter,
            Err(refusal) if scenario.engines == 1 => {
                panic!("seed {seed}: {contender:?} refuses: {refusal}")
            }
            Err(_) => {
                for vm in &mut scenario.vms {
                    vm.share_ppm = (vm.share_ppm - vm.share_ppm / 10).max(1);
                }
            }
        }
    }
    panic!("seed {seed}: {contender:?} refuses shares that are a tenth of what there is")
}

impl Sweep {
    /// The set-up of a seed under one contender, by each of the judgements.
    ///
    /// # Panics
    /// If a contender refuses shares that fit and are not zero, which would be a bug of it.
    #[must_use]
    pub fn judge(&self, contender: Contender, seed: u64) -> Vec<Tally> {
        let mut scenario = setup(seed, self.engines, self.trouble);
        let mut arbiter = admitted(contender, &mut scenario, seed);
        let mut meter = Meter::new(&scenario, false);
        world::run(&scenario, seed, arbiter.as_mut(), &mut meter);
        let tally = |(_, judgement): (_, Judgement)| {
            let mut tally = Tally {
                setups: 1,
                worst_seed: seed,
                idle_while_work: meter.idle_while_work(),
                ..Tally::default()
            };
            for (index, vm) in scenario.vms.iter().enumerate() {
                if vm.misbehaves() {
                    continue;
                }
                if let Some(lateness) = meter.lateness(index, &scenario, judgement) {
                    tally.requests += lateness.of;
                    tally.late += lateness.late;
                    tally.worst = tally.worst.max(lateness.worst);
                }
            }
            tally.broken = u64::from(tally.late > 0);
            tally
        };
        self.judgements().into_iter().map(tally).collect()
    }

    /// All set-ups under everybody, on all processors, by each of the judgements; the result does not depend on their number.
    #[must_use]
    pub fn run(&self) -> Vec<(Contender, Vec<Tally>)> {
        let contenders: Vec<Contender> = Contender::on(self.engines).collect();
        let none = vec![vec![Tally::default(); self.judgements().len()]; contenders.len()];
        let next = AtomicU64::new(0);
        let work = || {
            let mut sums = none.clone();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= self.setups {
                    return sums;
                }
                for (sums, &contender) in sums.iter_mut().zip(&contenders) {
                    let tallies = self.judge(contender, self.seed.wrapping_add(n));
                    add(sums, tallies);
                }
            }
        };
        let mut sums = none.clone();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for worker in workers {
                match worker.join() {
                    Ok(tallies) => {
                        for (sums, tallies) in sums.iter_mut().zip(tallies) {
                            add(sums, tallies);
                        }
                    }
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        contenders.into_iter().zip(sums).collect()
    }

    /// The tables, in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} set-ups from seed {} on, {} ms each",
            self.setups,
            self.seed,
            DURATION / MS
        );
        if self.engines > 1 {
            text += &format!(
                ", {} engines (comparators drive one: not shown)",
                self.engines
            );
        }
        text.push('\n');
        let results = self.run();
        for (n, (judged, _)) in self.judgements().into_iter().enumerate() {
            if !judged.is_empty() {
                text += &format!("\nJudged: {judged}\n");
            }
            text += "\n| policy | set-ups broken | % | late requests | of | worst of bound | at seed | idle with work % |\n|---|---|---|---|---|---|---|---|\n";
            for (contender, tallies) in &results {
                row(&mut text, *contender, &tallies[n], self.engines);
            }
        }
        text
    }
}

fn add(sums: &mut [Tally], tallies: Vec<Tally>) {
    for (sum, tally) in sums.iter_mut().zip(tallies) {
        sum.add(tally);
    }
}

fn row(text: &mut String, contender: Contender, tally: &Tally, engines: u16) {
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
    let time = tally.setups * DURATION * u64::from(engines);
    // Writing into a String cannot fail.
    let _ = writeln!(
        text,
        "| {} | {} | {:.2} | {} | {} | {:.3} | {} | {:.2} |",
        contender.name(),
        tally.broken,
        percent(tally.broken, tally.setups),
        tally.late,
        tally.requests,
        tally.worst,
        tally.worst_seed,
        percent(tally.idle_while_work, time)
    );
}

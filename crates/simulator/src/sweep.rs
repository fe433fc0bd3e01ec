// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Random set-ups that look for trouble: who breaks `c/share + L + switch`, how often, how badly.
//!
//! 2 to 16 VMs with weights 1 to 8, now and then a part of the engine that is nobody's, units from 0.1 up to 50 ms, and
//! loads that never stop, pause, gang up, keep to a pace or come at random. Every VM declares its longest unit, requests
//! are cut to it for everybody alike, and the bound counts from the first request on: nothing is dropped as warm-up. A
//! change of hands costs nothing here, so the term for it is zero.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rondo_scheduler::inside::BandSettings;

use crate::arbiter::arbiter;
use crate::contender::Contender;
use crate::load::Load;
use crate::metrics::Meter;
use crate::random::Random;
use crate::scenario::{MS, Scenario, US, Vm, WHOLE_PPM};
use crate::world;

/// How long a set-up runs.
pub const DURATION: u64 = 1_000 * MS;

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

/// The set-up that belongs to a seed.
#[must_use]
pub fn setup(seed: u64) -> Scenario {
    let mut random = Random::new(seed);
    let count = random.within(2, 16);
    let weights: Vec<u64> = (0..count).map(|_| random.within(1, 8)).collect();
    let sum: u64 = weights.iter().sum();
    let whole = if random.one_in(4) {
        random.within(300_000, 1_000_000)
    } else {
        u64::from(WHOLE_PPM)
    };
    let longest = random.within(1, 50) * MS;
    let period = random.within(5, 200) * MS;
    let vms = weights.iter().zip(0..).map(|(weight, n)| {
        let share = weight * whole / sum;
        let unit = match random.within(0, 2) {
            0 => longest,
            1 => random.within(100 * US, longest),
            _ => random.within(100 * US, MS),
        };
        let load = load(&mut random, unit, share, period);
        let share = u32::try_from(share).unwrap_or(WHOLE_PPM);
        Vm::plain(format!("vm{n}"), share, Some(unit), load)
    });
    Scenario {
        duration: DURATION,
        switch_cost: 0,
        engines: 1,
        host_share_ppm: 0,
        bands: BandSettings::default(),
        vms: vms.collect(),
    }
}

fn load(random: &mut Random, unit: u64, share: u64, period: u64) -> Load {
    let most = unit * random.within(1, 4);
    let length = random.within(US, most);
    // As long as its own slower engine takes for one request.
    let pace = (length * u64::from(WHOLE_PPM)).div_ceil(share.max(1));
    match random.within(0, 7) {
        0 | 1 => Load::Backlogged { length },
        // Sleeps just long enough to be forgotten.
        2 => Load::Closed {
            length,
            think: random.within(1, unit / 4 + 1),
        },
        // Exactly its share, evenly.
        3 => Load::Frames {
            length,
            period: pace,
        },
        // Exactly its share, in bursts.
        4 => {
            let on = random.within(length, length.max(30 * MS));
            let cycle = on * u64::from(WHOLE_PPM) / share.max(1);
            Load::Bursty {
                length,
                on,
                off: cycle - on,
            }
        }
        5 => Load::Poisson {
            length,
            mean_gap: pace.max(US),
        },
        6 => Load::Pareto {
            min: (length / 3).max(US),
            alpha_thousandths: 1_500,
            mean_gap: pace.max(US),
        },
        // Different lengths, all at once, again and again.
        _ => {
            let mut requests = Vec::new();
            for burst in 0..DURATION / period {
                for _ in 0..random.within(1, 4) {
                    requests.push((burst * period, random.within(US, unit * 4)));
                }
            }
            Load::List { requests }
        }
    }
}

/// One set-up under one contender.
///
/// # Panics
/// If a contender refuses shares that fit and are not zero, which would be a bug of it.
#[must_use]
pub fn judge(contender: Contender, seed: u64) -> Tally {
    let scenario = setup(seed);
    let mut meter = Meter::new(&scenario, false);
    let mut arbiter = match arbiter(contender, &scenario) {
        Ok(arbiter) => arbiter,
        Err(refusal) => panic!("seed {seed}: {contender:?} refuses: {refusal}"),
    };
    world::run(&scenario, seed, arbiter.as_mut(), &mut meter);
    let requests = meter.promised();
    let report = meter.report(&scenario);
    let late = report.vms.iter().filter_map(|vm| vm.late).sum();
    Tally {
        setups: 1,
        broken: u64::from(late > 0),
        requests,
        late,
        worst: report
            .vms
            .iter()
            .filter_map(|vm| vm.worst_of_bound)
            .fold(0.0, f64::max),
        worst_seed: seed,
        idle_while_work: report.idle_while_work_ns,
    }
}

/// All set-ups from `seed` on under everybody, on all processors; the result does not depend on their number.
#[must_use]
pub fn sweep(setups: u64, seed: u64) -> Vec<(Contender, Tally)> {
    let next = AtomicU64::new(0);
    let work = || {
        let mut tallies = vec![Tally::default(); Contender::all().len()];
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= setups {
                return tallies;
            }
            for (tally, &contender) in tallies.iter_mut().zip(Contender::all()) {
                tally.add(judge(contender, seed.wrapping_add(n)));
            }
        }
    };
    let mut sums = vec![Tally::default(); Contender::all().len()];
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(tallies) => {
                    for (sum, tally) in sums.iter_mut().zip(tallies) {
                        sum.add(tally);
                    }
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    Contender::all().iter().copied().zip(sums).collect()
}

/// The table, in Markdown.
#[must_use]
pub fn table(setups: u64, seed: u64) -> String {
    let mut table = format!(
        "{setups} set-ups from seed {seed} on, {} ms each\n\n| policy | set-ups broken | % | late requests | of | worst of bound | at seed | idle with work % |\n|---|---|---|---|---|---|---|---|\n",
        DURATION / MS
    );
    for (contender, tally) in sweep(setups, seed) {
        let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole.max(1) as f64;
        // Writing into a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.2} | {} | {} | {:.3} | {} | {:.2} |",
            contender.name(),
            tally.broken,
            percent(tally.broken, tally.setups),
            tally.late,
            tally.requests,
            tally.worst,
            tally.worst_seed,
            percent(tally.idle_while_work, tally.setups * DURATION)
        );
    }
    table
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The simulator's random adversarial set-ups under `guaranteed`: whether anybody was ever late.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rondo_simulator::contender::Contender;
use rondo_simulator::sweep::{DURATION, Sweep, Tally, Trouble};

use crate::report::{Goal, Section, Table};

/// The seed of the first set-up.
const SEED: u64 = 1;
/// Engines, and which part of the set-ups runs on so many: they are as much larger as there are engines.
const ENGINES: [(u16, u64); 4] = [(1, 1), (2, 4), (4, 8), (8, 16)];

/// Runs and tells.
pub fn tell(section: &mut Section, setups: u64) {
    let mut table = Table::new([
        "engines",
        "set-ups",
        "requests",
        "past `c/share + L`",
        "in set-ups",
        "worst of bound",
        "idle with work %",
    ]);
    for (engines, part) in ENGINES {
        let sweep = Sweep {
            setups: setups / part,
            seed: SEED,
            engines,
            trouble: Trouble::Nothing,
        };
        if sweep.setups == 0 {
            continue;
        }
        eprintln!(
            "simulation: {} adversarial set-ups on {engines} engines",
            sweep.setups
        );
        let tally = run(&sweep);
        table.row([
            engines.to_string(),
            tally.setups.to_string(),
            tally.requests.to_string(),
            tally.late.to_string(),
            tally.broken.to_string(),
            format!("{:.3}", tally.worst),
            format!("{:.4}", idle_with_work(&tally, engines)),
        ]);
        let plural = if engines == 1 { "engine" } else { "engines" };
        section.judge(
            format!(
                "Requests past c/share + L in {} adversarial set-ups, {engines} {plural}",
                tally.setups
            ),
            tally.late as f64,
            "",
            Goal::AtMost(0.0),
        );
    }
    section.say(format!(
        "Random adversarial set-ups from seed {SEED} on, 1 s each, cold start included. (On several engines one can stand idle for less than a unit while a VM that is owed something \
         waits for its home.)"
    ));
    section.show(&table);
}

/// Percent of the engines' time.
fn idle_with_work(tally: &Tally, engines: u16) -> f64 {
    let all = tally.setups * DURATION * u64::from(engines);
    tally.idle_while_work as f64 * 100.0 / all.max(1) as f64
}

/// All set-ups under `guaranteed`, on all processors.
fn run(sweep: &Sweep) -> Tally {
    let next = AtomicU64::new(0);
    let work = || {
        let mut sum = Tally::default();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= sweep.setups {
                return sum;
            }
            let seed = sweep.seed.wrapping_add(n);
            for tally in sweep.judge(Contender::Guaranteed, seed) {
                add(&mut sum, &tally);
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut sum = Tally::default();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            match worker.join() {
                Ok(tally) => add(&mut sum, &tally),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    sum
}

fn add(sum: &mut Tally, tally: &Tally) {
    sum.setups += tally.setups;
    sum.broken += tally.broken;
    sum.requests += tally.requests;
    sum.late += tally.late;
    sum.worst = sum.worst.max(tally.worst);
    sum.idle_while_work += tally.idle_while_work;
}

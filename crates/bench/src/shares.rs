// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Shares and waits in real time: the simulator's loads A to D with shorter units, and the victim among its neighbours.

use std::thread;
use std::time::Duration;

use rondo_adapter::ddi::DdiResult;
use rondo_scheduler::{Nanos, Ppm};
use rondo_simulator::metrics::jain;

use crate::gpu::{DEFAULT_SLICE, Gpu, Run, VmPlan, VmRun};
use crate::jitter::{self, Place, Way};
use crate::report::{Goal, Section, Table, number};
use crate::statistics::{Samples, median};

/// How long each load runs.
const LOAD: Duration = Duration::from_secs(4);
/// How long one VM of four has the GPU.
const ALONE: Duration = Duration::from_secs(3);
/// How long the victim is watched.
const VICTIM: Duration = Duration::from_secs(6);
/// The victim's job.
const JOB: Nanos = Nanos::from_micros(500);
/// The victim's guarantee: 12.5 %.
const VICTIMS_SHARE: u32 = 125_000;
/// The shortest time between two jobs of the victim: it asks for four fifths of what it is promised.
const JOBS_APART: Duration = Duration::from_millis(5);
/// The units of its neighbours, the longest first, get shorter by 17 us from one to the next.
const NEIGHBOURS: u64 = 15;
const NEIGHBOURS_UNIT: Nanos = Nanos::from_micros(3_983);

/// A load: guarantees in parts per million, and units in microseconds.
type Load = (&'static str, &'static [(u32, u64)]);

/// The scenarios `load-a.toml` to `load-d.toml` of the simulator, with shorter units, so that a few seconds have many.
const LOADS: [Load; 4] = [
    (
        "A: 25 us beside three times 1 ms",
        &[
            (250_000, 25),
            (250_000, 1_000),
            (250_000, 1_000),
            (250_000, 1_000),
        ],
    ),
    (
        "B: 20 us, 150 us, 0.8 ms, 5 ms",
        &[
            (250_000, 20),
            (250_000, 150),
            (250_000, 800),
            (250_000, 5_000),
        ],
    ),
    (
        "C: weights 1:2:4:8, 0.25 to 1 ms",
        &[
            (66_666, 250),
            (133_333, 500),
            (266_666, 750),
            (533_333, 1_000),
        ],
    ),
    (
        "D: three times 25 us beside 5 ms",
        &[
            (250_000, 25),
            (250_000, 25),
            (250_000, 25),
            (250_000, 5_000),
        ],
    ),
];

/// Measures and tells.
pub fn section() -> DdiResult<Section> {
    let mut section = Section::new("Shares and waits in real time");
    section.say(format!(
        "The adapter's real threads, `guaranteed`, default slices, units that spin. Shares are of what was charged: the time for which a VM held the engine. *Share error*: the greatest relative \
         distance of a VM from its part, after {} s. No scheduler can do better than about `L/(share T)` in a window of length `T`, `L` being the longest unit or slice.",
        LOAD.as_secs()
    ));
    loads(&mut section)?;
    one_of_four(&mut section)?;
    victim(&mut section)?;
    Ok(section)
}

fn ppm(parts: u32) -> Ppm {
    Ppm::new(parts).unwrap_or(Ppm::WHOLE)
}

fn loads(section: &mut Section) -> DdiResult<()> {
    let mut table = Table::new([
        "load",
        "share error %",
        "L/(share T) %",
        "weighted Jain",
        "GPU busy %",
    ]);
    for (name, vms) in LOADS {
        eprintln!("shares: load {name}");
        let plans: Vec<VmPlan> = (vms.iter())
            .map(|&(share, unit)| VmPlan::busy(ppm(share), Nanos::from_micros(unit)))
            .collect();
        let gpu = Gpu::new(&plans)?;
        let run = gpu.measure(&plans, |_| thread::sleep(LOAD))?;
        let parts = parts(&run, vms);
        let error = (parts.iter()).fold(0.0_f64, |worst, part| worst.max((part - 1.0).abs()));
        let (jain, error) = (jain(&parts), error * 100.0);
        let longest = vms.iter().map(|(_, unit)| unit * 1_000).max().unwrap_or(0);
        let smallest = vms.iter().map(|(share, _)| *share).min().unwrap_or(1);
        let least = longest.max(DEFAULT_SLICE.0) as f64 * 1e8
            / (f64::from(smallest) * LOAD.as_nanos() as f64);
        table.row([
            name.to_owned(),
            number(error),
            number(least),
            format!("{jain:.6}"),
            number(busy(&run, &plans)),
        ]);
        let letter = name.split(':').next().unwrap_or_default();
        let what = format!(
            "Load {letter} in real time, share error after {} s",
            LOAD.as_secs()
        );
        section.judge(what, error, "%", Goal::AtMost(1.0));
    }
    section.show(&table);
    Ok(())
}

/// Time that nobody else wants.
fn one_of_four(section: &mut Section) -> DdiResult<()> {
    eprintln!("shares: one of four is active");
    let quarter = VmPlan::busy(ppm(250_000), Nanos::from_micros(100));
    let idle = VmPlan {
        busy: false,
        ..quarter
    };
    let plans = [quarter, idle, idle, idle];
    let gpu = Gpu::new(&plans)?;
    let run = gpu.measure(&plans, |_| thread::sleep(ALONE))?;
    let longest = longest(&run.vms[0]) as f64 / 1e6;
    section.say(format!(
        "One VM of four is active, for {} s, in units of 0.1 ms: the GPU did its work for {} % of the time, and the longest unit, host included, took {} ms.",
        ALONE.as_secs(),
        number(busy(&run, &plans)),
        number(longest)
    ));
    let what = "1 of 4 VMs active in real time, GPU busy";
    section.judge(what, busy(&run, &plans), "%", Goal::AtLeast(98.0));
    Ok(())
}

/// The longest unit, whatever the host did to it.
fn longest(vm: &VmRun) -> u64 {
    let lengths = vm.units.iter().map(|unit| unit.ended.0 - unit.began.0);
    lengths.max().unwrap_or(0)
}

/// What each VM was charged in parts of what was due to it, of what all were charged.
fn parts(run: &Run, vms: &[(u32, u64)]) -> Vec<f64> {
    let all: u64 = run.vms.iter().map(|vm| vm.charged.0).sum();
    let shares: u32 = vms.iter().map(|(share, _)| *share).sum();
    (run.vms.iter().zip(vms))
        .map(|(vm, (share, _))| {
            let due = all as f64 * f64::from(*share) / f64::from(shares);
            vm.charged.0 as f64 / due.max(1.0)
        })
        .collect()
}

/// Percent of the time that went into units, each counted as long as it should have been: where the host stopped one, the GPU
/// stood still.
fn busy(run: &Run, plans: &[VmPlan]) -> f64 {
    let ran: u64 = (run.vms.iter().zip(plans))
        .map(|(vm, plan)| vm.units.len() as u64 * plan.unit.0)
        .sum();
    ran as f64 * 100.0 / run.elapsed().max(1) as f64
}

fn victim(section: &mut Section) -> DdiResult<()> {
    eprintln!("shares: the victim among its neighbours");
    let mut plans = vec![VmPlan {
        busy: false,
        units_a_command: 1,
        ..VmPlan::busy(ppm(VICTIMS_SHARE), JOB)
    }];
    plans.extend((0..NEIGHBOURS).map(|number| {
        let unit = Nanos(NEIGHBOURS_UNIT.0 - number * 17_000);
        VmPlan::busy(ppm(58_333), unit)
    }));
    let host = jitter::wake_ups(Way::Park, Place::AnyCore, DEFAULT_SLICE, 500);
    let gpu = Gpu::new(&plans)?;
    let mut came = Vec::new();
    let mut refused = Ok(());
    let run = gpu.measure(&plans, |gpu| {
        let end = gpu.clock.now().0 + u64::try_from(VICTIM.as_nanos()).unwrap_or(u64::MAX);
        while gpu.clock.now().0 < end && refused.is_ok() {
            came.push(gpu.clock.now());
            refused = gpu.guests[0].submit(0);
            thread::sleep(JOBS_APART);
        }
        // The last one's answer.
        thread::sleep(Duration::from_millis(50));
    })?;
    refused?;
    let latencies = (came.iter().zip(&run.vms[0].units))
        .map(|(came, unit)| unit.ended.0.saturating_sub(came.0))
        .collect();
    let latencies = Samples::new(latencies);
    let lengths: Vec<f64> = (run.vms[0].units.iter())
        .map(|unit| (unit.ended.0 - unit.began.0) as f64 / 1e6)
        .collect();
    let ms = |ns: f64| ns / 1e6;
    let own = median(&lengths) * 1e6 / f64::from(VICTIMS_SHARE);
    let longest = run.vms.iter().skip(1).map(longest).max();
    let declared = NEIGHBOURS_UNIT.0 as f64;
    let bound = own + ms(declared) + ms(host.p99());
    section.say(format!(
        "A victim with {} % in jobs of {} ms, one at least {} ms after the other, beside {NEIGHBOURS} VMs that are always busy with units of 3.7 to 4 ms; from the submission of a job to its end. \
         The bound is `c/share + L` = {} ms, and {} ms that the host takes to wake a thread (p99, in the same run). The longest unit that a neighbour really ran, host included, took {} ms.",
        f64::from(VICTIMS_SHARE) / 1e4,
        ms(JOB.0 as f64),
        JOBS_APART.as_millis(),
        number(own + ms(declared)),
        number(ms(host.p99())),
        number(ms(longest.unwrap_or(0) as f64)),
    ));
    let mut table = Table::new([
        "",
        "jobs",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "greatest ms",
        "bound ms",
        "GPU busy %",
    ]);
    table.row([
        "victim".to_owned(),
        latencies.len().to_string(),
        number(ms(latencies.p50())),
        number(ms(latencies.p99())),
        number(ms(latencies.percentile(999))),
        number(ms(latencies.greatest())),
        number(bound),
        number(busy(&run, &plans)),
    ]);
    section.show(&table);
    section.judge(
        "Victim among 15 noisy VMs in real time, p99",
        ms(latencies.p99()),
        "ms",
        Goal::AtMost(bound),
    );
    Ok(())
}

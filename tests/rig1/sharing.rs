// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs share the GPU: each gets its guarantee when all are busy, and idle time is lent.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rondo_tests::picture::Picture;
use rondo_tests::rondo;
use rondo_tests::schedule::{Window, percentile};
use serde_json::Value;
use tempfile::tempdir;

use crate::stage::{BUSY, Scene, Stage, TOLERANCE_PPM, measure, number};

/// Runs the demo with these guarantees for five seconds and checks verdict, report and pictures. The GPU must have been busy for so many
/// percent of the time: without that, shares would say little.
fn demo_keeps(guarantees: &[u64], least_busy: u64) -> Result<(), String> {
    let place = tempdir().unwrap();
    let list = guarantees
        .iter()
        .map(u64::to_string)
        .collect::<Vec<_>>()
        .join(",");
    let arguments = [
        "demo",
        "--guarantee",
        &list,
        "--seconds",
        "5",
        "--json",
        "r.json",
        "--screenshot",
        "shots",
    ];
    let ended = rondo::run(place.path(), &arguments).unwrap();
    let text = std::fs::read_to_string(place.path().join("r.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let vms = report["vms"].as_array().unwrap();
    assert_eq!(vms.len(), guarantees.len());
    assert_eq!(pictures_in(&place.path().join("shots")), guarantees.len());

    let mut worst = 0;
    for (vm, guarantee) in vms.iter().zip(guarantees) {
        assert_eq!(number(vm, "guarantee_ppm"), guarantee * 10_000);
        assert!(number(vm, "frames") > 0);
        worst = worst.max(number(vm, "share_ppm").abs_diff(guarantee * 10_000));
    }
    let kept = worst <= TOLERANCE_PPM;
    // Shares that are off are no broken guarantee if a guest could not ask: the demo tells, and there is another attempt.
    if kept {
        assert_eq!(ended.code(), Some(0), "the verdict on: {report:#}");
    }
    let busy = number(&report, "busy_ns") * 100 >= number(&report, "elapsed_ns") * least_busy;
    if kept && busy {
        Ok(())
    } else {
        // It tells of each VM for how much of the time it had work.
        Err(format!(
            "within 1 %: {kept}; busy for {least_busy} % of the time: {busy}; the demo said: {}{}",
            ended.stdout, ended.stderr
        ))
    }
}

/// How many pictures there are in the folder, each of which must show something.
fn pictures_in(folder: &Path) -> usize {
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for file in &files {
        let picture = Picture::read_png(file).unwrap();
        let first = picture.pixel(0, 0);
        let varied = (0..picture.height())
            .any(|y| (0..picture.width()).any(|x| picture.pixel(x, y) != first));
        assert!(varied, "{} is of one colour", file.display());
    }
    files.len()
}

#[test]
fn given_two_busy_vms_when_measured_over_five_seconds_then_shares_are_within_1_percent_of_75_and_25()
 {
    // On a quiet machine it is 98 and more, which `docs/benchmarks.md` reports; a test does not fail for what else a host does.
    measure(|| demo_keeps(&[75, 25], 90));
}

#[test]
fn given_four_busy_vms_when_measured_over_five_seconds_then_shares_are_within_1_percent_of_the_guarantees()
 {
    // Four guests and the GPU are more than a small machine's processors: the GPU waits for one now and then.
    measure(|| demo_keeps(&[40, 30, 20, 10], 75));
}

#[test]
fn given_three_busy_vms_when_measured_over_five_seconds_then_shares_are_within_1_percent_of_50_30_and_20()
 {
    measure(|| demo_keeps(&[50, 30, 20], 80));
}

#[test]
fn given_a_vm_that_sleeps_when_its_neighbour_is_busy_then_the_neighbour_is_lent_the_time() {
    measure(idle_time_is_lent);
}

/// A VM with a guarantee of 75 % sleeps nearly all the time; the other, with 25 %, must get more than twice that.
fn idle_time_is_lent() -> Result<(), String> {
    let stage = Stage::open(
        &[
            ("sleeper", "burst_ms=1 idle_ms=500", "guarantee = \"75%\""),
            ("worker", BUSY, "guarantee = \"25%\""),
        ],
        &[],
    );
    let window = stage.act(3.0);
    let (schedule, _) = stage.close();
    let scene = Scene::new(&schedule, window);
    assert!(scene.of_time("sleeper") > 0, "it draws now and then");
    scene.in_range("worker", scene.of_time("worker"), 500_001..1_000_001)
}

#[test]
fn given_a_vm_that_rests_and_comes_back_then_its_time_is_lent_and_then_it_has_its_guarantee_again()
{
    measure(lent_and_given_back);
}

/// How long the visitor of [`lent_and_given_back`] works, and then rests, in milliseconds.
const PHASE_MS: u64 = 1_000;

fn lent_and_given_back() -> Result<(), String> {
    let visits = format!("{BUSY} burst_ms={PHASE_MS} idle_ms={PHASE_MS}");
    let stage = Stage::open(
        &[
            ("visitor", &visits, "guarantee = \"75%\""),
            ("resident", BUSY, "guarantee = \"25%\""),
        ],
        &[],
    );
    let window = stage.act(6.5);
    let (schedule, _) = stage.close();
    // A visit has no pause of a tenth of its length; what it leaves in the queues at its end makes it longer.
    let asked = &schedule.vm("visitor").unwrap().asked;
    let visits = asked.bridged(PHASE_MS * 100_000);
    let inside = |phase: &Window| phase.start >= window.start && phase.end <= window.end;
    let long = |phase: &Window| phase.end - phase.start >= PHASE_MS * 700_000;
    let mut phases = (0, 0);
    for visit in visits.each().iter().filter(|visit| inside(visit)) {
        if !long(visit) {
            return Err(format!("a visit of {visit:?} only"));
        }
        let scene = Scene::new(&schedule, visit.clone());
        scene.divided(&[("visitor", 75), ("resident", 25)])?;
        phases.0 += 1;
    }
    for pair in visits.each().windows(2) {
        let rest = pair[0].end..pair[1].start;
        if inside(&rest) && long(&rest) {
            let scene = Scene::new(&schedule, rest).while_all_ask(&["resident"])?;
            scene.in_range("resident", scene.of_time("resident"), 950_000..1_000_001)?;
            phases.1 += 1;
        }
    }
    if phases.0 >= 2 && phases.1 >= 2 {
        Ok(())
    } else {
        Err(format!(
            "{phases:?} whole visits and rests in {window:?}: {visits:?}"
        ))
    }
}

#[test]
fn given_a_hog_with_the_longest_units_when_a_small_vm_comes_back_then_it_waits_for_its_part_and_one_unit()
 {
    measure(the_small_one_waits_little);
}

/// The longest that the small VM may wait is `c / share + L`, and what the host adds: how late its threads wake.
fn the_small_one_waits_little() -> Result<(), String> {
    const SHARE_PERCENT: u64 = 20;
    const REST_NS: u64 = 2_000_000;
    let stage = Stage::open(
        &[
            ("hog", BUSY, "guarantee = \"80%\""),
            (
                "small",
                "width=320 height=200 depth=1 burst_ms=1 idle_ms=4",
                &format!("guarantee = \"{SHARE_PERCENT}%\""),
            ),
        ],
        &[],
    );
    let jitter = HostJitter::start();
    let window = stage.act(5.0);
    let jitter = jitter.p99();
    let (schedule, report) = stage.close();
    Scene::new(&schedule, window).while_all_ask(&["hog"])?;
    let unit = |vm: usize| number(&report["vms"][vm], "longest_unit_ns");
    let (longest, own) = (unit(0).max(unit(1)), unit(1));
    let bound = own * 100 / SHARE_PERCENT + longest + jitter;
    let waits = schedule.vm("small").unwrap().waits_after_rest(REST_NS);
    let count = waits.len();
    let p99 = percentile(waits, 99);
    if count >= 100 && p99 <= bound {
        Ok(())
    } else {
        Err(format!(
            "{count} waits, p99 {p99} ns; c = {own}, L = {longest}, host jitter {jitter}, so at most {bound} ns"
        ))
    }
}

/// How late a thread wakes that sleeps for a millisecond, while others work.
struct HostJitter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<u64>>,
}

impl HostJitter {
    fn start() -> Self {
        const SLEEP: Duration = Duration::from_millis(1);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut late = Vec::new();
            while !stopped.load(Ordering::Acquire) {
                let start = Instant::now();
                std::thread::sleep(SLEEP);
                let nanos = start.elapsed().saturating_sub(SLEEP).as_nanos();
                late.push(u64::try_from(nanos).unwrap());
            }
            late
        });
        Self { stop, thread }
    }

    fn p99(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        percentile(self.thread.join().unwrap(), 99)
    }
}

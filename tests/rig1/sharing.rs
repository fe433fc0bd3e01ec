// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs share the GPU: each gets its guarantee when all are busy, and idle time is lent.
//!
//! These tests measure, over seconds, so each has the machine to itself. What else the host does can still keep a guest's processor
//! from running and so from asking for the GPU; then its time is rightly lent. So a measurement has three attempts.

use std::path::Path;
use std::time::Duration;

use rondo_tests::picture::Picture;
use rondo_tests::rondo;
use serde_json::Value;
use tempfile::tempdir;

use crate::{GUEST, machine_time};

/// How far a share may be from its guarantee: 1 % of the GPU, in parts per million.
const TOLERANCE_PPM: u64 = 10_000;

fn number(value: &Value, key: &str) -> u64 {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {key} in {value}"))
}

/// How often a measurement is tried.
const ATTEMPTS: usize = 3;

/// Measures until it comes out right, and tells every attempt if it never does.
#[track_caller]
fn measure(attempt: impl Fn() -> Result<(), String>) {
    let _machine = machine_time::alone();
    let mut failures = Vec::new();
    for _ in 0..ATTEMPTS {
        match attempt() {
            Ok(()) => return,
            Err(failure) => failures.push(failure),
        }
    }
    panic!("no attempt came out right:\n{}", failures.join("\n"));
}

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
    // Shares that are off are no broken guarantee if a guest could not ask: the verdict tells, here it is another attempt.
    if kept {
        assert_eq!(ended.code(), Some(0), "the verdict on: {report:#}");
    }
    let busy = number(&report, "busy_ns") * 100 >= number(&report, "elapsed_ns") * least_busy;
    if kept && busy {
        Ok(())
    } else {
        Err(format!(
            "within 1 %: {kept}; busy for {least_busy} % of the time: {busy}; {report:#}"
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
fn given_a_vm_that_sleeps_when_its_neighbour_is_busy_then_the_neighbour_is_lent_the_time() {
    measure(idle_time_is_lent);
}

/// A VM with a guarantee of 75 % sleeps nearly all the time; the other, with 25 %, must get more than twice that.
fn idle_time_is_lent() -> Result<(), String> {
    let place = tempdir().unwrap();
    let vm = |name: &str, guarantee: u32, words: &str| {
        let text = format!(
            "kernel = \"{GUEST}\"\nmemory = \"64M\"\ncmdline = \"name={name} {words}\"\n\
             [gpu]\nwidth = 2560\nheight = 1440\nguarantee = \"{guarantee}%\"\n"
        );
        std::fs::write(place.path().join(format!("{name}.toml")), text).unwrap();
    };
    vm("sleeper", 75, "burst_ms=1 idle_ms=500");
    vm("worker", 25, "depth=64 batch=8 repaint_ms=16");
    let arguments = ["run", "sleeper.toml", "worker.toml", "--control", "control"];
    let mut running = rondo::start(place.path(), &arguments).unwrap();
    let report = || -> Option<Value> {
        let ended = rondo::run(place.path(), &["ctl", "control", "report"]).ok()?;
        serde_json::from_str(&ended.stdout).ok()
    };
    let both_draw = |report: &Value| {
        let drawing = |vms: &Vec<Value>| vms.iter().filter(|vm| number(vm, "frames") > 0).count();
        report["vms"].as_array().map(drawing) == Some(2)
    };
    running
        .wait_until("both VMs draw", |_| {
            report().as_ref().is_some_and(both_draw)
        })
        .unwrap();

    let before = report().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let after = report().unwrap();
    running.signal("TERM").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));

    let elapsed = number(&after, "elapsed_ns") - number(&before, "elapsed_ns");
    let used =
        |vm: usize| number(&after["vms"][vm], "gpu_ns") - number(&before["vms"][vm], "gpu_ns");
    assert!(used(0) > 0, "the sleeper draws now and then");
    if used(1) * 100 > elapsed * 50 {
        Ok(())
    } else {
        Err(format!(
            "the worker, guaranteed 25 %, had {} of {elapsed} ns",
            used(1)
        ))
    }
}

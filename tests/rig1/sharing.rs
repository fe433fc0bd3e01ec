// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs share the GPU: each gets its guarantee when all are busy, and idle time is lent.
//!
//! These tests measure, over seconds, so each has the machine to itself.

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

/// Runs the demo with these guarantees for five seconds and checks report, verdict and pictures.
fn demo_keeps(guarantees: &[u64]) {
    let _machine = machine_time::alone();
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
    assert_eq!(
        ended.code(),
        Some(0),
        "it said: {}{}",
        ended.stdout,
        ended.stderr
    );

    let report: Value =
        serde_json::from_str(&std::fs::read_to_string(place.path().join("r.json")).unwrap())
            .unwrap();
    let vms = report["vms"].as_array().unwrap();
    assert_eq!(vms.len(), guarantees.len());
    for (vm, guarantee) in vms.iter().zip(guarantees) {
        assert_eq!(number(vm, "guarantee_ppm"), guarantee * 10_000);
        let off = number(vm, "share_ppm").abs_diff(guarantee * 10_000);
        assert!(
            off <= TOLERANCE_PPM,
            "a share is {off} ppm off its guarantee: {report:#}"
        );
        assert!(number(vm, "frames") > 0);
    }
    assert!(
        number(&report, "busy_ns") * 100 >= number(&report, "elapsed_ns") * 98,
        "the GPU was busy for less than 98 % of the time: {report:#}"
    );
    assert_eq!(pictures_in(&place.path().join("shots")), guarantees.len());
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
    demo_keeps(&[75, 25]);
}

#[test]
fn given_four_busy_vms_when_measured_over_five_seconds_then_shares_are_within_1_percent_of_the_guarantees()
 {
    demo_keeps(&[40, 30, 20, 10]);
}

#[test]
fn given_a_vm_that_sleeps_when_its_neighbour_is_busy_then_the_neighbour_is_lent_the_time() {
    let _machine = machine_time::alone();
    let place = tempdir().unwrap();
    let vm = |name: &str, guarantee: u32, words: &str| {
        let text = format!(
            "kernel = \"{GUEST}\"\nmemory = \"64M\"\ncmdline = \"name={name} {words}\"\n\
             [gpu]\nguarantee = \"{guarantee}%\"\n"
        );
        std::fs::write(place.path().join(format!("{name}.toml")), text).unwrap();
    };
    vm("sleeper", 75, "burst_ms=1 idle_ms=500");
    vm("worker", 25, "depth=16");
    let arguments = ["run", "sleeper.toml", "worker.toml", "--control", "control"];
    let mut running = rondo::start(place.path(), &arguments).unwrap();
    let report = || -> Option<Value> {
        let ended = rondo::run(place.path(), &["ctl", "control", "report"]).ok()?;
        serde_json::from_str(&ended.stdout).ok()
    };
    let both_draw = |report: &Value| {
        report["vms"]
            .as_array()
            .is_some_and(|vms| vms.len() == 2 && vms.iter().all(|vm| number(vm, "frames") > 0))
    };
    running
        .wait_until("both VMs draw", |_| {
            report().as_ref().is_some_and(both_draw)
        })
        .unwrap();

    let before = report().unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let after = report().unwrap();

    let elapsed = number(&after, "elapsed_ns") - number(&before, "elapsed_ns");
    let used =
        |vm: usize| number(&after["vms"][vm], "gpu_ns") - number(&before["vms"][vm], "gpu_ns");
    assert!(used(0) > 0, "the sleeper draws now and then");
    assert!(
        used(1) * 100 >= elapsed * 90,
        "the worker, guaranteed 25 %, had {} of {elapsed} ns although its neighbour slept",
        used(1)
    );
    running.signal("TERM").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

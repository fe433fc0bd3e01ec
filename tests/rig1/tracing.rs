// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `--trace`: a file that holds the GPU's schedule, whole and exact.

use std::path::Path;

use rondo_tests::perfetto::{Trace, Track};
use rondo_tests::rondo;
use serde_json::Value;
use tempfile::tempdir;

use crate::{assert_went_well, machine_time, run_guest};

const SHARE: &str = "share of the GPU";
const OWED: &str = "owed GPU time (below 0: debt)";

fn read(place: &Path) -> Trace {
    let bytes = std::fs::read(place.join("t.pftrace")).unwrap();
    Trace::read(&bytes).unwrap()
}

fn reported_gpu_ns(place: &Path, vm: usize) -> u64 {
    let text = std::fs::read_to_string(place.join("r.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    report["vms"][vm]["gpu_ns"].as_u64().unwrap()
}

/// Slices of one track do not overlap.
#[track_caller]
fn assert_apart(track: &Track) {
    for pair in track.slices.windows(2) {
        assert!(pair[0].end <= pair[1].start, "{}: {pair:?}", track.name);
    }
    assert!(track.slices.iter().all(|slice| slice.depth == 0));
    assert_eq!(track.instants, [], "{}: entries were lost", track.name);
}

/// A VM's running time, which its processes and its contexts add up to.
#[track_caller]
fn running_time(trace: &Trace, uuid: u64, vm: &Track) -> u64 {
    assert_apart(vm);
    let (mut of_processes, mut of_contexts) = (0, 0);
    for (uuid, process) in trace.under(Some(uuid)) {
        assert_apart(process);
        of_processes += process.time("running");
        for (_, context) in trace.under(Some(uuid)) {
            assert!(context.name.starts_with("context 0x"), "{}", context.name);
            assert_apart(context);
            of_contexts += context.time("running");
            assert!(context.time("ready") > 0, "it never waited");
        }
    }
    let time = vm.time("running");
    // Units without a context to run are the VM's own.
    assert!(of_processes >= of_contexts && of_processes <= time);
    time
}

#[test]
fn given_a_run_to_its_end_then_the_trace_and_the_report_have_the_same_gpu_time_to_the_nanosecond() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let flags = ["--trace", "t.pftrace", "--json", "r.json"];
    let ended = run_guest(place.path(), "pattern=test frames=60 batch=4", &flags);
    assert_went_well(&ended);
    let trace = read(place.path());
    let vms = trace.under(None);
    assert_eq!(vms.len(), 1);
    let (uuid, vm) = vms[0];
    assert_eq!(vm.name, "vm");
    let time = running_time(&trace, uuid, vm);
    assert_eq!(time, reported_gpu_ns(place.path(), 0));
    assert_eq!(trace.under(Some(uuid))[0].1.name, "display");
}

#[test]
fn given_a_demo_under_any_policy_then_the_trace_has_a_track_for_each_vm_process_and_context_and_the_counters()
 {
    for policy in ["guaranteed", "fixed", "fair", "best-effort"] {
        demo_is_traced(policy);
    }
}

fn demo_is_traced(policy: &str) {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let arguments = [
        "demo",
        "--policy",
        policy,
        "--seconds",
        "1",
        "--trace",
        "t.pftrace",
        "--json",
        "r.json",
    ];
    // The verdict on the shares is not what this is about.
    let ended = rondo::run(place.path(), &arguments).unwrap();
    assert!(matches!(ended.code(), Some(0 | 1)), "{}", ended.stderr);
    let trace = read(place.path());
    let vms = trace.under(None);
    let names: Vec<_> = vms.iter().map(|(_, vm)| vm.name.as_str()).collect();
    assert_eq!(names, ["vm1", "vm2"], "{policy}");
    let mut turns: Vec<(u64, u64)> = Vec::new();
    for (index, &(uuid, vm)) in vms.iter().enumerate() {
        let time = running_time(&trace, uuid, vm);
        // The report is of the measured second, the trace of the whole run.
        assert!(time >= reported_gpu_ns(place.path(), index));
        turns.extend(vm.slices.iter().map(|slice| (slice.start, slice.end)));
        let counters = trace.counters(uuid);
        assert_eq!(counters[SHARE].unit.as_deref(), Some("%"));
        assert_eq!(counters[OWED].unit.as_deref(), Some("us"));
        assert!(counters[SHARE].values.len() >= 5);
        assert!((counters[SHARE].values.iter()).all(|(_, share)| (0.0..=100.0).contains(share)));
        assert!(counters[OWED].values.len() >= 5);
    }
    turns.sort_unstable();
    let both = turns.windows(2).find(|pair| pair[0].1 > pair[1].0);
    assert_eq!(both, None, "one engine ran two VMs under {policy}");
}

#[test]
fn given_several_engines_then_each_has_a_track_that_agrees_with_the_vms_to_the_nanosecond() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let arguments = [
        "demo",
        "--guarantee",
        "60,60,20",
        "--engines",
        "2",
        "--seconds",
        "1",
        "--trace",
        "t.pftrace",
    ];
    let ended = rondo::run(place.path(), &arguments).unwrap();
    assert!(matches!(ended.code(), Some(0 | 1)), "{}", ended.stderr);
    let trace = read(place.path());
    let top = trace.under(None);
    let names: Vec<_> = top.iter().map(|(_, track)| track.name.as_str()).collect();
    assert_eq!(names, ["engines", "vm1", "vm2", "vm3"]);
    let engines = trace.under(Some(top[0].0));
    let names: Vec<_> = (engines.iter())
        .map(|(_, engine)| engine.name.as_str())
        .collect();
    assert_eq!(names, ["engine 0", "engine 1"]);
    for (_, engine) in &engines {
        assert_apart(engine);
        assert!(!engine.slices.is_empty(), "{} did nothing", engine.name);
    }
    for (_, vm) in &top[1..] {
        let on_engines: u64 = engines
            .iter()
            .map(|(_, engine)| engine.time(&vm.name))
            .sum();
        assert_eq!(on_engines, vm.time("running"), "{}", vm.name);
        let turns = engines.iter().flat_map(|(_, engine)| &engine.slices);
        let mut turns: Vec<_> = turns.filter(|turn| turn.name == vm.name).collect();
        turns.sort_unstable_by_key(|turn| turn.start);
        let both = turns.windows(2).find(|pair| pair[0].end > pair[1].start);
        assert_eq!(both, None, "{} on two engines at a time", vm.name);
    }
}

#[test]
fn given_a_trace_file_that_cannot_be_written_then_one_sentence_names_it() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(place.path(), "frames=1", &["--trace", "nowhere/t.pftrace"]);
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("nowhere/t.pftrace"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn given_a_disk_that_is_full_then_the_vms_end_well_and_rondo_says_so_with_exit_code_1() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(place.path(), "frames=20", &["--trace", "/dev/full"]);
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stdout.contains("rondo-guest: bye"),
        "{}",
        ended.stdout
    );
    let said: Vec<_> = ended.stderr.lines().collect();
    assert!(
        said.last().is_some_and(|line| line.contains("/dev/full")),
        "{said:?}"
    );
}

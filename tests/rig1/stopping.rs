// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Ways to end: by the guest, by a signal, by the clock; and what each leaves behind.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rondo_guest::pattern;
use rondo_tests::picture::Picture;
use rondo_tests::rondo::{self, Running, is_whole_png};
use tempfile::{TempDir, tempdir};

use crate::{GUEST, machine_time, run_guest};

/// Frames that the guest of [`halted`] draws.
const FRAMES: u64 = 20;

/// A VM whose guest has drawn its frames and now stands still for ever.
fn halted() -> (TempDir, Running) {
    let place = tempdir().unwrap();
    let cmdline = format!("pattern=test frames={FRAMES} exit=halt");
    let gpu = "width=640,height=480";
    let arguments = [
        "run",
        "--kernel",
        GUEST,
        "--cmdline",
        &cmdline,
        "--gpu",
        gpu,
        "--screenshot",
        "shot.png",
        "--json",
        "r.json",
    ];
    let mut running = rondo::start(place.path(), &arguments).unwrap();
    running
        .wait_until("the guest's last line", |running| {
            running.stdout().contains("rondo-guest: bye")
        })
        .unwrap();
    (place, running)
}

fn assert_shows_last_frame(place: &TempDir, file: &str) {
    let at = |value: usize| u32::try_from(value).unwrap();
    let expected = Picture::from_fn(640, 480, |x, y| {
        pattern::pixel(640, 480, at(x), at(y), FRAMES - 1)
    });
    Picture::read_png(&place.path().join(file))
        .unwrap()
        .must_equal(&expected)
        .unwrap();
}

#[test]
fn given_sigusr1_when_the_guest_runs_then_the_screenshot_is_written_at_once_and_the_vm_lives_on() {
    let _machine = machine_time::together();
    let (place, mut running) = halted();
    let file = place.path().join("shot.png");
    for _ in 0..2 {
        assert!(!file.exists());
        running.signal("USR1").unwrap();
        running
            .wait_until("the screenshot", |_| is_whole_png(&file))
            .unwrap();
        assert_shows_last_frame(&place, "shot.png");
        std::fs::remove_file(&file).unwrap();
    }
    running.signal("TERM").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

#[test]
fn given_sigterm_or_sigint_when_the_guest_runs_then_it_stops_cleanly_with_report_and_screenshot() {
    let _machine = machine_time::together();
    for signal in ["TERM", "INT"] {
        let (place, running) = halted();
        running.signal(signal).unwrap();
        let ended = running.wait().unwrap();
        assert_eq!(ended.code(), Some(0), "after SIG{signal}: {}", ended.stderr);
        assert_shows_last_frame(&place, "shot.png");
        let report = std::fs::read_to_string(place.path().join("r.json")).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["vms"][0]["frames"], FRAMES);
    }
}

#[test]
fn given_a_guest_that_draws_for_ever_when_stopped_then_it_stops() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let arguments = [
        "run",
        "--kernel",
        GUEST,
        "--cmdline",
        "depth=64",
        "--cpus",
        "2",
    ];
    let mut running = rondo::start(place.path(), &arguments).unwrap();
    running
        .wait_until("the first frame", |running| {
            running.stdout().contains("first-frame")
        })
        .unwrap();
    running.signal("TERM").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

#[test]
fn given_a_timeout_when_the_guest_never_ends_then_rondo_does_with_1_and_says_why() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(
        place.path(),
        "frames=1 exit=halt",
        &["--timeout", "1", "--name", "sloth"],
    );
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("sloth") && ended.stderr.contains("--timeout"),
        "it said: {}",
        ended.stderr
    );
}

#[test]
fn given_a_reset_by_the_keyboard_controller_when_the_guest_ends_then_rondo_ends_with_0() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(place.path(), "frames=1 exit=i8042", &[]);
    assert_eq!(ended.code(), Some(0), "it said: {}", ended.stderr);
}

#[test]
fn given_a_triple_fault_when_the_guest_dies_then_rondo_ends_with_3_and_one_sentence() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let ended = run_guest(place.path(), "frames=1 exit=triple", &["--name", "icarus"]);
    assert_eq!(ended.code(), Some(3), "it said: {}", ended.stderr);
    let said = ended.stderr.to_lowercase();
    assert!(
        said.contains("icarus") && said.contains("triple fault"),
        "it said: {}",
        ended.stderr
    );
    assert_eq!(
        ended.stderr.trim_end().lines().count(),
        1,
        "it said: {}",
        ended.stderr
    );
}

#[test]
fn given_a_guest_that_dies_before_its_first_picture_then_how_it_died_is_told_and_the_report_is_there()
 {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let more = ["--screenshot", "shot.png", "--json", "r.json"];
    let ended = run_guest(place.path(), "mode=probe exit=triple", &more);
    assert_eq!(ended.code(), Some(3), "it said: {}", ended.stderr);
    assert!(
        ended.stderr.contains("triple fault"),
        "it said: {}",
        ended.stderr
    );
    assert!(place.path().join("r.json").exists());
    assert!(!place.path().join("shot.png").exists());
}

#[test]
fn given_a_running_vm_when_asked_through_its_socket_then_it_resizes_reports_and_takes_pictures() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let cmdline = format!("pattern=test frames={FRAMES} exit=halt");
    let gpu = "width=640,height=480";
    let arguments = [
        "run",
        "--kernel",
        GUEST,
        "--cmdline",
        &cmdline,
        "--gpu",
        gpu,
        "--control",
        "socket",
    ];
    let mut running = rondo::start(place.path(), &arguments).unwrap();
    running
        .wait_until("the guest's last line", |running| {
            running.stdout().contains("rondo-guest: bye")
        })
        .unwrap();
    let ask =
        |words: &[&str]| rondo::run(place.path(), &[&["ctl", "socket"], words].concat()).unwrap();

    assert_eq!(ask(&["screenshot", "asked.png"]).code(), Some(0));
    assert_shows_last_frame(&place, "asked.png");
    assert_eq!(ask(&["resize", "800x600"]).code(), Some(0));
    let report: serde_json::Value = serde_json::from_str(&ask(&["report"]).stdout).unwrap();
    assert_eq!(report["vms"][0]["frames"], FRAMES);
    let refused = ask(&["resize", "5x5"]);
    assert_eq!(
        refused.code(),
        Some(1),
        "a size that no mode can have: {}",
        refused.stdout
    );
    assert_eq!(
        refused.stderr.trim_end().lines().count(),
        1,
        "it said: {}",
        refused.stderr
    );

    running.signal("TERM").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

#[test]
fn given_a_standard_output_that_takes_nothing_when_the_demo_runs_then_it_ends_with_its_verdict() {
    let _machine = machine_time::alone();
    let full = || std::fs::File::create("/dev/full").unwrap();
    let ended = Command::new(rondo::binary().unwrap())
        .args(["demo", "--guarantee", "50,50", "--seconds", "1"])
        .stdout(full())
        .stderr(full())
        .status()
        .unwrap();
    assert!(matches!(ended.code(), Some(0 | 1)), "{ended}");
}

#[test]
fn given_a_console_that_nobody_reads_when_sigterm_comes_then_rondo_ends() {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let (mut full, console) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    // What the console writes to is full from the start: the guest's first line has nowhere to go.
    let mut other_end = console.try_clone().unwrap();
    other_end.set_nonblocking(true).unwrap();
    while other_end.write(&[0; 4096]).is_ok() {}
    console.set_nonblocking(false).unwrap();
    let mut child = Command::new(rondo::binary().unwrap())
        .current_dir(place.path())
        .args(["run", "--kernel", GUEST, "--control", "control"])
        .stdout(OwnedFd::from(console))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first_frame = || {
        let ended = rondo::run(place.path(), &["ctl", "control", "report"]).unwrap();
        serde_json::from_str::<serde_json::Value>(&ended.stdout)
            .is_ok_and(|report| report["vms"][0]["frames"].as_u64() > Some(0))
    };
    while !first_frame() {}
    let kill = Command::new("kill")
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // Until here somebody could have read it, had they wanted to.
    assert!(full.read(&mut [0; 1]).is_ok());
}

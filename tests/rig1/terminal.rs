// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The user's terminal is raw while a guest has it, and afterwards as it was, whichever way `rondo` ends.

use std::process::{Command, Stdio};

use rondo_tests::rondo;
use tempfile::tempdir;

use crate::machine_time;

/// Runs `rondo` with `arguments` on a terminal of its own; returns the terminal's settings before and after.
fn settings_around(arguments: &str, stop: &str) -> (String, String) {
    let _machine = machine_time::together();
    let place = tempdir().unwrap();
    let rondo = rondo::binary().unwrap();
    let script = format!(
        "stty -a >before; {stop} '{}' {arguments}; echo $? >code; stty -a >after",
        rondo.display()
    );
    // `script` gives the commands a terminal of their own.
    let status = Command::new("script")
        .args(["--quiet", "--command", &script, "/dev/null"])
        .current_dir(place.path())
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .expect("the program script, of the package bsdutils");
    assert!(status.success());
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    (read("before"), read("after"))
}

#[track_caller]
fn assert_restored(arguments: &str, stop: &str) {
    let (before, after) = settings_around(arguments, stop);
    assert!(
        before.contains(" icanon") && before.contains(" echo "),
        "no terminal to begin with: {before}"
    );
    assert_eq!(before, after);
}

#[test]
fn given_a_terminal_when_the_guest_ends_then_the_terminal_is_as_it_was() {
    assert_restored("run --kernel builtin:demo --cmdline frames=1", "");
}

#[test]
fn given_a_terminal_when_the_guest_dies_then_the_terminal_is_as_it_was() {
    assert_restored(
        "run --kernel builtin:demo --cmdline 'frames=1 exit=triple'",
        "",
    );
}

#[test]
fn given_a_terminal_when_a_signal_stops_rondo_then_the_terminal_is_as_it_was() {
    assert_restored(
        "run --kernel builtin:demo --cmdline exit=halt",
        "timeout --foreground --signal=TERM 1",
    );
}

#[test]
fn given_a_terminal_when_the_vm_cannot_be_built_then_the_terminal_is_as_it_was() {
    assert_restored("run --kernel nowhere", "");
}

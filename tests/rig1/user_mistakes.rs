// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Users' mistakes: each ends with its exit code and one sentence that names what is wrong, never with a backtrace.

use std::path::Path;

use rondo_tests::rondo;
use tempfile::tempdir;

use crate::GUEST;

/// Runs `rondo` among these files and checks the exit code and that the sentence names all of `names`.
#[track_caller]
fn mistake(files: &[(&str, &str)], arguments: &[&str], code: i32, names: &[&str]) {
    let place = tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(place.path().join(name), text).unwrap();
    }
    judge(place.path(), arguments, code, names);
}

#[track_caller]
fn judge(place: &Path, arguments: &[&str], code: i32, names: &[&str]) {
    let ended = rondo::run(place, arguments).unwrap();
    let said = ended.stderr.trim_end();
    assert_eq!(ended.code(), Some(code), "it said: {said}");
    for name in names {
        assert!(said.contains(name), "{name} is not named in: {said}");
    }
    assert!(
        !said.contains("panicked") && !said.contains("backtrace"),
        "it said: {said}"
    );
    if code == 1 {
        assert_eq!(said.lines().count(), 1, "more than one line: {said}");
    }
}

fn vm(guarantee: &str) -> String {
    format!("kernel = \"{GUEST}\"\n[gpu]\nguarantee = \"{guarantee}\"\n")
}

#[test]
fn given_no_kernel_at_all_then_the_flag_is_named() {
    mistake(&[], &["run"], 1, &["--kernel"]);
}

#[test]
fn given_a_kernel_that_is_not_there_then_the_file_is_named() {
    mistake(
        &[],
        &["run", "--kernel", "nowhere/vmlinuz"],
        1,
        &["nowhere/vmlinuz"],
    );
}

#[test]
fn given_a_kernel_that_is_text_or_empty_or_a_program_then_it_is_called_no_kernel() {
    mistake(
        &[("notes.txt", "buy milk\n")],
        &["run", "--kernel", "notes.txt"],
        1,
        &["notes.txt", "bzImage"],
    );
    mistake(
        &[("nothing", "")],
        &["run", "--kernel", "nothing"],
        1,
        &["nothing", "empty"],
    );
    mistake(&[], &["run", "--kernel", "/bin/sh"], 1, &["/bin/sh"]);
}

#[test]
fn given_an_initrd_that_is_not_there_then_the_file_is_named() {
    mistake(
        &[],
        &["run", "--kernel", GUEST, "--initrd", "nowhere.cpio"],
        1,
        &["nowhere.cpio"],
    );
}

#[test]
fn given_too_little_memory_then_the_least_is_named() {
    mistake(
        &[],
        &["run", "--kernel", GUEST, "--memory", "1M"],
        1,
        &["memory", "32M"],
    );
}

#[test]
fn given_too_many_processors_then_the_most_is_named() {
    mistake(
        &[],
        &["run", "--kernel", GUEST, "--cpus", "33"],
        1,
        &["cpus", "32"],
    );
}

#[test]
fn given_guarantees_over_100_percent_then_the_sum_is_named() {
    let files = [("a.toml", &*vm("60%")), ("b.toml", &*vm("50%"))];
    mistake(
        &files,
        &["run", "a.toml", "b.toml"],
        1,
        &["110%", "guarantee"],
    );
}

#[test]
fn given_a_key_that_no_vm_has_then_file_line_and_key_are_named() {
    let file = [("typo.toml", "kernel = \"k\"\nmemroy = \"1G\"\n")];
    mistake(
        &file,
        &["run", "typo.toml"],
        1,
        &["typo.toml", "line 2", "memroy"],
    );
}

#[test]
fn given_a_file_that_is_not_there_then_it_is_named() {
    mistake(&[], &["run", "absent.toml"], 1, &["absent.toml"]);
}

#[test]
fn given_two_vms_of_one_name_then_the_name_is_named() {
    let text = format!("name = \"twin\"\nkernel = \"{GUEST}\"\n");
    mistake(
        &[("a.toml", &text), ("b.toml", &text)],
        &["run", "a.toml", "b.toml"],
        1,
        &["twin"],
    );
}

#[test]
fn given_a_flag_or_value_that_makes_no_sense_then_it_is_a_usage_error() {
    mistake(&[], &["run", "--memroy", "1G"], 2, &["--memroy"]);
    mistake(
        &[],
        &["run", "--kernel", GUEST, "--memory", "lots"],
        2,
        &["lots", "512M"],
    );
    mistake(
        &[],
        &["run", "--kernel", GUEST, "--gpu", "widht=3"],
        2,
        &["widht"],
    );
    mistake(
        &[],
        &["run", "--kernel", GUEST, "--gpu", "guarantee=150%"],
        2,
        &["150%"],
    );
    mistake(&[], &["dance"], 2, &["dance"]);
    mistake(&[], &[], 2, &["Usage"]);
}

#[test]
fn given_a_screenshot_in_a_folder_that_is_not_there_then_the_file_is_named() {
    let arguments = [
        "run",
        "--kernel",
        GUEST,
        "--cmdline",
        "frames=1",
        "--screenshot",
        "nowhere/shot.png",
    ];
    mistake(&[], &arguments, 1, &["nowhere/shot.png"]);
}

#[test]
fn given_a_demo_that_promises_too_much_then_the_sum_is_named() {
    mistake(
        &[],
        &["demo", "--guarantee", "75,50", "--seconds", "1"],
        1,
        &["125%"],
    );
}

#[test]
fn given_a_socket_that_nobody_listens_on_then_it_is_named() {
    mistake(&[], &["ctl", "silence", "report"], 1, &["silence"]);
}

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
fn given_a_journal_that_cannot_be_written_then_the_file_is_named() {
    let run = |file| {
        [
            "run",
            "--kernel",
            GUEST,
            "--cmdline",
            "frames=20",
            "--record",
            file,
        ]
    };
    mistake(&[], &run("nowhere/journal"), 1, &["nowhere/journal"]);
    let place = tempdir().unwrap();
    let ended = rondo::run(place.path(), &run("/dev/full")).unwrap();
    assert_eq!(ended.code(), Some(1));
    assert!(ended.stdout.contains("rondo-guest: bye"));
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains("/dev/full"), "{}", ended.stderr);
}

#[test]
fn given_a_demo_that_promises_too_much_then_the_sum_is_named() {
    mistake(
        &[],
        &["demo", "--guarantee", "75,50", "--seconds", "1"],
        2,
        &["125%", "guarantee"],
    );
}

#[test]
fn given_engines_policy_or_quarantine_that_make_no_sense_then_flag_and_choices_are_named() {
    for command in [&["run", "--kernel", GUEST][..], &["demo"][..]] {
        for (flag, value, names) in [
            ("--engines", "0", "1 to 64, or auto"),
            ("--engines", "65", "1 to 64, or auto"),
            ("--engines", "many", "1 to 64, or auto"),
            ("--policy", "first-come", "best-effort"),
            ("--reserve", "101%", "0% to 100%"),
            ("--host-guarantee", "some", "0% to 100%"),
            ("--quarantine", "3", "3/60s, or off"),
            ("--quarantine", "0/60s", "3/60s, or off"),
        ] {
            let arguments = [command, &[flag, value]].concat();
            mistake(&[], &arguments, 2, &[flag, value, names]);
        }
    }
}

#[test]
fn given_more_kept_back_than_an_engine_then_both_flags_and_the_sum_are_named() {
    let kept = ["--reserve", "60%", "--host-guarantee", "50%"];
    let arguments = [&["demo", "--seconds", "1"][..], &kept].concat();
    let names = ["--reserve 60%", "--host-guarantee 50%", "110%"];
    mistake(&[], &arguments, 2, &names);
    let arguments = ["demo", "--seconds", "1", "--reserve", "10%"];
    mistake(&[], &arguments, 2, &["100%", "10% more"]);
    let arguments = ["demo", "--guarantee", "95", "--reserve", "10%"];
    mistake(&[], &arguments, 2, &["95%", "90%", "--reserve"]);
}

#[test]
fn given_gpu_keys_that_contradict_each_other_then_the_key_and_the_remedy_are_named() {
    for (gpu, names) in [
        (
            "mode=client,guarantee=20%",
            ["gpu.guarantee", "--host-guarantee"],
        ),
        ("grace=3ms,slice=2ms", ["gpu.grace", "gpu.slice"]),
        ("hang-timeout=0ms", ["gpu.hang-timeout", "1ms to 60s"]),
        ("hang-timeout=61s", ["gpu.hang-timeout", "1ms to 60s"]),
        ("priority=urgent", ["priority", "high"]),
        ("mode=guest", ["mode", "client"]),
        ("guarantee=50%,limit=25%", ["gpu.limit", "guarantee of 50%"]),
    ] {
        let arguments = ["run", "--kernel", GUEST, "--gpu", gpu];
        mistake(&[], &arguments, 2, &names);
    }
    let file = format!("kernel = \"{GUEST}\"\n[gpu]\nmode = \"client\"\nguarantee = \"20%\"\n");
    let names = ["client", "--host-guarantee"];
    mistake(
        &[("client.toml", &file)],
        &["run", "client.toml"],
        1,
        &names,
    );
}

#[test]
fn given_ctl_values_that_make_no_sense_then_nobody_is_asked() {
    for (request, names) in [
        (&["policy", "chaos"][..], "best-effort"),
        (&["slice", "1us"], "100us to 100ms"),
        (&["slice", "2"], "2ms"),
        (&["limit", "0%"], "stop"),
        (&["limit", "all"], "none"),
        (&["priority", "urgent"], "high"),
        (&["guarantee", "101%"], "0% to 100%"),
        (&["add"], "VM.toml"),
    ] {
        let arguments = [&["ctl", "silence"][..], request].concat();
        mistake(&[], &arguments, 2, &[names]);
    }
}

#[test]
fn given_requests_that_a_running_rondo_cannot_grant_then_it_says_why_and_runs_on() {
    let place = tempdir().unwrap();
    let vm = |name: &str, text: &str| std::fs::write(place.path().join(name), text).unwrap();
    vm("a.toml", &self::vm("60%"));
    vm("large.toml", &self::vm("50%"));
    vm(
        "wrong.toml",
        "kernel = \"nowhere\"\n[gpu]\nguarantee = \"10%\"\n",
    );
    vm("typo.toml", "kernle = \"k\"\n");
    let mut running = rondo::start(place.path(), &["run", "a.toml", "--control", "s"]).unwrap();
    running
        .wait_until("its socket", |_| place.path().join("s").exists())
        .unwrap();
    for (request, names) in [
        (
            &["add", "large.toml"][..],
            &["large", "50%", "40% of an engine is free", "10% too much"][..],
        ),
        (&["add", "a.toml"], &["'a'", "another name"]),
        (&["add", "typo.toml"], &["typo.toml", "line 1", "kernle"]),
        (&["add", "absent.toml"], &["absent.toml"]),
        (&["add", "wrong.toml"], &["wrong", "nowhere"]),
        (&["--vm", "b", "stop"], &["'b'", "there are: a"]),
        (&["limit", "30%"], &["30%", "guarantee of 60%"]),
    ] {
        let arguments = [&["ctl", "s"][..], request].concat();
        judge(place.path(), &arguments, 1, names);
    }
    // What was refused has left nothing behind: the rest is free still.
    let ended = rondo::run(place.path(), &["ctl", "s", "guarantee", "100%"]).unwrap();
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    running.signal("TERM").unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(0));
}

#[test]
fn given_a_socket_that_nobody_listens_on_then_it_is_named() {
    mistake(&[], &["ctl", "silence", "report"], 1, &["silence"]);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The command line: files it writes, sentences it says, codes it ends with.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

const GOOD: &str = r#"duration_ms = 50
[[vm]]
name = "a"
share_ppm = 600000
max_unit_us = 500
load = { kind = "backlogged", length_us = 500 }
[[vm]]
name = "b"
share_ppm = 400000
load = { kind = "poisson", length_us = 300, rate_per_s = 200 }
"#;

/// `GOOD`, with a process in the place of the load of VM b.
fn inside(process: &str) -> String {
    let load = "load = { kind = \"poisson\", length_us = 300, rate_per_s = 200 }\n";
    let process = format!("[[vm.process]]\nname = \"p\"\n{process}");
    GOOD.replace(load, &process)
}

/// The same, with one context.
fn context(keys: &str) -> String {
    inside(&format!(
        "[[vm.process.context]]\n{keys}\nload = {{ kind = \"backlogged\", length_us = 7 }}\n"
    ))
}

/// A file of this test alone, in the folder that cargo keeps for tests.
fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

fn simulator(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rondo-simulator"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn given_a_scenario_when_it_is_run_then_trace_and_json_are_written_and_agree() {
    let scenario = file("good.toml", GOOD);
    let (trace, json) = (file("good.csv", ""), file("good.json", ""));
    let output = simulator(&[
        "run",
        scenario.to_str().unwrap(),
        "--policy",
        "guaranteed",
        "--seed",
        "3",
        "--trace",
        trace.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{output:?}");
    let rows = fs::read_to_string(trace).unwrap();
    assert!(rows.starts_with("start_ns,end_ns,kind,vm,request,arrival_ns,length_ns\n0,"));
    assert!(rows.lines().last().unwrap().split(',').nth(1) == Some("50000000"));
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(report["policy"], "guaranteed");
    assert_eq!(report["seed"], 3);
    assert_eq!(report["report"]["vms"][0]["late"], 0);
    let busy = |rows: &str| -> u64 {
        let run = rows
            .lines()
            .map(|row| row.split(',').collect::<Vec<_>>())
            .filter(|row| row[2] == "run");
        run.map(|row| row[1].parse::<u64>().unwrap() - row[0].parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!(report["report"]["books"]["busy_ns"], busy(&rows));
}

#[test]
fn given_compare_and_sweep_then_everybody_has_a_row() {
    let scenario = file("compared.toml", GOOD);
    for arguments in [
        vec!["compare", scenario.to_str().unwrap()],
        vec!["sweep", "--setups", "2", "--seed", "5"],
    ] {
        let output = simulator(&arguments);
        assert!(output.status.success(), "{output:?}");
        let table = String::from_utf8(output.stdout).unwrap();
        for contender in rondo_simulator::contender::Contender::all() {
            let row = format!("| {} |", contender.name());
            assert!(table.contains(&row), "{arguments:?}: no {row} in {table}");
        }
    }
}

#[test]
fn given_a_wrong_scenario_then_one_sentence_says_what_and_the_code_is_2() {
    let wrong = [
        (
            "key",
            GOOD.replace("max_unit_us", "max_units"),
            "unknown field `max_units`",
        ),
        (
            "process",
            format!("{GOOD}[[vm.process]]\nname = \"p\"\n"),
            "vm \"b\": a VM has either load or [[vm.process]]",
        ),
        ("processkey", inside("band = 1\n"), "unknown field `band`"),
        (
            "workless",
            GOOD.replace("load = { kind = \"backlogged\", length_us = 500 }\n", ""),
            "vm \"a\": missing field `load`",
        ),
        (
            "emptyprocess",
            inside(""),
            "vm \"b\", process \"p\": missing field `load`",
        ),
        (
            "contextless",
            inside("[[vm.process.context]]\n"),
            "vm \"b\", process \"p\", context \"0\": missing field `load`",
        ),
        (
            "band",
            context("band = \"turbo\""),
            "unknown variant `turbo`",
        ),
        (
            "level",
            context("band = \"realtime\"\nrealtime_level = 32"),
            "realtime_level is 32, out of range: it must be at most 31",
        ),
        (
            "levelband",
            context("realtime_level = 3"),
            "realtime_level means something in band \"realtime\" only",
        ),
        (
            "inpriority",
            context("priority = -8"),
            "priority is out of range: it must be -7 to 7",
        ),
        (
            "quantum",
            context("quantum_us = 0"),
            "context \"0\": quantum_us is 0",
        ),
        (
            "contextload",
            context("quantum_us = 5").replace("length_us = 7", "length_us = 0"),
            "context \"0\": length_us is 0",
        ),
        (
            "twinprocess",
            format!("{}[[vm.process]]\nname = \"p\"\n", context("priority = 1")),
            "two processes are named \"p\"",
        ),
        (
            "normal",
            format!("{}[bands]\nnormal_percent = 51\n", GOOD),
            "[bands]: normal_percent is 51, out of range: it must be at most 50",
        ),
        (
            "bandquantum",
            format!("{}[bands]\nprocess_quantum_us = {{ focus = 0 }}\n", GOOD),
            "[bands]: process_quantum_us is 0",
        ),
        (
            "bandname",
            format!("{}[bands]\ngrace_us = {{ turbo = 1 }}\n", GOOD),
            "unknown field `turbo`",
        ),
        ("engines", format!("engines = 0\n{GOOD}"), "engines is 0"),
        (
            "manyengines",
            format!("engines = 65\n{GOOD}"),
            "engines is 65, out of range: it must be at most 64",
        ),
        (
            "sharestwo",
            format!(
                "engines = 2\n{}",
                GOOD.replace("600000", "1000000")
                    .replace("400000", "1000000")
                    + "[[vm]]\nname = \"c\"\nshare_ppm = 1\nload = { kind = \"hang\", after_ms = 1 }\n"
            ),
            "2000001 ppm, 1 ppm more than the 2 engines have",
        ),
        (
            "hostshare",
            format!("host_share_ppm = 1\n{GOOD}"),
            "1000001 ppm, 1 ppm more",
        ),
        (
            "clientshare",
            GOOD.replace(
                "share_ppm = 600000",
                "share_ppm = 600000\nmode = \"client\"",
            ),
            "has no share of its own",
        ),
        (
            "mode",
            GOOD.replace("share_ppm = 600000", "mode = \"root\""),
            "unknown variant `root`",
        ),
        (
            "priority",
            GOOD.replace(
                "share_ppm = 600000",
                "share_ppm = 600000\npriority = \"top\"",
            ),
            "unknown variant `top`",
        ),
        (
            "limit",
            GOOD.replace(
                "share_ppm = 600000",
                "share_ppm = 600000\nlimit_ppm = 599999",
            ),
            "vm \"a\": limit_ppm must not be zero nor below share_ppm",
        ),
        (
            "biglimit",
            GOOD.replace(
                "share_ppm = 600000",
                "share_ppm = 600000\nlimit_ppm = 1000001",
            ),
            "limit_ppm is 1000001, out of range",
        ),
        (
            "hang",
            GOOD.replace(
                "share_ppm = 600000",
                "share_ppm = 600000\nhang_timeout_us = 0",
            ),
            "hang_timeout_us is 0",
        ),
        (
            "slice",
            GOOD.replace("share_ppm = 600000", "share_ppm = 600000\nslice_us = -1"),
            "`-1`, expected a whole number that is not negative",
        ),
        (
            "grace",
            GOOD.replace(
                "share_ppm = 600000",
                "share_ppm = 600000\ngrace_us = 99999999999999",
            ),
            "grace_us is 99999999999999, out of range",
        ),
        (
            "loadkey",
            GOOD.replace("rate_per_s = 200", "rate_per_s = 200, burst = 1"),
            "unknown field `burst`",
        ),
        (
            "kind",
            GOOD.replace("poisson", "gaussian"),
            "unknown variant `gaussian`",
        ),
        (
            "missing",
            GOOD.replace("share_ppm = 600000\n", ""),
            "missing field `share_ppm`",
        ),
        (
            "shares",
            GOOD.replace("600000", "600001"),
            "1000001 ppm, 1 ppm more",
        ),
        (
            "share",
            GOOD.replace("600000", "1600001"),
            "share_ppm is 1600001, out of range",
        ),
        (
            "duration",
            GOOD.replace("duration_ms = 50", "duration_ms = 0"),
            "duration_ms is 0",
        ),
        (
            "length",
            GOOD.replace("length_us = 300", "length_us = 0"),
            "vm \"b\": length_us is 0",
        ),
        (
            "unit",
            GOOD.replace("max_unit_us = 500", "max_unit_us = 0"),
            "vm \"a\": max_unit_us is 0",
        ),
        (
            "negative",
            GOOD.replace("length_us = 300", "length_us = -3"),
            "`-3`, expected a whole number that is not negative",
        ),
        (
            "rate",
            GOOD.replace("rate_per_s = 200", "rate_per_s = -2"),
            "rate_per_s is -2, which is negative",
        ),
        (
            "nan",
            GOOD.replace("rate_per_s = 200", "rate_per_s = nan"),
            "rate_per_s is NaN",
        ),
        (
            "long",
            GOOD.replace("duration_ms = 50", "duration_ms = 9000000000000000000"),
            "out of range",
        ),
        (
            "twins",
            GOOD.replace("\"b\"", "\"a\""),
            "two VMs are named \"a\"",
        ),
        (
            "name",
            GOOD.replace("\"b\"", "\"b,c\""),
            "name \"b,c\" is refused",
        ),
        ("nobody", "duration_ms = 5\n".to_owned(), "no [[vm]]"),
        ("syntax", "duration_ms = = 5\n".to_owned(), "line 1"),
    ];
    for (case, text, expected) in wrong {
        let scenario = file(&format!("wrong-{case}.toml"), &text);
        let output = simulator(&["run", scenario.to_str().unwrap(), "--policy", "guaranteed"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{case}: {said}");
        assert!(said.contains(expected), "{case}: {said}");
        assert_eq!(said.lines().count(), 1, "{case}: {said}");
        assert!(output.stdout.is_empty(), "{case}");
    }
}

#[test]
fn given_a_wrong_command_line_then_the_code_is_2_and_given_no_file_it_is_1() {
    let scenario = file("command.toml", GOOD);
    let scenario = scenario.to_str().unwrap();
    assert_eq!(
        simulator(&["run", scenario, "--policy", "lottery"])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(simulator(&["run", scenario]).status.code(), Some(2));
    assert_eq!(
        simulator(&["sweep", "--setups", "0"]).status.code(),
        Some(2)
    );
    assert_eq!(
        simulator(&["run", "/nowhere.toml", "--policy", "guaranteed"])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn given_a_vm_without_a_share_then_nothing_is_promised_to_it_and_what_is_left_is_lent() {
    let text = GOOD.replace("share_ppm = 400000", "share_ppm = 0");
    let scenario = file("lent.toml", &text);
    let json = file("lent.json", "");
    let (scenario, out) = (scenario.to_str().unwrap(), json.to_str().unwrap());
    let output = simulator(&["run", scenario, "--policy", "guaranteed", "--json", out]);
    assert!(output.status.success(), "{output:?}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let lent = &report["report"]["vms"][1];
    assert!(lent["late"].is_null(), "{lent}");
    assert!(lent["service_ns"].as_u64().unwrap() > 0, "{lent}");
    assert_eq!(report["report"]["vms"][0]["late"], 0);
}

#[test]
fn given_two_engines_then_each_has_a_trace_of_its_own_and_only_shipped_policies_are_compared() {
    let scenario = file("two.toml", GOOD);
    let (first, second) = (file("two.csv", ""), file("two.1.csv", ""));
    let (scenario, trace) = (scenario.to_str().unwrap(), first.to_str().unwrap());
    let output = simulator(&[
        "run",
        scenario,
        "--policy",
        "guaranteed",
        "--engines",
        "2",
        "--trace",
        trace,
    ]);
    assert!(output.status.success(), "{output:?}");
    for path in [first, second] {
        let rows = fs::read_to_string(&path).unwrap();
        assert!(
            rows.starts_with("start_ns,end_ns,kind,vm,request,arrival_ns,length_ns\n0,"),
            "{path:?}: {rows}"
        );
        assert_eq!(
            rows.lines().last().unwrap().split(',').nth(1),
            Some("50000000")
        );
    }
    let output = simulator(&["compare", scenario, "--engines", "2"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("| best-effort |"), "{table}");
    assert!(!table.contains("| eevdf |"), "{table}");
    assert!(table.contains("the comparators drive one"), "{table}");
    let output = simulator(&["run", scenario, "--policy", "eevdf", "--engines", "2"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("eevdf drives one engine"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn given_processes_then_run_reports_what_each_got() {
    let scenario = file("inside.toml", &context("band = \"focus\""));
    let json = file("inside.json", "");
    let (scenario, out) = (scenario.to_str().unwrap(), json.to_str().unwrap());
    let output = simulator(&["run", scenario, "--policy", "guaranteed", "--json", out]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("| band focus | 100.000 |"), "{said}");
    assert!(said.contains("| p, focus context 0 | 100.000 |"), "{said}");
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let vm = &report["report"]["vms"][1];
    assert_eq!(vm["inside"]["processes"][0]["service_ns"], vm["service_ns"]);
    assert_eq!(vm["inside"]["processes"][0]["contexts"][0]["band"], "focus");
    assert!(report["report"]["vms"][0].get("inside").is_none());
}

#[test]
fn given_a_journal_then_replay_says_whether_the_decisions_are_the_same() {
    let header =
        "rondo-journal 1 policy=guaranteed engines=1 reserve=0 host=0 quarantine=3/60000000000";
    let add = "add v1 server guarantee=750000 limit=- slice=2000000 max_unit=- grace=0 hang=250000000 priority=normal";
    let good = format!("{header}\n17 {add}\n18 ready v2 | refused: nobody\n");
    let replay = |name: &str, text: &str| {
        let output = simulator(&["replay", file(name, text).to_str().unwrap()]);
        let said = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            said(output.stdout),
            said(output.stderr),
        )
    };
    let (code, said, _) = replay("good.journal", &good);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 events (1 refused)"), "{said}");
    assert!(
        said.contains("every decision is the recorded one, hash "),
        "{said}"
    );
    let other = format!("{header}\n17 {add}\n18 ready v2 | grant e0 v2\n");
    let (code, said, error) = replay("other.journal", &other);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("line 3: "), "{said}");
    assert!(error.contains("decides otherwise"), "{error}");
    for (name, text, expected) in [
        ("scenario.journal", GOOD, "not a scheduler journal"),
        (
            "bad.journal",
            &format!("{header}\n17 dance\n"),
            "line 2: \"dance\" is not an event",
        ),
        (
            "none.journal",
            &format!("{}\n", header.replace("engines=1", "engines=0")),
            "no scheduler can be made",
        ),
    ] {
        let (code, said, error) = replay(name, text);
        assert_eq!(code, Some(2), "{name}: {error}");
        assert!(error.contains(expected), "{name}: {error}");
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
        assert!(said.is_empty(), "{name}");
    }
}

#[test]
fn given_the_scenarios_of_the_repository_then_each_is_sound() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut found = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let parsed = rondo_simulator::scenario::Scenario::parse(&text);
        assert!(parsed.is_ok(), "{}: {parsed:?}", path.display());
        found += 1;
    }
    assert!(found >= 9, "{found} scenarios");
}

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
            format!("{GOOD}[[vm.process]]\nband = 1\n"),
            "unknown field `process`",
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
    assert!(found >= 7, "{found} scenarios");
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! VMs, guarantees and the policy change while VMs run: what was promised before holds until then, and what is promised after holds
//! from then on.

use rondo_tests::rondo;

use crate::machine_time;
use crate::stage::{BUSY, Scene, Stage, TOLERANCE_PPM, measure, write_vm};

#[test]
fn given_two_busy_vms_when_their_guarantees_are_exchanged_then_so_are_their_shares() {
    measure(|| {
        let stage = Stage::open(
            &[
                ("a", BUSY, "guarantee = \"75%\""),
                ("b", BUSY, "guarantee = \"25%\""),
            ],
            &[],
        );
        let before = stage.act(2.0);
        stage.ctl(&["--vm", "a", "guarantee", "25%"]);
        stage.ctl(&["--vm", "b", "guarantee", "75%"]);
        let after = stage.act(2.0);
        let (schedule, report) = stage.close();
        assert_eq!(report["vms"][0]["guarantee_ppm"], 250_000);
        Scene::new(&schedule, before).divided(&[("a", 75), ("b", 25)])?;
        Scene::new(&schedule, after).divided(&[("a", 25), ("b", 75)])
    });
}

#[test]
fn given_busy_vms_when_one_is_added_and_stopped_then_everybody_has_what_is_promised_all_along() {
    measure(|| {
        let mut stage = Stage::open(
            &[
                ("a", BUSY, "guarantee = \"50%\""),
                ("b", BUSY, "guarantee = \"20%\""),
            ],
            &[],
        );
        let before = stage.act(1.5);
        write_vm(stage.place(), "guest", BUSY, "guarantee = \"30%\"");
        stage.ctl(&["add", "guest.toml"]);
        stage.until_drawing(3);
        let beside = stage.act(2.0);
        stage.ctl(&["--vm", "guest", "stop"]);
        let after = stage.act(1.5);
        let (schedule, _) = stage.close();
        // What is promised to nobody goes to those who ask.
        for window in [before, after] {
            let scene = Scene::new(&schedule, window);
            assert_eq!(scene.of_time("guest"), 0, "it was not there; {scene}");
            let scene = scene.while_all_ask(&["a", "b"])?;
            for (vm, percent) in [("a", 50), ("b", 20)] {
                let least = percent * 10_000 - TOLERANCE_PPM;
                scene.in_range(vm, scene.share(vm), least..1_000_001)?;
            }
        }
        let scene = Scene::new(&schedule, beside);
        scene.divided(&[("a", 50), ("b", 20), ("guest", 30)])
    });
}

#[test]
fn given_vms_that_take_turns_when_the_policy_becomes_guaranteed_then_each_has_its_guarantee() {
    measure(|| {
        let stage = Stage::open(
            &[
                ("a", BUSY, "guarantee = \"80%\""),
                ("b", BUSY, "guarantee = \"20%\""),
            ],
            &["--policy", "best-effort"],
        );
        let before = stage.act(1.5);
        stage.ctl(&["policy", "guaranteed"]);
        let after = stage.act(2.0);
        let (schedule, report) = stage.close();
        assert_eq!(report["policy"], "guaranteed");
        let scene = Scene::new(&schedule, before).while_all_ask(&["a", "b"])?;
        scene.in_range("a", scene.share("a"), 300_000..700_000)?;
        Scene::new(&schedule, after).divided(&[("a", 80), ("b", 20)])
    });
}

#[test]
fn given_a_recorded_run_with_changes_when_replayed_then_every_decision_is_the_same() {
    let _machine = machine_time::together();
    let record = ["--record", "journal", "--engines", "2"];
    let mut stage = Stage::open(
        &[
            ("a", BUSY, "guarantee = \"60%\""),
            ("b", "burst_ms=3 idle_ms=7", "guarantee = \"60%\""),
            ("c", BUSY, "mode = \"client\""),
        ],
        &[&record[..], &["--host-guarantee", "20%"]].concat(),
    );
    stage.ctl(&["--vm", "a", "guarantee", "30%"]);
    write_vm(stage.place(), "d", BUSY, "guarantee = \"10%\"");
    stage.ctl(&["add", "d.toml"]);
    stage.until_drawing(4);
    for policy in ["fixed", "fair", "best-effort", "guaranteed"] {
        stage.ctl(&["policy", policy]);
        stage.act(0.1);
    }
    stage.ctl(&["--vm", "b", "stop"]);
    stage.ctl(&["--vm", "a", "slice", "1ms"]);
    let journal = stage.place().join("journal");
    let kept = tempfile::tempdir().unwrap();
    let copy = kept.path().join("journal");
    stage.act(0.1);
    // The folder goes with the stage; a second name keeps the file.
    std::fs::hard_link(&journal, &copy).unwrap();
    stage.close();
    let said = rondo::simulate(kept.path(), &["replay", "journal"]).unwrap();
    assert_eq!(said.code(), Some(0), "{}{}", said.stdout, said.stderr);
    assert!(
        said.stdout.contains("every decision is the recorded one"),
        "{}",
        said.stdout
    );
}

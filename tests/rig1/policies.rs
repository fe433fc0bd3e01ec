// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What each policy makes of the same VMs, beside what `sharing.rs` shows of `guaranteed`; several engines; client VMs.

use crate::stage::{BUSY, Scene, Stage, TOLERANCE_PPM, measure, number, ppm};

/// A frame of the table of `fixed`.
const FRAME_NS: u64 = 16_000_000;

#[test]
fn given_fixed_slots_when_one_vm_sleeps_then_its_slots_stay_idle_and_the_others_get_no_more_than_theirs()
 {
    measure(|| {
        let stage = Stage::open(
            &[
                ("sleeper", "burst_ms=1 idle_ms=60000", "guarantee = \"50%\""),
                ("b", BUSY, "guarantee = \"30%\""),
                ("c", BUSY, "guarantee = \"20%\""),
            ],
            &["--policy", "fixed"],
        );
        let window = stage.act(3.0);
        let (schedule, report) = stage.close();
        let scene = Scene::new(&schedule, window).while_all_ask(&["b", "c"])?;
        for (index, vm, percent) in [(1, "b", 30), (2, "c", 20)] {
            let slot = FRAME_NS * percent / 100;
            // What is left of a slot is used only if the longest unit expected fits.
            let longest = number(&report["vms"][index], "longest_unit_ns");
            let least = ppm(slot.saturating_sub(longest), FRAME_NS);
            let range = least.saturating_sub(TOLERANCE_PPM)..percent * 10_000 + TOLERANCE_PPM;
            scene.in_range(vm, scene.of_time(vm), range)?;
        }
        scene.in_range("sleeper", scene.of_time("sleeper"), 0..TOLERANCE_PPM)
    });
}

#[test]
fn given_fair_when_two_of_three_vms_ask_then_they_divide_everything_by_weight() {
    measure(|| {
        let stage = Stage::open(
            &[
                ("sleeper", "burst_ms=1 idle_ms=60000", "guarantee = \"25%\""),
                ("b", BUSY, "guarantee = \"60%\""),
                ("c", BUSY, "guarantee = \"15%\""),
            ],
            &["--policy", "fair"],
        );
        let window = stage.act(3.0);
        let (schedule, _) = stage.close();
        Scene::new(&schedule, window).divided(&[("b", 80), ("c", 20)])
    });
}

#[test]
fn given_best_effort_when_all_vms_ask_then_nobody_starves_and_no_guarantee_counts() {
    measure(|| {
        let stage = Stage::open(
            &[
                ("a", BUSY, "guarantee = \"90%\""),
                ("b", BUSY, "guarantee = \"5%\""),
                ("c", BUSY, "guarantee = \"5%\""),
            ],
            &["--policy", "best-effort"],
        );
        let window = stage.act(3.0);
        let (schedule, _) = stage.close();
        let scene = Scene::new(&schedule, window).while_all_ask(&["a", "b", "c"])?;
        for vm in ["a", "b", "c"] {
            scene.in_range(vm, scene.share(vm), 200_000..500_000)?;
        }
        Ok(())
    });
}

#[test]
fn given_two_engines_when_two_vms_ask_then_each_has_about_a_whole_engine() {
    let cores = std::thread::available_parallelism().unwrap().get();
    if cores < 2 {
        eprintln!("skipped: this host has one core, and two engines need two");
        return;
    }
    measure(|| {
        let stage = Stage::open(
            &[
                ("a", BUSY, "guarantee = \"100%\""),
                ("b", BUSY, "guarantee = \"100%\""),
            ],
            &["--engines", "2"],
        );
        let window = stage.act(3.0);
        let (schedule, _) = stage.close();
        let scene = Scene::new(&schedule, window);
        // Two engines and two guests are four threads: whoever has no core cannot ask, and loses no more than that.
        for vm in ["a", "b"] {
            let least = scene.asked(vm).saturating_sub(2 * TOLERANCE_PPM);
            scene.in_range(vm, scene.of_time(vm), least.max(700_000)..1_000_001)?;
        }
        Ok(())
    });
}

#[test]
fn given_client_vms_beside_a_server_vm_then_they_divide_the_hosts_guarantee_and_it_keeps_its_own() {
    measure(|| {
        let stage = Stage::open(
            &[
                ("server", BUSY, "guarantee = \"60%\""),
                ("client1", BUSY, "mode = \"client\""),
                ("client2", BUSY, "mode = \"client\""),
            ],
            &["--host-guarantee", "40%"],
        );
        let window = stage.act(3.0);
        let (schedule, report) = stage.close();
        assert_eq!(report["vms"][1]["mode"], "client");
        Scene::new(&schedule, window).divided(&[("server", 60), ("client1", 20), ("client2", 20)])
    });
}

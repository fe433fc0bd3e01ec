// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What only the shipped policies know of: limits, priorities, slices, client VMs, hang timeouts. Comparators ignore it.

use rondo_simulator::contender::Contender;
use rondo_simulator::metrics::Report;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;

const SEED: u64 = 1;

fn busy(name: &str, keys: &str) -> String {
    format!(
        "[[vm]]\nname = \"{name}\"\n{keys}\nmax_unit_us = 1000\nload = {{ kind = \"backlogged\", length_us = 1000 }}\n"
    )
}

fn run(top: &str, vms: &[String], contender: Contender) -> Report {
    let text = format!("duration_ms = 4000\n{top}\n{}", vms.concat());
    let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    simulate(&scenario, contender, SEED, false).unwrap().report
}

/// Of the whole run, in percent.
fn parts(report: &Report) -> Vec<f64> {
    let part = |ns: u64| ns as f64 / 40_000_000.0;
    report.vms.iter().map(|vm| part(vm.service_ns)).collect()
}

#[test]
fn given_a_limit_then_the_vm_stays_below_it_though_the_engine_idles_and_comparators_ignore_it() {
    let vms = [busy("alone", "share_ppm = 200000\nlimit_ppm = 300000")];
    let report = run("", &vms, Contender::Guaranteed);
    let part = parts(&report)[0];
    assert!((29.5..=30.1).contains(&part), "{part} %");
    assert_eq!(report.idle_while_work_ns, 0, "its own limit keeps it away");
    assert!(parts(&run("", &vms, Contender::DrmFair))[0] > 99.9);
}

#[test]
fn given_a_high_priority_then_it_gets_what_is_lent_and_no_guarantee_is_moved() {
    let vms = [
        busy("high", "share_ppm = 100000\npriority = \"high\""),
        busy("normal", "share_ppm = 100000"),
        busy("low", "share_ppm = 100000\npriority = \"low\""),
    ];
    let got = parts(&run("", &vms, Contender::Guaranteed));
    assert!(got[0] > 79.0, "{got:?}");
    assert!(got[1] > 9.9 && got[2] > 9.9, "{got:?}");
}

#[test]
fn given_client_vms_then_they_share_the_host_partition_and_servers_keep_their_shares() {
    let vms = [
        busy("server", "share_ppm = 600000"),
        busy("client1", "mode = \"client\""),
        busy("client2", "mode = \"client\""),
    ];
    let got = parts(&run("host_share_ppm = 400000", &vms, Contender::Guaranteed));
    assert!((got[0] - 60.0).abs() < 0.5, "{got:?}");
    assert!((got[1] - 20.0).abs() < 0.5, "{got:?}");
    assert!((got[2] - 20.0).abs() < 0.5, "{got:?}");
}

#[test]
fn given_slices_then_the_engine_changes_hands_less_often() {
    let vms = |slice: u64| {
        let keys = format!("share_ppm = 500000\nslice_us = {slice}");
        [busy("a", &keys), busy("b", &keys)]
    };
    let switches = |slice| {
        let report = run("switch_cost_us = 10", &vms(slice), Contender::Guaranteed);
        report.books.switch_ns / 10_000
    };
    let (none, long) = (switches(0), switches(10_000));
    assert!(long * 5 < none, "{long} beside {none}");
}

#[test]
fn given_a_hang_timeout_then_units_beyond_it_are_killed_by_the_scheduler_and_by_the_world_alike() {
    let vms = [
        "[[vm]]\nname = \"long\"\nshare_ppm = 500000\nhang_timeout_us = 20000\nload = { kind = \"list\", requests = [[0, 30000], [500000, 15000]] }\n".to_owned(),
        busy("busy", "share_ppm = 500000"),
    ];
    for contender in [Contender::Guaranteed, Contender::RoundRobin] {
        let report = run("", &vms, contender);
        assert_eq!(report.books.reset_ns, 10_000_000, "{contender:?}");
        // 20 ms until it was killed, 10 ms of reset, and the second one whole.
        assert_eq!(report.vms[0].service_ns, 45_000_000, "{contender:?}");
        assert_eq!(report.vms[0].requests, 1, "{contender:?}");
    }
}

#[test]
fn given_a_vm_that_hangs_three_times_in_a_minute_then_it_is_locked_out_and_the_others_go_on() {
    let vms = [
        "[[vm]]\nname = \"hangs\"\nshare_ppm = 500000\nhang_timeout_us = 20000\nload = { kind = \"backlogged\", length_us = 50000 }\n".to_owned(),
        busy("busy", "share_ppm = 500000"),
    ];
    let report = run("", &vms, Contender::Guaranteed);
    assert_eq!(report.books.reset_ns, 30_000_000);
    assert_eq!(report.vms[0].service_ns, 90_000_000);
    assert_eq!(report.vms[1].service_ns, 4_000_000_000 - 90_000_000);
    assert_eq!(report.idle_while_work_ns, 0);
}

#[test]
fn given_a_load_whose_requests_are_longer_than_the_usual_timeout_then_they_do_not_count_as_hung() {
    let vms = [
        "[[vm]]\nname = \"long\"\nshare_ppm = 500000\nload = { kind = \"list\", requests = [[0, 700000]] }\n".to_owned(),
        busy("busy", "share_ppm = 500000"),
    ];
    let report = run("", &vms, Contender::Guaranteed);
    assert_eq!(report.books.reset_ns, 0);
    assert_eq!(report.vms[0].service_ns, 700_000_000);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The same seed gives the same trace on every machine and in every build: the hashes that are written here. One that
//! changes is a decision that changed; it is replaced only by somebody who knows which.

use rondo_simulator::contender::Contender;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::sweep::{Trouble, setup};

fn hash(mut scenario: Scenario, contender: Contender, seed: u64) -> String {
    scenario.duration = scenario.duration.min(2_000_000_000);
    let outcome = simulate(&scenario, contender, seed, false).unwrap();
    format!("{:016x}", outcome.trace_hash())
}

fn check(published: &[(&str, String)]) {
    let wrong: Vec<_> = published.iter().filter(|(hash, now)| hash != now).collect();
    assert!(wrong.is_empty(), "published, and now: {wrong:?}");
}

#[test]
fn given_the_scenarios_of_the_repository_then_their_traces_are_the_published_ones() {
    let of = |text: &str, contender, seed| hash(Scenario::parse(text).unwrap(), contender, seed);
    let noisy = include_str!("../scenarios/noisy-neighbours.toml");
    let frames = include_str!("../scenarios/frames.toml");
    let bursts = include_str!("../scenarios/bursts.toml");
    let focus = include_str!("../scenarios/focus-and-normal.toml");
    let switch = include_str!("../scenarios/switch-cost.toml");
    check(&[
        ("5f66a2b62ed30203", of(noisy, Contender::Guaranteed, 1)),
        ("efcde2481eb13cb4", of(frames, Contender::Guaranteed, 1)),
        (
            "cc2e7db158cbe0c8",
            hash(
                Scenario::parse_for(noisy, Some(2)).unwrap(),
                Contender::Guaranteed,
                1,
            ),
        ),
        (
            "2542b086c00d8ac2",
            hash(
                Scenario::parse_for(frames, Some(4)).unwrap(),
                Contender::Fixed,
                1,
            ),
        ),
        ("561bc642504298c5", of(bursts, Contender::Fixed, 1)),
        ("8c48a29451fcab4f", of(noisy, Contender::BestEffort, 1)),
        ("322386d34e183f19", of(focus, Contender::Guaranteed, 1)),
        ("4e875154f0d471e2", of(switch, Contender::Guaranteed, 1)),
        ("a05e9fb1260e0e99", of(frames, Contender::Eevdf, 1)),
    ]);
}

#[test]
fn given_random_set_ups_then_their_traces_are_the_published_ones() {
    let of = |seed, trouble, contender| hash(setup(seed, 1, trouble), contender, seed);
    check(&[
        (
            "459492a6e03917d8",
            of(1, Trouble::Nothing, Contender::Guaranteed),
        ),
        (
            "9122cb5fc8651b42",
            of(2530, Trouble::Nothing, Contender::Guaranteed),
        ),
        (
            "637c5b34156bd8f7",
            of(2530, Trouble::Nothing, Contender::Fair),
        ),
        (
            "4f31c0ceb9eb22c9",
            of(1728, Trouble::Nothing, Contender::NvidiaStrict),
        ),
        (
            "ba9b41d104f1cda5",
            of(6, Trouble::Hangs, Contender::Guaranteed),
        ),
        (
            "69259cdad69c0c56",
            of(7, Trouble::Learned, Contender::Guaranteed),
        ),
        (
            "cc105e36e5ff642a",
            of(8, Trouble::Liars, Contender::Guaranteed),
        ),
        (
            "b3cda0e92bd17c8b",
            of(9, Trouble::SwitchCost, Contender::Guaranteed),
        ),
    ]);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rig 1: the `rondo` command with its bare-metal guest, on this machine's own KVM, as a user runs it.

mod changing;
mod drawing;
mod machine_time;
mod policies;
mod sharing;
mod stage;
mod stopping;
mod terminal;
mod tracing;
mod user_mistakes;

use std::path::Path;

use rondo_tests::rondo::{self, Ended};

/// The kernel that `rondo` carries inside.
const GUEST: &str = "builtin:demo";

/// Runs one VM with the built-in guest and this command line until it ends.
fn run_guest(place: &Path, cmdline: &str, flags: &[&str]) -> Ended {
    let mut arguments = vec!["run", "--kernel", GUEST, "--cmdline", cmdline];
    arguments.extend_from_slice(flags);
    rondo::run(place, &arguments).unwrap()
}

/// Asserts that a run ended well and that its guest found nothing wrong.
#[track_caller]
fn assert_went_well(ended: &Ended) {
    assert_eq!(ended.code(), Some(0), "rondo said: {}", ended.stderr);
    assert!(
        !ended.stdout.contains("error="),
        "the guest said: {}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("rondo-guest: bye"),
        "the guest said: {}",
        ended.stdout
    );
}

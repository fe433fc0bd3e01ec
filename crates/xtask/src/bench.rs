// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask bench`: measurements, told with the machine, the versions and the commands that they come from.
//!
//! A benchmark judges nothing and fails no build: it reports what it measured, reached goals and missed ones alike.

mod artifacts;
mod build;
mod contender;
mod document;
mod guest_line;
mod guest_run;
mod load;
mod machine;
mod memcpy;
mod profile;
mod quantity;
mod report;
mod resident;
mod scheduler;
mod statistics;
mod vmm;

use anyhow::Result;
use clap::{Args, Subcommand};

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    /// The VMM and its virtio-gpu beside QEMU's: the same guest program, in turns, medians and ratios.
    Vmm(vmm::Options),
    /// The scheduler: what it costs, what it keeps in real time, what it gives in simulation, beside the goals.
    Scheduler(scheduler::Options),
}

/// Measures.
///
/// # Errors
/// When something that is measured or measured with is missing or fails.
pub fn run(options: &Options) -> Result<()> {
    match &options.subject {
        Subject::Vmm(options) => vmm::run(options),
        Subject::Scheduler(options) => scheduler::run(options),
    }
}

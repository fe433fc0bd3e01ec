// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask`: the chores of this workspace, one file for each subcommand.

mod apt;
mod bench;
mod closing_line;
mod mutants;
mod prepare;
mod programs;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of the Rondo workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Brings what the tests need: QEMU, guest kernels, guest programs. What is there already is left alone.
    Prepare,
    /// Measures, and writes down what was measured.
    Bench(bench::Options),
    /// Breaks the scheduler on purpose, and demands that tests notice.
    Mutants(mutants::Options),
    /// Runs every test: units and properties, then rig 1 (bare-metal guests), then rig 2 (stock Linux guests).
    Test(test::Options),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().chore {
        Chore::Prepare => prepare::run(),
        Chore::Bench(options) => bench::run(&options),
        Chore::Mutants(options) => mutants::run(&options),
        Chore::Test(options) => test::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

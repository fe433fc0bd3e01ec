// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask test`: everything that says whether this workspace keeps its promises, in one command.
//!
//! Every step runs even when an earlier one failed, so that one run tells all. A rig that the machine cannot offer is a loud message that
//! names the remedy; where `CI=true` it is a failure.

use std::env;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use rondo_tests::lab::{target_folder, workspace_root};
use rondo_tests::machine;

use crate::closing_line::Counts;
use crate::{closing_line, prepare, programs};

/// What to run.
#[derive(Debug, Args)]
pub struct Options {
    /// Run this rig alone: 1 (bare-metal guests on KVM) or 2 (stock Linux guests).
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=2))]
    rig: Option<u8>,
    /// Leave rig 2 out.
    #[arg(long, conflicts_with = "rig")]
    fast: bool,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Course {
    counts: Counts,
    rigs: Vec<String>,
    missing: Vec<String>,
    failed: Vec<&'static str>,
}

/// Prepares, builds and tests.
///
/// # Errors
/// When a step fails, or, where `CI=true`, a rig is missing.
pub fn run(options: &Options) -> Result<()> {
    let mut course = Course::default();
    let with_units = options.rig.is_none();
    let with_rig = |rig: u8| {
        options
            .rig
            .map_or(rig == 1 || !options.fast, |only| only == rig)
    };

    let prepared = if with_rig(2) { prepare::run() } else { Ok(()) };
    // Rig 1 runs both: what `rondo` records the simulator replays.
    let programs = ["--package", "rondo", "--package", "rondo-simulator"];
    programs::run(cargo().args(["build", "--release"]).args(programs))?;
    if with_units {
        units(&mut course)?;
    }
    if with_rig(1) {
        let rig = machine::rig_1().map_err(|remedy| remedy.to_string());
        rig_tests("rig 1", "rig1", rig, &mut course)?;
    }
    if with_rig(2) {
        let rig = prepared
            .map_err(|error| format!("{error:#}"))
            .and_then(|()| machine::rig_2().map_err(|e| e.to_string()));
        rig_tests("rig 2", "rig2", rig, &mut course)?;
    }
    conclude(&course, options.rig.is_some())
}

/// Unit tests, property tests and documentation examples of every crate, and the harness's own tests.
fn units(course: &mut Course) -> Result<()> {
    let workspace = ["--workspace", "--exclude", "rondo-tests", "--no-fail-fast"];
    let mut command = cargo();
    if programs::exists("cargo-nextest") {
        // nextest runs no documentation examples: they follow on their own.
        step(
            "unit tests",
            command.args(["nextest", "run"]).args(workspace),
            course,
        )?;
        step(
            "documentation examples",
            cargo().args(["test", "--doc"]).args(workspace),
            course,
        )?;
    } else {
        step("unit tests", command.arg("test").args(workspace), course)?;
    }
    step(
        "tests of the harness",
        cargo().args(["test", "--package", "rondo-tests", "--lib"]),
        course,
    )
}

fn rig_tests(
    name: &'static str,
    target: &str,
    rig: Result<String, String>,
    course: &mut Course,
) -> Result<()> {
    match rig {
        Ok(description) => {
            println!("\n==> {name}: {description}");
            course.rigs.push(format!("{name} ({description})"));
            step(
                name,
                cargo().args([
                    "test",
                    "--no-fail-fast",
                    "--package",
                    "rondo-tests",
                    "--test",
                    target,
                ]),
                course,
            )
        }
        Err(remedy) => {
            eprintln!("\n!!! {name} IS MISSING, ITS TESTS DID NOT RUN: {remedy}\n");
            course.missing.push(format!("{name}: {remedy}"));
            Ok(())
        }
    }
}

fn step(name: &'static str, command: &mut Command, course: &mut Course) -> Result<()> {
    println!("\n==> {name}");
    let (counts, succeeded) = closing_line::run(command)?;
    course.counts += counts;
    if !succeeded {
        course.failed.push(name);
    }
    Ok(())
}

/// Says what was used, what was missing and how it went, the count of tests last.
fn conclude(course: &Course, asked_for_rig: bool) -> Result<()> {
    let rigs = if course.rigs.is_empty() {
        "none".to_owned()
    } else {
        course.rigs.join(", ")
    };
    println!("\nrigs used: {rigs}");
    for missing in &course.missing {
        println!("rig missing: {missing}");
    }
    let ci = env::var("CI").is_ok_and(|value| value == "true");
    let verdict = if !course.failed.is_empty() {
        Err(format!("failed: {}", course.failed.join(", ")))
    } else if (ci || asked_for_rig) && !course.missing.is_empty() {
        Err("a rig that was asked for is missing (CI=true asks for all)".to_owned())
    } else {
        Ok(())
    };
    println!(
        "tests: {} passed, {} failed",
        course.counts.passed, course.counts.failed
    );
    match verdict {
        Ok(()) => Ok(()),
        Err(reason) => bail!("{reason}"),
    }
}

/// Cargo, in the root of the workspace, as rigs and tests expect to find things.
fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let target = target_folder();
    command
        .current_dir(workspace_root())
        .env("RONDO_BIN", target.join("release/rondo"))
        .env("CARGO_TARGET_DIR", target);
    command
}

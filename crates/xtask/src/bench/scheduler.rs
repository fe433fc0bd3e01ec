// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask bench scheduler`: every number that the scheduler is held to, beside its goal.
//!
//! The program that measures is `crates/bench`, built in release mode; here it is started, and the machine is told.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rondo_tests::lab::workspace_root;

use super::build;
use super::document;
use super::machine::{self, Machine};

/// How to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Measure this alone, as often as it is given; the document is then left as it is.
    #[arg(long, value_enum)]
    section: Vec<Section>,
    /// Random adversarial set-ups in the simulation.
    #[arg(long, default_value_t = 10_000)]
    setups: u64,
    /// Where the report goes too.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The document whose marked part is written anew [default: docs/benchmarks.md].
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

/// A part of the report, named as the program names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    /// What a decision costs, from few VMs to many.
    Decisions,
    /// Ten thousand VMs that come and go: tails and memory.
    Scale,
    /// From one VM's last unit to the next one's first, with real threads.
    HandOver,
    /// Shares and waits, with real threads.
    Shares,
    /// What the scheduling log costs.
    Log,
    /// What only simulated time can gate.
    Simulation,
}

/// Above this load average over one minute a machine is not idle.
const IDLE: f64 = 0.5;

/// Measures, prints, writes.
///
/// # Errors
/// When the program does not build or fails, or something cannot be written.
pub fn run(options: &Options) -> Result<()> {
    // Before the compiler makes the machine busy.
    let machine = Machine::here();
    let program = build_program()?;
    let mut command = Command::new(program);
    command.args(["--setups", &options.setups.to_string()]);
    for section in &options.section {
        let name = section.to_possible_value();
        let name = name.as_ref().map_or("", |value| value.get_name());
        command.args(["--section", name]);
    }
    let measured = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the program that measures")?;
    if !measured.status.success() {
        bail!(
            "the program that measures ended with {}; what it said is above",
            measured.status
        );
    }
    let report = format!(
        "{}\n{}",
        circumstances(&machine),
        String::from_utf8_lossy(&measured.stdout)
    );
    println!("{report}");
    if let Some(out) = &options.out {
        fs::write(out, &report).with_context(|| format!("cannot write {}", out.display()))?;
        println!("written: {}", out.display());
    }
    if options.section.is_empty() {
        let document = options
            .document
            .clone()
            .unwrap_or_else(|| workspace_root().join("docs/benchmarks.md"));
        document::write_parts(&document, [("scheduler", report.as_str())])?;
        println!("written: {}", document.display());
    }
    Ok(())
}

/// Builds the program in release mode, and tells where it is.
fn build_program() -> Result<PathBuf> {
    executable(&build::release("rondo-bench")?)
        .context("cargo did not say where it put the program that measures")
}

/// Finds the program in Cargo's messages, one JSON object a line.
fn executable(messages: &str) -> Option<PathBuf> {
    build::objects(messages).find_map(|message| {
        let ours = message["target"]["name"] == "rondo-bench";
        let executable = message["executable"].as_str().filter(|_| ours)?;
        Some(PathBuf::from(executable))
    })
}

/// When and where.
fn circumstances(machine: &Machine) -> String {
    let warning = if is_idle(&machine.load_before) {
        ""
    } else {
        " **The machine was not idle when this began.**"
    };
    format!(
        "Measured {} on {} cores of {}, {} of memory, {}; load averages {} before and {} after; commit {}, {}.{warning}\n",
        machine.date,
        machine.cores,
        machine.processor,
        machine.memory,
        machine.kernel,
        machine.load_before,
        machine::load_averages(),
        machine.revision,
        machine.compiler,
    )
}

fn is_idle(load_averages: &str) -> bool {
    let last_minute = load_averages.split_whitespace().next();
    last_minute
        .and_then(|average| average.parse::<f64>().ok())
        .is_some_and(|average| average <= IDLE)
}

#[cfg(test)]
mod tests {
    use super::{executable, is_idle};

    #[test]
    fn given_cargos_messages_when_read_then_the_program_is_found() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/t/other"}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"rondo-bench"},"executable":"/t/rondo-bench"}"#,
            "\n",
        );
        assert_eq!(executable(messages), Some("/t/rondo-bench".into()));
        assert_eq!(executable("{}"), None);
    }

    #[test]
    fn given_load_averages_when_the_last_minute_was_busy_then_the_machine_is_not_idle() {
        assert!(is_idle("0.10 3.00 3.00"));
        assert!(!is_idle("0.60 0.10 0.10"));
        assert!(!is_idle("?"));
    }
}

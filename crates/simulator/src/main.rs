// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The command line of the simulator.
//!
//! Exit codes: 0 done, 1 a file could not be read or written, 2 the scenario or the command line is wrong.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rondo_simulator::contender::Contender;
use rondo_simulator::metrics::Report;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::{compare, sweep};

/// Runs GPU schedulers in simulated time.
#[derive(Debug, Parser)]
#[command(name = "rondo-simulator", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a scenario under one policy.
    Run {
        /// The scenario, a TOML file.
        scenario: PathBuf,
        /// Who decides.
        #[arg(long)]
        policy: Contender,
        /// Where the random loads start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Writes each interval of the engine's time as CSV.
        #[arg(long, value_name = "OUT.csv")]
        trace: Option<PathBuf>,
        /// Writes the numbers as JSON.
        #[arg(long, value_name = "OUT.json")]
        json: Option<PathBuf>,
    },
    /// Runs a scenario under every policy and comparator, and prints one table.
    Compare {
        /// The scenario, a TOML file.
        scenario: PathBuf,
        /// Where the random loads start.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Runs random adversarial set-ups under everybody: who breaks `c/share + L + switch`, how often, how badly.
    Sweep {
        /// How many set-ups.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        setups: u64,
        /// The seed of the first set-up; each next has the next one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// What ends the program early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read {}: {error}", .path.display())]
    Read {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("cannot write {}: {error}", .path.display())]
    Write {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("{}: the policy refuses a VM: {error}", .path.display())]
    Refused {
        path: PathBuf,
        error: rondo_scheduler::SchedulerError,
    },
    #[error("{}: {error}", .path.display())]
    Scenario {
        path: PathBuf,
        error: rondo_simulator::scenario::ScenarioError,
    },
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. } | Self::Write { .. } => 1,
            Self::Scenario { .. } | Self::Refused { .. } => 2,
        }
    }
}

fn main() -> ExitCode {
    match execute(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("rondo-simulator: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run {
            scenario,
            policy,
            seed,
            trace,
            json,
        } => {
            let read = read(&scenario)?;
            let outcome = simulate(&read, policy, seed, trace.is_some()).map_err(|error| {
                Failure::Refused {
                    path: scenario.clone(),
                    error,
                }
            })?;
            if let Some(path) = &trace {
                write(path, outcome.traces[0].text())?;
            }
            let hash = format!("{:016x}", outcome.trace_hash());
            if let Some(path) = &json {
                let report = serde_json::json!({
                    "scenario": scenario.display().to_string(),
                    "policy": policy.name(),
                    "seed": seed,
                    "duration_ns": read.duration,
                    "trace_hash": hash,
                    "report": outcome.report,
                });
                write(path, &format!("{report:#}\n"))?;
            }
            print_run(policy, seed, &hash, &outcome.report);
        }
        Command::Compare { scenario, seed } => {
            print!("{}", compare::table(&read(&scenario)?, seed))
        }
        Command::Sweep { setups, seed } => print!("{}", sweep::table(setups, seed)),
    }
    Ok(())
}

fn read(path: &Path) -> Result<Scenario, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::Read {
        path: path.to_owned(),
        error,
    })?;
    Scenario::parse(&text).map_err(|error| Failure::Scenario {
        path: path.to_owned(),
        error,
    })
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    fs::write(path, text).map_err(|error| Failure::Write {
        path: path.to_owned(),
        error,
    })
}

fn print_run(policy: Contender, seed: u64, hash: &str, report: &Report) {
    let ms = |ns: u64| ns as f64 / 1e6;
    let books = report.books;
    println!("policy {}, seed {seed}, trace {hash}", policy.name());
    println!(
        "busy {:.3} ms, switch {:.3} ms, idle {:.3} ms ({:.3} ms of it with work waiting), reset {:.3} ms",
        ms(books.busy_ns),
        ms(books.switch_ns),
        ms(books.idle_ns),
        ms(report.idle_while_work_ns),
        ms(books.reset_ns)
    );
    println!(
        "share error {:.4} %, weighted Jain {:.6}, lag {:.3} L, L {:.3} ms\n",
        report.share_error_percent,
        report.weighted_jain,
        report.lag_in_l,
        ms(report.longest_unit_ns)
    );
    println!(
        "| VM | share % | service ms | fluid ms | lag L | requests | p50 ms | p99 ms | p99.9 ms | max ms | late | worst of bound |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|");
    for vm in &report.vms {
        let late = vm
            .late
            .map_or_else(|| "-".to_owned(), |late| late.to_string());
        let worst = vm
            .worst_of_bound
            .map_or_else(|| "-".to_owned(), |worst| format!("{worst:.3}"));
        println!(
            "| {} | {:.2} | {:.3} | {:.3} | {:.2} | {} | {:.3} | {:.3} | {:.3} | {:.3} | {late} | {worst} |",
            vm.name,
            f64::from(vm.share_ppm) / 1e4,
            ms(vm.service_ns),
            ms(vm.fluid_ns),
            vm.lag_in_l,
            vm.requests,
            ms(vm.latency_p50_ns),
            ms(vm.latency_p99_ns),
            ms(vm.latency_p999_ns),
            ms(vm.latency_max_ns)
        );
    }
}

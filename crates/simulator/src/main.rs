// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The command line of the simulator.
//!
//! Exit codes: 0 done, 1 a file could not be read or written or a replay differs, 2 the scenario, the journal or the command
//! line is wrong.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use rondo_scheduler::journal::{Journal, JournalError};
use rondo_simulator::contender::Contender;
use rondo_simulator::replay::replay;
use rondo_simulator::scenario::Scenario;
use rondo_simulator::simulation::simulate;
use rondo_simulator::sweep::{Sweep, Trouble};
use rondo_simulator::{compare, plots, run_table};

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
        /// How many engines, instead of what the scenario says.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
        engines: Option<u16>,
        /// Writes each interval of the engine's time as CSV; of several engines, the second one's as OUT.1.csv, and so on.
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
        /// How many engines, instead of what the scenario says.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
        engines: Option<u16>,
    },
    /// Runs random adversarial set-ups under everybody: who breaks `c/share + L + switch`, how often, how badly.
    Sweep {
        /// How many set-ups.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
        setups: u64,
        /// The seed of the first set-up; each next has the next one.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many engines; on several only the shipped policies run.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
        engines: u16,
        /// What goes wrong in the set-ups.
        #[arg(long, value_name = "TROUBLE")]
        with: Option<Trouble>,
    },
    /// Draws the pictures of the documentation, the same bytes each time.
    Plot {
        /// The folder to write to; it is made if it is missing.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
    },
    /// Feeds the journal of a recorded run to a fresh scheduler: does it decide as it did then?
    Replay {
        /// The journal, as `rondo run --record` writes it.
        journal: PathBuf,
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
    #[error("{}: {error}", .path.display())]
    Journal { path: PathBuf, error: JournalError },
    #[error("{}: no scheduler can be made as the header says: {error}", .path.display())]
    Header {
        path: PathBuf,
        error: rondo_scheduler::SchedulerError,
    },
    #[error("{} drives one engine: choose a policy that Rondo ships, or one engine", .policy.name())]
    OneEngine { policy: Contender },
    #[error("{name} cannot be drawn: {error}")]
    Drawing {
        name: &'static str,
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{}: the scheduler decides otherwise now", .path.display())]
    Difference { path: PathBuf },
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Read { .. }
            | Self::Write { .. }
            | Self::Difference { .. }
            | Self::Drawing { .. } => 1,
            Self::Scenario { .. }
            | Self::Refused { .. }
            | Self::Journal { .. }
            | Self::Header { .. }
            | Self::OneEngine { .. } => 2,
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
            engines,
            trace,
            json,
        } => {
            let read = read(&scenario, engines)?;
            if read.engines > 1 && policy.policy().is_none() {
                return Err(Failure::OneEngine { policy });
            }
            let outcome = simulate(&read, policy, seed, trace.is_some()).map_err(|error| {
                Failure::Refused {
                    path: scenario.clone(),
                    error,
                }
            })?;
            if let Some(path) = &trace {
                for (engine, trace) in outcome.traces.iter().enumerate() {
                    write(&of_engine(path, engine), trace.text())?;
                }
            }
            let hash = format!("{:016x}", outcome.trace_hash());
            if let Some(path) = &json {
                let report = serde_json::json!({
                    "scenario": scenario.display().to_string(),
                    "policy": policy.name(),
                    "seed": seed,
                    "duration_ns": read.duration,
                    "engines": read.engines,
                    "trace_hash": hash,
                    "report": outcome.report,
                });
                write(path, &format!("{report:#}\n"))?;
            }
            println!("policy {}, seed {seed}, trace {hash}", policy.name());
            print!("{}", run_table::text(&outcome.report));
        }
        Command::Compare {
            scenario,
            seed,
            engines,
        } => print!("{}", compare::table(&read(&scenario, engines)?, seed)),
        Command::Sweep {
            setups,
            seed,
            engines,
            with,
        } => {
            let sweep = Sweep {
                setups,
                seed,
                engines,
                trouble: with.unwrap_or_default(),
            };
            print!("{}", sweep.table());
        }
        Command::Plot { out } => {
            fs::create_dir_all(&out).map_err(|error| Failure::Write {
                path: out.clone(),
                error,
            })?;
            for (name, draw) in plots::ALL {
                let svg = draw().map_err(|error| Failure::Drawing { name, error })?;
                let path = out.join(name);
                write(&path, &svg)?;
                println!("{}", path.display());
            }
        }
        Command::Replay { journal } => {
            let bytes = fs::read(&journal).map_err(|error| Failure::Read {
                path: journal.clone(),
                error,
            })?;
            let wrong = |error| Failure::Journal {
                path: journal.clone(),
                error,
            };
            let parsed = Journal::parse(&String::from_utf8_lossy(&bytes)).map_err(wrong)?;
            let replayed = replay(&parsed).map_err(|error| Failure::Header {
                path: journal.clone(),
                error,
            })?;
            print!("{replayed}");
            if replayed.difference.is_some() {
                return Err(Failure::Difference { path: journal });
            }
        }
    }
    Ok(())
}

/// The trace of the first engine has the name that was asked for.
fn of_engine(path: &Path, engine: usize) -> PathBuf {
    if engine == 0 {
        return path.to_owned();
    }
    let extension = path.extension().map_or_else(String::new, |extension| {
        format!(".{}", extension.to_string_lossy())
    });
    path.with_extension(format!("{engine}{extension}"))
}

fn read(path: &Path, engines: Option<u16>) -> Result<Scenario, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::Read {
        path: path.to_owned(),
        error,
    })?;
    Scenario::parse_for(&text, engines).map_err(|error| Failure::Scenario {
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

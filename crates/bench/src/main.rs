// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Measures the scheduler: what it costs, what it keeps in real time, and what it gives in simulation.
//!
//! `cargo xtask bench scheduler` builds this program in release mode, starts it, and says on which machine it ran. It uses the other
//! crates' public interfaces only, and judges nothing: it says which goals were reached and which were missed. Markdown goes to
//! standard output, progress to standard error.

mod affinity;
mod clock;
mod counting_allocator;
mod decision;
mod futex;
mod gpu;
mod hand_over;
mod jitter;
mod log_cost;
mod memory;
mod others;
mod random;
mod report;
mod scale;
mod shares;
mod simulation;
mod statistics;
mod sweep;
mod world;

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use counting_allocator::CountingAllocator;
use others::Watch;
use report::Section;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// Measures the scheduler.
#[derive(Debug, Parser)]
#[command(name = "rondo-bench", version)]
struct Arguments {
    /// Measure this alone, as often as it is given; all of it otherwise.
    #[arg(long, value_enum)]
    section: Vec<Part>,
    /// Random adversarial set-ups in the simulation.
    #[arg(long, default_value_t = 10_000)]
    setups: u64,
}

/// A part of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
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

impl Part {
    fn measure(self, setups: u64) -> Result<Section, String> {
        let watch = Watch::new();
        let mut section = match self {
            Self::Decisions => decision::section().map_err(|error| error.to_string()),
            Self::Scale => scale::section(),
            Self::HandOver => hand_over::section().map_err(|error| error.to_string()),
            Self::Shares => shares::section().map_err(|error| error.to_string()),
            Self::Log => log_cost::section().map_err(|error| error.to_string()),
            // Nothing in it depends on the host.
            Self::Simulation => return simulation::section(setups),
        }?;
        section.say(watch.others().sentence());
        Ok(section)
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let parts = if arguments.section.is_empty() {
        Part::value_variants()
    } else {
        &arguments.section
    };
    let mut sections = Vec::new();
    for part in parts {
        match part.measure(arguments.setups) {
            Ok(section) => sections.push(section),
            Err(error) => {
                eprintln!("rondo-bench: {part:?}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", report::summary(&sections));
    let details: Vec<String> = sections.iter().map(Section::markdown).collect();
    print!("{}", details.join("\n"));
    ExitCode::SUCCESS
}

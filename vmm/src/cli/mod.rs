// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `rondo` command: what can be typed, and how it ends.

mod ctl;
mod demo;
mod exit;
mod run;

use clap::{Parser, Subcommand, ValueEnum};
use rondo_scheduler::Policy;

/// Prints a line, and lets go of what nobody reads: a closed or full standard output is no reason to end VMs, and what counts
/// is the exit code.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout().lock(), $($text)*);
    }};
}
use say;

pub use ctl::CtlArgs;
pub use demo::DemoArgs;
pub use exit::{Failure, exit_code};
pub use run::RunArgs;

/// MicroVMs that share one GPU, each with a guaranteed slice of its time
#[derive(Debug, Parser)]
#[command(name = "rondo", version, propagate_version = true)]
pub struct Cli {
    /// Say more: -v for events, -vv for details, -vvv for everything
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `rondo` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run VMs until their guests end
    Run(Box<RunArgs>),
    /// Show the guarantee: VMs that each want the whole GPU, each getting its share
    Demo(DemoArgs),
    /// Ask a running `rondo run --control SOCKET`: resize, screenshot, guarantee, report
    Ctl(CtlArgs),
}

/// How the GPU is shared between VMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PolicyChoice {
    /// Each VM has its guarantee whenever it has work; idle time is lent
    #[default]
    Guaranteed,
    /// The VMs that have work divide all of the GPU, in proportion to their guarantees
    Fair,
    /// The VMs that have work take turns; no share is promised
    BestEffort,
}

impl PolicyChoice {
    /// The scheduler's policy.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::Guaranteed => Policy::Guaranteed,
            Self::Fair => Policy::Fair,
            Self::BestEffort => Policy::BestEffort,
        }
    }

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "guaranteed",
            Self::Fair => "fair",
            Self::BestEffort => "best-effort",
        }
    }
}

impl Cli {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Why it could not be done, or how a guest died.
    pub fn execute(self) -> Result<(), Failure> {
        match self.command {
            Command::Run(args) => args.execute(),
            Command::Demo(args) => args.execute(),
            Command::Ctl(args) => args.execute(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

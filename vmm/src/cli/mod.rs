// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `rondo` command: what can be typed, and how it ends.

mod ctl;
mod demo;
mod exit;
mod run;
mod verdict;

use clap::{Parser, Subcommand};

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
    /// Ask a running `rondo run --control SOCKET`: change shares, add and stop VMs, resize, screenshot, report
    Ctl(CtlArgs),
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

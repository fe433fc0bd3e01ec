// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `rondo` command.

use std::process::ExitCode;

use clap::Parser;
use log::LevelFilter;
use rondo::cli::{Cli, exit_code};
use rondo::terminal;

/// How the software GPU's worker threads are called.
const WORKER_THREADS: &str = "gpu-vm-";

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging(cli.verbose);
    leave_loudly();
    exit_code(cli.execute())
}

/// Warnings only, more with each `-v`; `RUST_LOG` is not consulted, so that a run is what its command line says.
fn start_logging(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    env_logger::Builder::new().filter_level(level).init();
}

/// A panic is a bug of ours: the terminal is given back and the process ends, rather than go on with a device that nobody
/// serves. A GPU worker's is let be: it costs its VM the GPU, and nobody else.
fn leave_loudly() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let worker = std::thread::current()
            .name()
            .is_some_and(|name| name.starts_with(WORKER_THREADS));
        if worker {
            report(panic);
            return;
        }
        terminal::restore();
        report(panic);
        std::process::abort();
    }));
}

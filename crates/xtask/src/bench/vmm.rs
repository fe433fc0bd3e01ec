// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask bench vmm`: `rondo` and QEMU in turns, A B A B, on the same guest and the same loads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rondo_tests::lab::{target_folder, workspace_root};

use super::artifacts::Artifacts;
use super::contender::{Contender, DISPLAY, Stable};
use super::load::Load;
use super::machine::{self, Machine};
use super::quantity::Quantity;
use super::report::{Report, Row};
use super::{contender, memcpy, profile};

/// How to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// How often each load runs under each VMM.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Measure this load alone, as often as it is given; the document is then left as it is.
    #[arg(long, value_enum)]
    load: Vec<Load>,
    /// Also say where the time goes, by sampling both VMMs with perf.
    #[arg(long)]
    profile: bool,
    /// Where all samples go [default: bench-vmm.json in the target folder].
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The document whose marked parts are written anew [default: docs/benchmarks.md].
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
}

/// Samples of each quantity of each contender.
#[derive(Debug, Default)]
pub struct Measured {
    samples: BTreeMap<(Quantity, Contender), Vec<f64>>,
    /// Frames a second that one thread copies, one sample a round.
    pub memcpy: Vec<f64>,
}

impl Measured {
    /// The samples of one quantity of one contender.
    pub fn of(&self, quantity: Quantity, contender: Contender) -> &[f64] {
        self.samples
            .get(&(quantity, contender))
            .map_or(&[], Vec::as_slice)
    }
}

/// Measures, prints, writes.
///
/// # Errors
/// When something is missing (the message says what to do about it) or fails.
pub fn run(options: &Options) -> Result<()> {
    contender::check()?;
    if options.profile {
        profile::check()?;
    }
    let stable = Stable::new(Artifacts::build()?);
    let loads = if options.load.is_empty() {
        Load::ALL.to_vec()
    } else {
        options.load.clone()
    };
    let machine = Machine::here();
    let measured = measure(&stable, &loads, options.rounds)?;
    let report = Report {
        machine,
        load_after: machine::load_averages(),
        rondo: stable.version(Contender::Rondo)?,
        qemu: stable.version(Contender::Qemu)?,
        rounds: options.rounds,
        commands: report_commands(&stable, &loads),
        rows: Quantity::ALL
            .into_iter()
            .filter_map(|quantity| Row::new(quantity, &measured))
            .collect(),
        memcpy_frames_per_second: measured.memcpy,
    };
    println!("{}", report.markdown());
    let json = options
        .json
        .clone()
        .unwrap_or_else(|| target_folder().join("bench-vmm.json"));
    report.write_json(&json)?;

    let profiled = if options.profile {
        let text = format!(
            "{}\n{}",
            Machine::here().sampled(),
            profile::markdown(&stable, &loads)?
        );
        println!("{text}");
        Some(text)
    } else {
        None
    };
    if options.load.is_empty() {
        let document = options
            .document
            .clone()
            .unwrap_or_else(|| workspace_root().join("docs/benchmarks.md"));
        report.write_document(&document, profiled.as_deref())?;
        println!("written: {}, {}", document.display(), json.display());
    } else {
        println!("written: {}", json.display());
    }
    Ok(())
}

fn measure(stable: &Stable, loads: &[Load], rounds: u32) -> Result<Measured> {
    let mut measured = Measured::default();
    let frame_bytes = DISPLAY.0 as usize * DISPLAY.1 as usize * 4;
    for round in 1..=rounds {
        for &load in loads {
            eprintln!("round {round} of {rounds}: {}", load.title());
            for contender in Contender::BOTH {
                for (quantity, sample) in load.measure(stable, contender)? {
                    let samples = measured.samples.entry((quantity, contender));
                    samples.or_default().push(sample);
                }
            }
            if load == Load::Frames {
                measured.memcpy.push(memcpy::frames_per_second(frame_bytes));
            }
        }
    }
    Ok(measured)
}

/// Both commands with `LOAD` in the place of the guest's command line, then the loads.
fn report_commands(stable: &Stable, loads: &[Load]) -> Vec<String> {
    let command = |contender| contender::shown(&stable.command(contender, "LOAD"));
    let load = |load: &Load| format!("LOAD of {}: {}", load.title(), load.words(1));
    Contender::BOTH
        .into_iter()
        .map(command)
        .chain(loads.iter().map(load))
        .collect()
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `rondo demo`: VMs that each want the whole GPU, a live table of what each gets, and a verdict.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::verdict::{judge, percent};
use super::{Failure, say};
use crate::config::{
    GpuChoice, Share, Sharing, SharingOptions, VmOptions, VmSpec, share_guarantees,
};
use crate::report::{Measurement, Report, VmAccount};
use crate::session::{Console, Ending, Plan, Session};
use crate::vm::VmOutcome;

/// `rondo demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// One VM for each share, in percent of an engine
    #[arg(
        long,
        value_name = "SHARES",
        value_delimiter = ',',
        default_value = "75,25"
    )]
    guarantee: Vec<Share>,
    /// How long to measure
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    #[command(flatten)]
    sharing: SharingOptions,
    /// Folder for the last picture of each VM
    #[arg(long, value_name = "DIR")]
    screenshot: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, value_name = "REPORT.json")]
    json: Option<PathBuf>,
    /// Write who had the GPU when, for the Perfetto UI (ui.perfetto.dev)
    #[arg(long, value_name = "TRACE.pftrace")]
    trace: Option<PathBuf>,
    /// Write each event that the scheduler is told and each of its answers, for `rondo-simulator replay`
    #[arg(long, value_name = "JOURNAL")]
    record: Option<PathBuf>,
}

/// How long the guests may take to draw their first pictures, before the measurement starts.
const WARM_UP: Duration = Duration::from_secs(30);

impl DemoArgs {
    /// Runs the demo.
    ///
    /// # Errors
    /// The VMs cannot run here, a guest died, a share was not kept, or a result cannot be written.
    pub fn execute(self) -> Result<(), Failure> {
        let sharing = (self.sharing.clone().resolve()).map_err(Failure::Usage)?;
        let vms = self.specs()?;
        // There is no file that could promise too much: it was the command line.
        share_guarantees(&vms, &sharing).map_err(|error| Failure::Usage(error.to_string()))?;
        if let Some(folder) = &self.screenshot {
            std::fs::create_dir_all(folder).map_err(|source| Failure::Write {
                path: folder.clone(),
                source,
            })?;
        }
        let mut session = Session::launch(Plan {
            sharing,
            vms,
            console: Console::Log,
            control: None,
            trace: self.trace.clone(),
            record: self.record.clone(),
        })?;

        session.wait_for_first_frames(WARM_UP)?;
        let start = session.measure();
        say!("{}", TABLE_HEADER);
        let mut before = start.clone();
        let ending = session.wait(Some(Duration::from_secs(self.seconds)), &mut |session| {
            let now = session.measure();
            print_rows(&sharing, &before, &now);
            before = now;
        })?;
        let end = session.measure();
        let accounts = difference(&start, &end);
        let elapsed = end.at_ns.saturating_sub(start.at_ns);
        let report = Report::new(sharing.policy.name(), sharing.engines, elapsed, &accounts);
        let finished = session.finish();

        if let Some(path) = &self.json {
            report.write(path).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
        }
        match ending {
            Ending::TimedOut => judge(sharing.policy, &report, &accounts)?,
            Ending::Interrupted => {}
            Ending::AllEnded => return Err(early_end(finished.outcomes)),
        }
        finished.written
    }

    fn specs(&self) -> Result<Vec<VmSpec>, Failure> {
        if self.guarantee.is_empty() || self.guarantee.len() > 16 {
            return Err(Failure::Usage(
                "--guarantee takes 1 to 16 shares, like 75,25".to_owned(),
            ));
        }
        if let Some(zero) = self.guarantee.iter().find(|share| share.0 == 0) {
            return Err(Failure::Usage(format!(
                "a VM with a guarantee of {zero} cannot show it; give each more than 0%"
            )));
        }
        self.guarantee
            .iter()
            .enumerate()
            .map(|(index, share)| {
                let name = format!("vm{}", index + 1);
                let options = VmOptions {
                    kernel: Some(crate::config::BUILTIN_DEMO.into()),
                    cmdline: Some(format!(
                        "name={name}-{share} depth=64 batch=8 repaint_ms=16"
                    )),
                    memory: Some(crate::config::Bytes(64 << 20)),
                    gpu: Some(
                        format!("width=2560,height=1440,guarantee={share}")
                            .parse::<GpuChoice>()
                            .map_err(Failure::Usage)?,
                    ),
                    screenshot: self
                        .screenshot
                        .as_ref()
                        .map(|folder| folder.join(format!("{name}.png"))),
                    ..VmOptions::default()
                };
                Ok(options.resolve(&name)?)
            })
            .collect()
    }
}

/// What was used between two instants. Longest units and waits are those of the whole run.
fn difference(start: &Measurement, end: &Measurement) -> Vec<VmAccount> {
    start
        .accounts
        .iter()
        .zip(&end.accounts)
        .map(|(start, end)| {
            let mut account = end.clone();
            account.used.gpu.0 = end.used.gpu.0.saturating_sub(start.used.gpu.0);
            account.used.frames = end.used.frames.saturating_sub(start.used.frames);
            account.used.commands = end.used.commands.saturating_sub(start.used.commands);
            account.used.borrowed.0 = (end.used.borrowed.0).saturating_sub(start.used.borrowed.0);
            account.used.waited.0 = end.used.waited.0.saturating_sub(start.used.waited.0);
            account
        })
        .collect()
}

const TABLE_HEADER: &str =
    "VM        guaranteed   measured    frames/s   longest wait   longest unit";

fn print_rows(sharing: &Sharing, before: &Measurement, now: &Measurement) {
    let elapsed = now.at_ns.saturating_sub(before.at_ns);
    let second = Report::new("", sharing.engines, elapsed, &difference(before, now));
    for vm in &second.vms {
        let frames = u128::from(vm.frames) * 1_000_000_000 / u128::from(second.elapsed_ns.max(1));
        say!(
            "{:<10}{:>10}{:>11}{frames:>12}{:>12} us{:>12} us",
            vm.name,
            percent(vm.guarantee_ppm),
            percent(vm.share_ppm),
            vm.waited_max_ns / 1_000,
            vm.longest_unit_ns / 1_000,
        );
    }
    if second.vms.len() > 1 {
        say!("");
    }
}

fn early_end(outcomes: Vec<(String, VmOutcome)>) -> Failure {
    let (name, how) = outcomes
        .into_iter()
        .map(|(name, outcome)| (name, outcome.to_string()))
        .next()
        .unwrap_or_else(|| ("demo".to_owned(), "there was no guest".to_owned()));
    Failure::GuestDied { name, how }
}

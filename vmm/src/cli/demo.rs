// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `rondo demo`: VMs that each want the whole GPU, a live table of what each gets, and a verdict.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Failure, PolicyChoice, say};
use crate::config::{GpuChoice, Share, VmOptions, VmSpec};
use crate::report::{Measurement, Report, VmAccount, parts_per_million};
use crate::session::{Console, Ending, Plan, Session};
use crate::vm::VmOutcome;

/// `rondo demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// One VM for each share, in percent
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
    /// How the GPU is shared
    #[arg(long, value_enum, default_value_t)]
    policy: PolicyChoice,
    /// Folder for the last picture of each VM
    #[arg(long, value_name = "DIR")]
    screenshot: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, value_name = "REPORT.json")]
    json: Option<PathBuf>,
    /// Write who had the GPU when, for the Perfetto UI (ui.perfetto.dev)
    #[arg(long, value_name = "TRACE.pftrace")]
    trace: Option<PathBuf>,
}

/// How far a share may be from its guarantee, in parts per million.
const TOLERANCE_PPM: u32 = 10_000;
/// The part of the time, in parts per million, for which a VM must have had work to count as always asking; the rest is what the
/// engine takes to change hands.
const ALL_THE_TIME_PPM: u32 = 980_000;
/// How long the guests may take to draw their first pictures, before the measurement starts.
const WARM_UP: Duration = Duration::from_secs(30);

impl DemoArgs {
    /// Runs the demo.
    ///
    /// # Errors
    /// The VMs cannot run here, a guest died, a share was not kept, or a result cannot be written.
    pub fn execute(self) -> Result<(), Failure> {
        let vms = self.specs()?;
        if let Some(folder) = &self.screenshot {
            std::fs::create_dir_all(folder).map_err(|source| Failure::Write {
                path: folder.clone(),
                source,
            })?;
        }
        let mut session = Session::launch(Plan {
            policy: self.policy,
            vms,
            console: Console::Log,
            control: None,
            trace: self.trace.clone(),
        })?;

        session.wait_for_first_frames(WARM_UP)?;
        let start = session.measure();
        say!("{}", TABLE_HEADER);
        let mut before = start.clone();
        let ending = session.wait(Some(Duration::from_secs(self.seconds)), &mut |session| {
            let now = session.measure();
            print_rows(&before, &now);
            before = now;
        })?;
        let end = session.measure();
        let accounts = difference(&start, &end);
        let elapsed = end.at_ns.saturating_sub(start.at_ns);
        let report = Report::new(self.policy.name(), elapsed, &accounts);
        let finished = session.finish();

        if let Some(path) = &self.json {
            report.write(path).map_err(|source| Failure::Write {
                path: path.clone(),
                source,
            })?;
        }
        match ending {
            Ending::TimedOut => judge(self.policy, &report, &accounts)?,
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
            account.used.waited.0 = end.used.waited.0.saturating_sub(start.used.waited.0);
            account
        })
        .collect()
}

const TABLE_HEADER: &str =
    "VM        guaranteed   measured    frames/s   longest wait   longest unit";

fn print_rows(before: &Measurement, now: &Measurement) {
    let elapsed = now.at_ns.saturating_sub(before.at_ns);
    let second = Report::new("", elapsed, &difference(before, now));
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

/// Parts per million as percent with two decimals.
fn percent(ppm: u32) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

/// The verdict in one line: each VM must have had its part of the GPU.
///
/// On a quiet host the guests never stop asking. A host that is busy with other things may keep a guest from it; others then
/// rightly get what it leaves, and nothing can be said of the guarantee.
/// Best effort promises nothing, so there is nothing to judge.
fn judge(policy: PolicyChoice, report: &Report, accounts: &[VmAccount]) -> Result<(), Failure> {
    let promised: u32 = report.vms.iter().map(|vm| vm.guarantee_ppm).sum();
    let worst = report
        .vms
        .iter()
        .map(|vm| {
            // All VMs want everything, so what is promised to nobody is divided as the promises are.
            let due = parts_per_million(u64::from(vm.guarantee_ppm), u64::from(promised));
            vm.share_ppm.abs_diff(due)
        })
        .max()
        .unwrap_or(0);
    let shares = report
        .vms
        .iter()
        .map(|vm| percent(vm.share_ppm))
        .collect::<Vec<_>>()
        .join(", ");
    let busy = percent(parts_per_million(report.busy_ns, report.elapsed_ns));
    if policy == PolicyChoice::BestEffort {
        say!("Best effort promises no share. Measured: shares {shares}; GPU busy {busy}.");
        return Ok(());
    }
    let line = format!(
        "shares {shares}, at worst {} from the guarantee; GPU busy {busy}",
        percent(worst)
    );
    if worst <= TOLERANCE_PPM {
        say!("Every VM got its slice: {line}.");
        return Ok(());
    }
    let wronged = accounts
        .iter()
        .zip(&report.vms)
        .find(|(account, vm)| wronged(account, vm.share_ppm, report.elapsed_ns));
    match wronged {
        Some((account, _)) => Err(Failure::NotKept(format!(
            "{} did not get its slice: {line}",
            account.name
        ))),
        None => {
            say!(
                "No verdict, for this host is too busy with other things for the guests to ask for the GPU all the time: {line}."
            );
            Ok(())
        }
    }
}

/// Whether a VM asked for the GPU all the time and got less than its part. A VM that could not ask loses to those who did.
fn wronged(account: &VmAccount, share_ppm: u32, elapsed_ns: u64) -> bool {
    let asked = account.used.gpu.0.saturating_add(account.used.waited.0);
    parts_per_million(asked, elapsed_ns) >= ALL_THE_TIME_PPM
        && share_ppm.saturating_add(TOLERANCE_PPM) < account.guarantee_ppm
}

fn early_end(outcomes: Vec<(String, VmOutcome)>) -> Failure {
    let (name, how) = outcomes
        .into_iter()
        .map(|(name, outcome)| (name, outcome.to_string()))
        .next()
        .unwrap_or_else(|| ("demo".to_owned(), "there was no guest".to_owned()));
    Failure::GuestDied { name, how }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::VmReport;

    fn vm(guarantee_ppm: u32, share_ppm: u32) -> VmReport {
        VmReport {
            name: "vm".to_owned(),
            guid: String::new(),
            guarantee_ppm,
            gpu_ns: 0,
            share_ppm,
            frames: 0,
            commands: 0,
            start_to_first_frame_ns: None,
            longest_unit_ns: 0,
            waited_max_ns: 0,
        }
    }

    fn report(vms: Vec<VmReport>) -> Report {
        Report {
            policy: "guaranteed".to_owned(),
            elapsed_ns: 100,
            busy_ns: 99,
            vms,
        }
    }

    /// A VM that had the GPU for `gpu` of the `gpu + waited` in which it asked.
    fn account(guarantee_ppm: u32, gpu: u64, waited: u64) -> VmAccount {
        let mut used = rondo_adapter::ddi::VmStatistics::default();
        used.gpu.0 = gpu;
        used.waited.0 = waited;
        VmAccount {
            name: "vm".to_owned(),
            guid: rondo_adapter::ddi::Guid::default(),
            guarantee_ppm,
            started_ns: 0,
            used,
        }
    }

    #[test]
    fn the_verdict_is_good_within_one_percent() {
        let good = report(vec![vm(750_000, 745_000), vm(250_000, 255_000)]);
        assert!(judge(PolicyChoice::Guaranteed, &good, &[]).is_ok());
    }

    #[test]
    fn a_vm_that_asked_all_the_time_and_got_less_makes_it_bad() {
        let bad = report(vec![vm(750_000, 700_000), vm(250_000, 300_000)]);
        let accounts = [account(750_000, 70, 29), account(250_000, 30, 69)];
        let failure =
            judge(PolicyChoice::Guaranteed, &bad, &accounts).expect_err("five percent off");
        assert_eq!(failure.code(), 1);
        assert!(failure.to_string().contains("5.00 %"), "{failure}");
    }

    #[test]
    fn a_vm_that_could_not_ask_has_not_been_wronged() {
        let starved = report(vec![vm(750_000, 500_000), vm(250_000, 500_000)]);
        let accounts = [account(750_000, 40, 10), account(250_000, 40, 60)];
        assert!(judge(PolicyChoice::Guaranteed, &starved, &accounts).is_ok());
    }

    #[test]
    fn what_nobody_was_promised_is_divided_as_the_promises_are() {
        let divided = report(vec![vm(200_000, 500_000), vm(200_000, 500_000)]);
        for policy in [PolicyChoice::Guaranteed, PolicyChoice::Fair] {
            assert!(judge(policy, &divided, &[]).is_ok());
        }
    }

    #[test]
    fn best_effort_is_measured_and_not_judged() {
        let uneven = report(vec![vm(750_000, 100_000), vm(250_000, 900_000)]);
        let accounts = [account(750_000, 100, 900), account(250_000, 900, 100)];
        assert!(judge(PolicyChoice::BestEffort, &uneven, &accounts).is_ok());
    }
}

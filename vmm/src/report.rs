// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a run did, as JSON: who had how much of the GPU.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use rondo_adapter::ddi::{Guid, VmStatistics};
use rondo_scheduler::Mode;
use serde::{Deserialize, Serialize};

use crate::config::PriorityChoice;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The policy between VMs: the last one, if it was changed.
    pub policy: String,
    /// How many engines the GPU has.
    pub engines: u16,
    /// From the start of the first VM to the end of the measurement.
    pub elapsed_ns: u64,
    /// GPU time that all VMs were charged: the sum over the engines.
    pub busy_ns: u64,
    /// One entry per VM with a GPU, in the order in which they were given or added, with the last 500 of those that have ended.
    pub vms: Vec<VmReport>,
}

/// One VM's part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VmReport {
    /// Its name.
    pub name: String,
    /// Its identity, as the adapter knows it.
    pub guid: String,
    /// What it was promised, in parts per million of one engine.
    pub guarantee_ppm: u32,
    /// GPU time that it was charged.
    pub gpu_ns: u64,
    /// Its part of the time that one engine was used, in parts per million: with one engine of all GPU time that was used
    /// (`busy_ns`), with several of `busy_ns / engines`, or of the longest `gpu_ns` where that is more.
    pub share_ppm: u32,
    /// Pictures that reached a screen.
    pub frames: u64,
    /// Commands completed by the GPU.
    pub commands: u64,
    /// From the start of the VM to its first picture; null if there was none.
    pub start_to_first_frame_ns: Option<u64>,
    /// The longest unit of its work.
    pub longest_unit_ns: u64,
    /// The longest time it had work and waited for the GPU.
    pub waited_max_ns: u64,
    /// GPU time that it is owed (above 0: it has work and is behind its guarantee) or owes (below 0: others come first until
    /// it is paid back).
    pub lag_ns: i64,
    /// What of its GPU time ran on engines that had nothing to do, not on its home.
    pub borrowed_ns: u64,
    /// How often a unit of its work hung, so that its context was lost.
    pub resets: u64,
    /// Whether it is locked out for its hangs.
    pub quarantined: bool,
    /// Whether it has a guarantee of its own (server) or its part of the host's (client).
    pub mode: ModeName,
    /// Who comes first where nobody is owed anything.
    pub priority: PriorityChoice,
}

/// How a VM's work is seen by the host's scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeName {
    /// It has a slice of its own.
    Server,
    /// It is one more client process of the host.
    Client,
}

impl From<Mode> for ModeName {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Server => Self::Server,
            Mode::Client => Self::Client,
        }
    }
}

/// What is known of one VM at the end, before shares are worked out.
#[derive(Clone, Debug)]
pub struct VmAccount {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub guid: Guid,
    /// What it was promised, in parts per million.
    pub guarantee_ppm: u32,
    /// Server or client virtualization.
    pub mode: Mode,
    /// Who comes first where nobody is owed anything.
    pub priority: PriorityChoice,
    /// When it was started, on the adapter's clock, in nanoseconds.
    pub started_ns: u64,
    /// What it used.
    pub used: VmStatistics,
}

/// What the VMs had used at one instant.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// The instant, on the adapter's clock, in nanoseconds.
    pub at_ns: u64,
    /// What each VM had used.
    pub accounts: Vec<VmAccount>,
}

impl Report {
    /// Works out the shares of what the VMs used in `elapsed_ns`.
    #[must_use]
    pub fn new(policy: &str, engines: u16, elapsed_ns: u64, accounts: &[VmAccount]) -> Self {
        let used = || accounts.iter().map(|vm| vm.used.gpu.0);
        let busy_ns = used().fold(0, u64::saturating_add);
        // No VM runs on two engines at a time, so one of them was used for at least as long as any VM ran.
        let of_one_engine = (busy_ns / u64::from(engines.max(1))).max(used().max().unwrap_or(0));
        let vms = accounts
            .iter()
            .map(|vm| VmReport {
                name: vm.name.clone(),
                guid: vm.guid.to_string(),
                guarantee_ppm: vm.guarantee_ppm,
                gpu_ns: vm.used.gpu.0,
                share_ppm: parts_per_million(vm.used.gpu.0, of_one_engine),
                frames: vm.used.frames,
                commands: vm.used.commands,
                start_to_first_frame_ns: vm
                    .used
                    .first_frame
                    .map(|at| at.0.saturating_sub(vm.started_ns)),
                longest_unit_ns: vm.used.longest_unit.0,
                waited_max_ns: vm.used.longest_wait.0,
                lag_ns: vm.used.lag,
                borrowed_ns: vm.used.borrowed.0,
                resets: vm.used.resets,
                quarantined: vm.used.quarantined,
                mode: vm.mode.into(),
                priority: vm.priority,
            })
            .collect();
        Self {
            policy: policy.to_owned(),
            engines,
            elapsed_ns,
            busy_ns,
            vms,
        }
    }

    /// Writes it to a file, whole or not at all.
    ///
    /// # Errors
    /// The folder cannot be written or is full.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = Path::new(&partial);
        let result = (|| {
            let mut file = BufWriter::new(File::create(partial)?);
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.flush()?;
            std::fs::rename(partial, path)
        })();
        if result.is_err() {
            // What is left of the attempt is of no use; that it cannot be removed changes nothing about the error.
            let _ = std::fs::remove_file(partial);
        }
        result
    }
}

/// `part` of `whole` in parts per million, rounded down; 0 of nothing.
#[must_use]
pub fn parts_per_million(part: u64, whole: u64) -> u32 {
    let ppm = (u128::from(part) * 1_000_000)
        .checked_div(u128::from(whole))
        .unwrap_or(0);
    u32::try_from(ppm).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rondo_scheduler::Nanos;

    fn account(name: &str, gpu: u64) -> VmAccount {
        VmAccount {
            name: name.to_owned(),
            guid: Guid([0xab; 16]),
            guarantee_ppm: 500_000,
            mode: Mode::Server,
            priority: PriorityChoice::Normal,
            started_ns: 100,
            used: VmStatistics {
                gpu: Nanos(gpu),
                first_frame: Some(Nanos(350)),
                ..VmStatistics::default()
            },
        }
    }

    #[test]
    fn shares_are_parts_of_the_time_that_was_used() {
        let report = Report::new(
            "guaranteed",
            1,
            2_000,
            &[account("a", 750), account("b", 250), account("c", 0)],
        );
        assert_eq!(report.busy_ns, 1_000);
        let shares: Vec<u32> = report.vms.iter().map(|vm| vm.share_ppm).collect();
        assert_eq!(shares, [750_000, 250_000, 0]);
        assert_eq!(report.vms[0].start_to_first_frame_ns, Some(250));
    }

    #[test]
    fn with_several_engines_shares_are_parts_of_one_engine() {
        let shares = |used: &[u64]| -> Vec<u32> {
            let accounts: Vec<_> = used.iter().map(|&gpu| account("vm", gpu)).collect();
            let report = Report::new("guaranteed", 2, 1_000, &accounts);
            report.vms.iter().map(|vm| vm.share_ppm).collect()
        };
        // Both engines full: three VMs, one of which has an engine of its own.
        assert_eq!(shares(&[1_000, 600, 400]), [1_000_000, 600_000, 400_000]);
        // A VM alone cannot have more than one of them.
        assert_eq!(shares(&[1_000]), [1_000_000]);
    }

    #[test]
    fn the_json_has_the_documented_keys_in_their_order() {
        let json = serde_json::to_string(&Report::new("guaranteed", 1, 1, &[account("a", 1)]))
            .expect("plain data");
        let mut from = 0;
        for key in [
            "policy",
            "engines",
            "elapsed_ns",
            "busy_ns",
            "vms",
            "name",
            "guid",
            "guarantee_ppm",
            "gpu_ns",
            "share_ppm",
            "frames",
            "commands",
            "start_to_first_frame_ns",
            "longest_unit_ns",
            "waited_max_ns",
            "lag_ns",
            "borrowed_ns",
            "resets",
            "quarantined",
            "mode",
            "priority",
        ] {
            let at = json[from..]
                .find(&format!("\"{key}\":"))
                .unwrap_or_else(|| panic!("{key} in {json}"));
            from += at;
        }
        assert!(json.contains("abababab-abab-abab-abab-abababababab"));
    }

    #[test]
    fn a_report_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let missing = folder.path().join("missing/report.json");
        assert!(
            Report::new("guaranteed", 1, 1, &[])
                .write(&missing)
                .is_err()
        );
        let there = folder.path().join("report.json");
        Report::new("guaranteed", 1, 1, &[])
            .write(&there)
            .expect("the folder is there");
        let names: Vec<_> = std::fs::read_dir(folder.path())
            .expect("readable")
            .map(|entry| entry.expect("readable").file_name())
            .collect();
        assert_eq!(names, ["report.json"]);
    }
}

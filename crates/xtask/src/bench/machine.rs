// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where and when: the machine, its kernel, its KVM, the date, the revision.

use std::fs;
use std::process::Command;

use rondo_tests::lab::workspace_root;
use rondo_tests::machine::LinuxHost;
use serde::Serialize;

use crate::programs;

/// The circumstances of a measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// UTC, ISO 8601.
    pub date: String,
    /// The processor's name.
    pub processor: String,
    /// Cores that are online.
    pub cores: usize,
    /// Total memory.
    pub memory: String,
    /// The host's kernel.
    pub kernel: String,
    /// Which KVM this is.
    pub kvm: &'static str,
    /// The commit, and whether the tree differs from it.
    pub revision: String,
    /// The compiler.
    pub compiler: String,
    /// Load averages before the measurement, over 1, 5 and 15 minutes: whether the machine was quiet.
    pub load_before: String,
}

impl Machine {
    /// Here and now. What cannot be found out is a question mark.
    pub fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        Self {
            date: said(Command::new("date").args(["--utc", "+%Y-%m-%dT%H:%M:%SZ"])),
            processor: value(&cpuinfo, "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory: value(&meminfo, "MemTotal"),
            kernel: said(Command::new("uname").args(["-sr"])),
            kvm: match LinuxHost::of_machine() {
                LinuxHost::OwnKvm => "KVM on VT-x or AMD-V",
                LinuxHost::EmulatedMachine => {
                    "KVM without VT-x and AMD-V (guest kernel code is interpreted, guest user code runs natively)"
                }
            },
            revision: said(
                Command::new("git")
                    .args(["describe", "--always", "--dirty"])
                    .current_dir(workspace_root()),
            ),
            compiler: said(Command::new("rustc").arg("--version")),
            load_before: load_averages(),
        }
    }
}

impl Machine {
    /// A sentence on when a profile was taken, for it need not be the moment of the table above it.
    pub fn sampled(&self) -> String {
        format!(
            "Sampled {}, commit {}, load averages {}.\n",
            self.date, self.revision, self.load_before
        )
    }
}

/// The load averages over 1, 5 and 15 minutes.
pub fn load_averages() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .take(3)
        .collect::<Vec<_>>()
        .join(" ")
}

fn said(command: &mut Command) -> String {
    programs::output(command).map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
}

fn value(text: &str, name: &str) -> String {
    let found = text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    });
    found.unwrap_or_else(|| "?".to_owned())
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn given_a_list_of_names_and_values_when_one_is_missing_then_it_is_a_question_mark() {
        let text = "model name\t: AMD EPYC\nflags: a b\n";
        assert_eq!(value(text, "model name"), "AMD EPYC");
        assert_eq!(value(text, "model"), "?");
    }
}

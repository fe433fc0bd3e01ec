// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The two VMMs, and the command by which each boots the guest.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rondo_tests::machine::{self, LinuxHost};

use super::artifacts::Artifacts;
use crate::programs;

/// The guest's RAM under both.
pub const GUEST_RAM: u64 = 64 << 20;
const QEMU: &str = "qemu-system-x86_64";
/// The guest's display under both; the defaults of both VMMs, written out.
pub const DISPLAY: (u32, u32) = (1280, 800);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Ours.
    Rondo,
    /// The one that it is compared with.
    Qemu,
}

impl Contender {
    /// In the order in which each pair runs: A, then B.
    pub const BOTH: [Self; 2] = [Self::Rondo, Self::Qemu];

    /// As the tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rondo => "rondo",
            Self::Qemu => "QEMU",
        }
    }
}

/// Checks that both can run here.
///
/// # Errors
/// Says in one sentence what is missing and what to do about it.
pub fn check() -> Result<()> {
    machine::rig_1()?;
    if !programs::exists(QEMU) {
        bail!("there is no {QEMU} to compare with: run `cargo xtask prepare`");
    }
    Ok(())
}

/// How to start both.
#[derive(Debug)]
pub struct Stable {
    artifacts: Artifacts,
    qemu_cpu: &'static str,
}

impl Stable {
    /// Both, ready to start.
    pub fn new(artifacts: Artifacts) -> Self {
        // A KVM without VT-x or AMD-V refuses an MSR that QEMU 10 sets for this feature, which concerns no measurement.
        let qemu_cpu = match LinuxHost::of_machine() {
            LinuxHost::OwnKvm => "host",
            LinuxHost::EmulatedMachine => "host,-arch-capabilities",
        };
        Self {
            artifacts,
            qemu_cpu,
        }
    }

    /// The command by which this VMM boots the guest with this load.
    pub fn command(&self, contender: Contender, load: &str) -> Command {
        let (width, height) = DISPLAY;
        let mebibytes = GUEST_RAM >> 20;
        let mut command;
        match contender {
            Contender::Rondo => {
                command = Command::new(&self.artifacts.rondo);
                command
                    .args(["run", "--virtio-mmio", "cmdline"])
                    .args(["--memory", &format!("{mebibytes}M")])
                    .args(["--gpu", &format!("width={width},height={height}")])
                    .arg("--kernel")
                    .arg(&self.artifacts.guest)
                    .args(["--cmdline", load]);
            }
            Contender::Qemu => {
                command = Command::new(QEMU);
                command
                    // Without ACPI QEMU names its devices on the kernel command line.
                    .args(["-M", "microvm,accel=kvm,acpi=off", "-cpu", self.qemu_cpu])
                    .args(["-m", &mebibytes.to_string()])
                    .args(["-nodefaults", "-no-user-config", "-no-reboot"])
                    // Its threads get names, for profiles.
                    .args(["-name", "bench,debug-threads=on"])
                    .args(["-display", "none", "-vga", "none", "-serial", "stdio"])
                    .args(["-global", "virtio-mmio.force-legacy=false"])
                    .arg("-device")
                    .arg(format!("virtio-gpu-device,xres={width},yres={height}"))
                    .arg("-kernel")
                    .arg(&self.artifacts.guest)
                    .args(["-append", load]);
            }
        }
        command
    }

    /// What each says about its version.
    ///
    /// # Errors
    /// When one cannot be asked.
    pub fn version(&self, contender: Contender) -> Result<String> {
        let program = match contender {
            Contender::Rondo => self.artifacts.rondo.clone(),
            Contender::Qemu => PathBuf::from(QEMU),
        };
        let said = programs::output(Command::new(program).arg("--version"))?;
        let first = said.lines().next().context("no version")?;
        Ok(first.to_owned())
    }
}

/// A command as it can be typed: programs and files by their names alone, words in quotes where they need them.
pub fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| {
            let word = word.to_string_lossy();
            match word
                .strip_prefix('/')
                .and_then(|path| path.rsplit('/').next())
            {
                Some(name) => name.to_owned(),
                None if word.contains(' ') => format!("\"{word}\""),
                None => word.into_owned(),
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::{Contender, Stable, shown};
    use crate::bench::artifacts::Artifacts;

    #[test]
    fn given_a_load_when_both_commands_are_made_then_they_boot_the_same_file_with_the_same_load() {
        let stable = Stable {
            artifacts: Artifacts {
                rondo: "/t/release/rondo".into(),
                guest: "/t/guest/rondo-guest".into(),
            },
            qemu_cpu: "host",
        };
        let said =
            Contender::BOTH.map(|contender| shown(&stable.command(contender, "frames=1 a=b")));
        assert!(said[0].starts_with("rondo run "), "{}", said[0]);
        assert!(
            said[0].ends_with("--kernel rondo-guest --cmdline \"frames=1 a=b\""),
            "{}",
            said[0]
        );
        assert!(
            said[1].starts_with("qemu-system-x86_64 -M microvm,"),
            "{}",
            said[1]
        );
        assert!(
            said[1].ends_with("-kernel rondo-guest -append \"frames=1 a=b\""),
            "{}",
            said[1]
        );
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What this machine can run: whether it has KVM, whether that KVM runs whole kernels, and what to do when something is missing.

use std::fs::{self, OpenOptions};
use std::io::ErrorKind;

use anyhow::{Context, Result, bail};

/// How stock Linux guests can run on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinuxHost {
    /// On the machine's own KVM: its processor virtualises.
    OwnKvm,
    /// On a KVM inside a machine that QEMU emulates: the processor here does not virtualise.
    EmulatedMachine,
}

impl LinuxHost {
    /// Which of the two this machine takes.
    #[must_use]
    pub fn of_machine() -> Self {
        let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        if processor_virtualises(&flags) && open_kvm().is_ok() {
            Self::OwnKvm
        } else {
            Self::EmulatedMachine
        }
    }
}

/// Rig 1: bare-metal guests on the machine's KVM. Returns its description.
///
/// # Errors
/// Says in one sentence what is missing and what to do about it.
pub fn rig_1() -> Result<String> {
    open_kvm()?;
    Ok("bare-metal guests on this machine's KVM".to_owned())
}

/// Rig 2: stock Linux guests, directly or in an emulated machine. Returns its description.
///
/// # Errors
/// Says in one sentence what is missing and what to do about it.
pub fn rig_2() -> Result<String> {
    match LinuxHost::of_machine() {
        LinuxHost::OwnKvm => Ok("stock Debian kernels on this machine's KVM".to_owned()),
        LinuxHost::EmulatedMachine => {
            let qemu = std::process::Command::new("qemu-system-x86_64")
                .arg("--version")
                .output();
            qemu.context("there is no qemu-system-x86_64: run `cargo xtask prepare`")?;
            Ok("stock Debian kernels on a KVM inside a machine that QEMU emulates".to_owned())
        }
    }
}

fn open_kvm() -> Result<()> {
    match OpenOptions::new().read(true).write(true).open("/dev/kvm") {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!(
                "there is no /dev/kvm: turn virtualisation on in the firmware, then `modprobe kvm_intel` or `modprobe kvm_amd`"
            )
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!(
                "/dev/kvm may not be opened: join the group kvm (`sudo usermod -aG kvm $USER`) and log in again"
            )
        }
        Err(error) => Err(error).context("/dev/kvm cannot be opened"),
    }
}

/// Whether `/proc/cpuinfo` shows hardware virtualisation (VT-x or AMD-V).
fn processor_virtualises(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("flags"))
        .any(|flags| {
            flags
                .split_whitespace()
                .any(|flag| flag == "vmx" || flag == "svm")
        })
}

#[cfg(test)]
mod tests {
    use super::processor_virtualises;

    #[test]
    fn given_cpu_flags_when_vmx_or_svm_is_among_them_then_the_processor_virtualises() {
        assert!(processor_virtualises(
            "processor\t: 0\nflags\t\t: fpu vme svm sse\n"
        ));
        assert!(processor_virtualises("flags\t\t: vmx\n"));
        assert!(!processor_virtualises(
            "flags\t\t: fpu vme\nbugs\t\t: svm\n"
        ));
    }
}

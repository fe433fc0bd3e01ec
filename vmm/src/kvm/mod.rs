// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The host's side of a VM: opening `/dev/kvm`, checking what it can do, and creating a VM with its in-kernel devices.

mod host;
mod machine;

use std::io;
use std::path::{Path, PathBuf};

use kvm_bindings::{CpuId, KVM_API_VERSION, KVM_MAX_CPUID_ENTRIES};
use kvm_ioctls::{Cap, Kvm};
use thiserror::Error;

pub use host::interprets_kernels;
pub(crate) use machine::Machine;

/// What can go wrong with KVM. Each is one sentence that names the remedy where there is one.
#[derive(Debug, Error)]
pub enum KvmError {
    /// No such file.
    #[error(
        "{} does not exist: load the module (modprobe kvm_intel or kvm_amd), or enable virtualisation in the firmware or the outer hypervisor",
        path.display()
    )]
    Missing {
        /// The device file.
        path: PathBuf,
    },
    /// No permission.
    #[error("{} may not be opened by this user: join the group that owns it (usually kvm) or run as root", path.display())]
    NotPermitted {
        /// The device file.
        path: PathBuf,
    },
    /// Another hypervisor holds the processor's virtualisation extension.
    #[error("{} is busy: stop the other hypervisor on this host (VirtualBox, VMware) that holds the processor's virtualisation", path.display())]
    Busy {
        /// The device file.
        path: PathBuf,
    },
    /// Any other failure to open.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The device file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not KVM, or an ancient one.
    #[error("{} is not a usable KVM (API version {version}, wanted 12)", path.display())]
    Version {
        /// The device file.
        path: PathBuf,
        /// What it answered.
        version: i32,
    },
    /// A capability is missing.
    #[error("this host's KVM lacks {capability}: use Linux 5.10 or later on the host")]
    Capability {
        /// KVM's name for it.
        capability: &'static str,
    },
    /// More vCPUs than this KVM allows.
    #[error("cpus = {asked} is more than this host's KVM allows ({allowed})")]
    TooManyCpus {
        /// What was asked for.
        asked: u8,
        /// The host's limit.
        allowed: usize,
    },
    /// A request failed.
    #[error("KVM refused to {action}: {source}")]
    Request {
        /// What was being done, in the infinitive.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl KvmError {
    /// Why `path` could not be opened.
    fn refused(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.raw_os_error() {
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => Self::Missing { path },
            Some(libc::EACCES | libc::EPERM) => Self::NotPermitted { path },
            Some(libc::EBUSY) => Self::Busy { path },
            _ => Self::Open { path, source },
        }
    }

    /// For `map_err`: names the request that failed.
    pub(crate) fn request(action: &'static str) -> impl Fn(kvm_ioctls::Error) -> Self {
        move |error| Self::Request {
            action,
            source: io::Error::from_raw_os_error(error.errno()),
        }
    }
}

/// What a VM needs of KVM, with KVM's names for the message.
const NEEDED: [(Cap, &str); 8] = [
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::Irqfd, "KVM_CAP_IRQFD"),
    (Cap::Ioeventfd, "KVM_CAP_IOEVENTFD"),
    (Cap::Pit2, "KVM_CAP_PIT2"),
    (Cap::ExtCpuid, "KVM_CAP_EXT_CPUID"),
    (Cap::MpState, "KVM_CAP_MP_STATE"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
];

/// An open KVM that can run our VMs. One serves any number of them.
#[derive(Debug)]
pub struct Hypervisor {
    kvm: Kvm,
    path: PathBuf,
}

impl Hypervisor {
    /// Opens `/dev/kvm`.
    ///
    /// # Errors
    /// It is missing, not permitted, busy, too old, or not KVM.
    pub fn open() -> Result<Self, KvmError> {
        Self::open_at(Path::new("/dev/kvm"))
    }

    /// Opens KVM at another path.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(path: &Path) -> Result<Self, KvmError> {
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(path);
        let file = opened.map_err(|source| KvmError::refused(path, source))?;
        let hypervisor = Self {
            kvm: machine::kvm_from_file(file),
            path: path.to_owned(),
        };
        let version = hypervisor.kvm.get_api_version();
        if u32::try_from(version) != Ok(KVM_API_VERSION) {
            return Err(KvmError::Version {
                path: hypervisor.path,
                version,
            });
        }
        for (capability, name) in NEEDED {
            if !hypervisor.kvm.check_extension(capability) {
                return Err(KvmError::Capability { capability: name });
            }
        }
        Ok(hypervisor)
    }

    /// What this KVM can show a guest as CPUID.
    pub(crate) fn supported_cpuid(&self) -> Result<CpuId, KvmError> {
        self.kvm
            .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
            .map_err(KvmError::request("list the processor's features"))
    }

    /// Whether the local APIC's deadline timer is emulated (KVM leaves the bit out of the supported CPUID).
    pub(crate) fn has_tsc_deadline(&self) -> bool {
        self.kvm.check_extension(Cap::TscDeadlineTimer)
    }

    fn max_vcpus(&self) -> usize {
        self.kvm.get_max_vcpus()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(path: &str) -> String {
        Hypervisor::open_at(Path::new(path))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn given_no_such_device_then_the_sentence_names_it_and_the_module_to_load() {
        let sentence = refusal("/nonexistent/kvm");
        assert!(
            sentence.starts_with("/nonexistent/kvm does not exist: load the module"),
            "{sentence}"
        );
    }

    #[test]
    fn given_a_device_that_refuses_then_the_sentence_names_it_and_the_remedy() {
        let sentence = |errno| {
            KvmError::refused(Path::new("/dev/kvm"), io::Error::from_raw_os_error(errno))
                .to_string()
        };
        let expected = [
            (libc::ENODEV, "/dev/kvm does not exist: load the module"),
            (
                libc::EACCES,
                "/dev/kvm may not be opened by this user: join the group that owns it",
            ),
            (libc::EBUSY, "/dev/kvm is busy: stop the other hypervisor"),
            (libc::EMFILE, "cannot open /dev/kvm: Too many open files"),
        ];
        for (errno, start) in expected {
            assert!(sentence(errno).starts_with(start), "{}", sentence(errno));
        }
    }

    #[test]
    fn given_a_file_that_is_not_kvm_then_the_sentence_says_so() {
        let sentence = refusal("/dev/null");
        assert_eq!(
            sentence,
            "/dev/null is not a usable KVM (API version -1, wanted 12)"
        );
    }
}

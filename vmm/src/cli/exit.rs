// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How `rondo` ends: the exit codes, and the one sentence that goes with each.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rondo_adapter::status::NtStatus;
use rondo_devices::display::ScreenshotError;
use thiserror::Error;

use crate::config::ConfigError;
use crate::vm::VmError;

/// Why `rondo` did not end well.
#[derive(Debug, Error)]
pub enum Failure {
    /// The command line contradicts itself. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The configuration cannot be used. Exit code 1.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A VM could not be built or run on this host. Exit code 1.
    #[error("{name}: {source}")]
    Vm {
        /// The VM.
        name: String,
        /// Why.
        source: VmError,
    },
    /// KVM is not to be had. Exit code 1.
    #[error(transparent)]
    Kvm(VmError),
    /// The software GPU does not start. Exit code 1.
    #[error("the software GPU does not start ({0}); free some threads or memory")]
    NoGpu(NtStatus),
    /// There is no picture to write. Exit code 1.
    #[error("{name}: no screenshot: {why}")]
    NoPicture {
        /// The VM.
        name: String,
        /// Why.
        why: String,
    },
    /// A screenshot could not be written. Exit code 1.
    #[error(transparent)]
    Screenshot(#[from] ScreenshotError),
    /// The GPU refused the VM. Exit code 1.
    #[error(
        "{name}: the GPU does not take the VM ({status}); free some threads or memory, or stop another VM"
    )]
    Gpu {
        /// The VM.
        name: String,
        /// Why.
        status: NtStatus,
    },
    /// The VM's guarantee does not fit beside those of the others. Exit code 1.
    #[error("{name}: {why}")]
    NotAdmitted {
        /// The VM.
        name: String,
        /// By how much.
        why: String,
    },
    /// The host failed. Exit code 1.
    #[error("cannot {action}: {source}")]
    Host {
        /// What was attempted.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file could not be written. Exit code 1.
    #[error("cannot write {}: {source}; check that its folder exists and has room", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A running `rondo` refused, or there is none. Exit code 1.
    #[error("{0}")]
    Control(String),
    /// The measured shares are not the guaranteed ones. Exit code 1.
    #[error("{0}")]
    NotKept(String),
    /// The time was up. Exit code 1.
    #[error("{names}: still running when --timeout ended after {seconds} s")]
    TimedOut {
        /// The VMs.
        names: String,
        /// The limit.
        seconds: u64,
    },
    /// A guest died. Exit code 3.
    #[error("{name}: {how}")]
    GuestDied {
        /// The VM.
        name: String,
        /// How.
        how: String,
    },
}

impl Failure {
    /// 1 host or configuration error, 2 usage, 3 the guest died.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::GuestDied { .. } => 3,
            Self::Config(_)
            | Self::Vm { .. }
            | Self::Gpu { .. }
            | Self::NotAdmitted { .. }
            | Self::Host { .. }
            | Self::Write { .. }
            | Self::Control(_)
            | Self::Kvm(_)
            | Self::NoGpu(_)
            | Self::NoPicture { .. }
            | Self::Screenshot(_)
            | Self::NotKept(_)
            | Self::TimedOut { .. } => 1,
        }
    }
}

/// Says the sentence on standard error, and gives the exit code; 0 for success.
#[must_use]
pub fn exit_code(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // The exit code is what remains if nobody reads the sentence.
            let _ = writeln!(io::stderr().lock(), "rondo: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a user asks for: the same names as flags, as TOML keys and as text in `--gpu`.
//!
//! [`VmOptions`] is what was written, every field optional; [`VmSpec`] is what is meant, checked and with its defaults.
//! Every mistake is one sentence that names the file, the field and the remedy.

mod file;
mod gpu;
mod promise;
mod sharing;
mod units;
mod vm;

pub use file::{named_after, read_vm_file};
pub use gpu::{GpuChoice, GpuOptions, GpuSpec, PriorityChoice};
pub use promise::{check_promise, share_guarantees};
pub use sharing::{EngineCount, PolicyChoice, QuarantineRule, Sharing, SharingOptions};
pub use units::{Bytes, Duration, Share};
pub use vm::{BUILTIN_DEMO, Discovery, Kernel, VmOptions, VmSpec};

use std::path::PathBuf;

use thiserror::Error;

/// A configuration that cannot be used, said in one sentence.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not the TOML that describes a VM.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        message: String,
    },
    /// A field has a value that no VM can have.
    #[error("{vm}: {field} {problem}")]
    Field {
        /// The VM: its name or its file.
        vm: String,
        /// The field, as it is written in a flag or a file.
        field: &'static str,
        /// What is wrong with it and what to write instead.
        problem: String,
    },
    /// The GPU device cannot be made like this.
    #[error(transparent)]
    Device(#[from] rondo_devices::gpu::ConfigError),
    /// Two VMs have one name.
    #[error("two VMs are named '{name}'; give each VM a name of its own")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The guarantees add up to more than the GPU.
    #[error(
        "the guarantees add up to {}, which is {} more than the GPU has to promise; lower gpu.guarantee of some VMs",
        Percent(*total), Percent(total.saturating_sub(*most))
    )]
    TooMuchPromised {
        /// Sum of the guarantees in parts per million of an engine.
        total: u64,
        /// What all engines together have to promise, in parts per million of an engine.
        most: u64,
    },
}

/// Parts per million of an engine as percent, also where it is more than one engine.
struct Percent(u64);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // As with any share: nobody promises 4294 engines.
        Share(u32::try_from(self.0).unwrap_or(u32::MAX)).fmt(f)
    }
}

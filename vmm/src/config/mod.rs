// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a user asks for: the same names as flags, as TOML keys and as text in `--gpu`.
//!
//! [`VmOptions`] is what was written, every field optional; [`VmSpec`] is what is meant, checked and with its defaults.
//! Every mistake is one sentence that names the file, the field and the remedy.

mod file;
mod gpu;
mod units;
mod vm;

pub use file::read_vm_file;
pub use gpu::{GpuChoice, GpuOptions, GpuSpec, share_guarantees};
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
        "the guarantees add up to {}, which is {} more than the GPU has; lower gpu.guarantee of some VMs",
        Share(*total), Share(total - 1_000_000)
    )]
    TooMuchPromised {
        /// Sum of the guarantees in parts per million.
        total: u32,
    },
}

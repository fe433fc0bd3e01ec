// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM is made of.

use std::path::PathBuf;

use crate::boot::KernelSource;
use crate::memory::MemorySize;
use crate::vm::VmError;

/// A number of vCPUs, from 1 to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CpuCount(u8);

impl CpuCount {
    /// One vCPU.
    pub const ONE: Self = Self(1);
    /// Thirty-two: what the layout of a microVM is meant for. The APIC ids of the tables would do for 254.
    pub const MAX: Self = Self(32);

    /// Checks a number.
    ///
    /// # Errors
    /// Zero, or more than 32.
    pub fn new(count: u32) -> Result<Self, VmError> {
        match u8::try_from(count) {
            Ok(cpus @ 1..=32) => Ok(Self(cpus)),
            _ => Err(VmError::CpuCount { count }),
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for CpuCount {
    fn default() -> Self {
        Self::ONE
    }
}

/// The configuration of one VM, without its devices.
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// For messages, thread names and the name of the memory file.
    pub name: String,
    /// Bytes of memory.
    pub memory: MemorySize,
    /// vCPUs.
    pub cpus: CpuCount,
    /// What to run.
    pub kernel: KernelSource,
    /// An initial RAM disk for the kernel.
    pub initrd: Option<PathBuf>,
    /// The kernel's command line, at most 2047 bytes with what
    /// [`virtio_mmio_on_command_line`](Self::virtio_mmio_on_command_line) adds. Nothing else is added.
    pub command_line: String,
    /// Append `virtio_mmio.device=SIZE@ADDRESS:IRQ` for each window in use. Kernels with ACPI find the windows without it, and
    /// a kernel built with `CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES` that sees both would claim each device twice.
    pub virtio_mmio_on_command_line: bool,
}

impl VmConfig {
    /// A VM called `name` that runs `kernel` with 512 MiB and one vCPU.
    #[must_use]
    pub fn new(name: impl Into<String>, kernel: KernelSource) -> Self {
        Self {
            name: name.into(),
            memory: MemorySize::DEFAULT,
            cpus: CpuCount::ONE,
            kernel,
            initrd: None,
            command_line: String::new(),
            virtio_mmio_on_command_line: false,
        }
    }
}

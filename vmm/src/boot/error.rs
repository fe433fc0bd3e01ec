// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What can be wrong with a kernel, an initrd or a command line.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::memory::MemorySize;

/// Why a guest cannot be booted. Each is one sentence that names the file and the remedy.
#[derive(Debug, Error)]
pub enum BootError {
    /// The kernel cannot be opened.
    #[error("cannot open the kernel {kernel}: {source}; check the path and its permissions")]
    OpenKernel {
        /// The file.
        kernel: String,
        /// Why not.
        source: io::Error,
    },
    /// The kernel cannot be read.
    #[error("cannot read the kernel {kernel}: {source}")]
    ReadKernel {
        /// The file.
        kernel: String,
        /// Why not.
        source: io::Error,
    },
    /// The kernel has no bytes.
    #[error("the kernel {kernel} is empty: give a vmlinux (ELF) or a bzImage")]
    EmptyKernel {
        /// The file.
        kernel: String,
    },
    /// Something else than a kernel.
    #[error("{kernel} is not a kernel but {found}: give a vmlinux (ELF) or a bzImage for x86-64")]
    NotAKernel {
        /// The file.
        kernel: String,
        /// What it looks like.
        found: &'static str,
    },
    /// The file ends early or its headers make no sense.
    #[error("the kernel {kernel} is damaged: {defect}; fetch or build it again")]
    DamagedKernel {
        /// The file.
        kernel: String,
        /// What is wrong.
        defect: &'static str,
    },
    /// Too old, or built without what the 64-bit entry needs.
    #[error("the kernel {kernel} cannot be entered in 64-bit mode (boot protocol {}.{:02}): use a 64-bit kernel of Linux 3.8 or later", version >> 8, version & 0xFF)]
    OldBootProtocol {
        /// The file.
        kernel: String,
        /// `version` of the setup header.
        version: u16,
    },
    /// The kernel asks for addresses where boot structures are.
    #[error("the kernel {kernel} wants to be loaded at {address:#x}, below 1 MiB: link it higher")]
    KernelTooLow {
        /// The file.
        kernel: String,
        /// The lowest address it asks for.
        address: u64,
    },
    /// The kernel asks for addresses where there is never memory.
    #[error("the kernel {kernel} wants memory up to {end:#x}, which is above 3 GiB: link it lower")]
    KernelTooHigh {
        /// The file.
        kernel: String,
        /// The end of what it asks for.
        end: u64,
    },
    /// The kernel does not fit.
    #[error("memory = {} MiB is too small for the kernel {kernel}: give the VM more than {needs_mib} MiB", has.mib())]
    MemoryTooSmall {
        /// The file.
        kernel: String,
        /// What the VM has.
        has: MemorySize,
        /// Where the kernel's own needs end.
        needs_mib: u64,
    },
    /// The initrd cannot be opened.
    #[error("cannot open the initrd {}: {source}; check the path and its permissions", initrd.display())]
    OpenInitrd {
        /// The file.
        initrd: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The initrd cannot be read.
    #[error("cannot read the initrd {}: {source}", initrd.display())]
    ReadInitrd {
        /// The file.
        initrd: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The initrd has no bytes.
    #[error("the initrd {} is empty: give a cpio archive or leave the initrd out", initrd.display())]
    EmptyInitrd {
        /// The file.
        initrd: PathBuf,
    },
    /// The initrd does not fit beside the kernel.
    #[error(
        "the initrd {} ({size} bytes) does not fit: the VM's {} MiB leave {room} bytes beside the kernel; give the VM more memory or shrink the initrd",
        initrd.display(), has.mib()
    )]
    InitrdTooLarge {
        /// The file.
        initrd: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes between the kernel and the highest place for an initrd.
        room: u64,
        /// What the VM has.
        has: MemorySize,
    },
    /// The command line does not fit.
    #[error(
        "the kernel command line is {length} bytes long, and this kernel takes at most {limit}: shorten it"
    )]
    CommandLineTooLong {
        /// Its bytes, with what was appended for virtio-mmio.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// A zero would end the line early.
    #[error("the kernel command line has a zero byte at offset {at}: remove it")]
    CommandLineZero {
        /// Where.
        at: usize,
    },
    /// The boot structures could not be written: a bug of ours, as they lie in memory that every VM has.
    #[error("cannot write the {structure} into guest memory: {source}")]
    Write {
        /// Which structure.
        structure: &'static str,
        /// Why not.
        source: vm_memory::GuestMemoryError,
    },
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Loading a kernel: recognising the image, placing it and its initrd in memory, and describing the machine to it.
//!
//! | image | entry | description |
//! |---|---|---|
//! | ELF with a PVH note (`CONFIG_PVH`, bare-metal guests) | 32-bit, as the note says | `hvm_start_info` |
//! | ELF without | 64-bit, the ELF entry | zero page |
//! | bzImage of boot protocol 2.12 or later | 64-bit, 0x200 into the image | zero page |
//!
//! The rest of the description is ACPI, for whose RSDP both carry a pointer.

mod bzimage;
mod command_line;
mod elf;
mod error;
mod image;
mod initrd;
mod memory_map;
mod pvh;
mod reset_vector;
mod zero_page;

use std::path::Path;

pub use command_line::{CommandLine, virtio_mmio_parameter};
pub use error::BootError;
pub use image::KernelSource;

use crate::layout;
use crate::memory::{GuestMemory, MemorySize};
use crate::vcpu::EntryState;
use image::Image;

/// What the loader of one image format reports.
#[derive(Clone, Copy, Debug)]
struct LoadedKernel {
    entry: EntryState,
    /// First address after everything the kernel needs before it manages memory itself.
    end: u64,
    /// First address that the initrd must not reach.
    initrd_limit: u64,
    /// Longest command line that the kernel takes, without the terminating zero.
    command_line_limit: usize,
    /// The setup header of a bzImage.
    header: Option<linux_loader::loader::bootparam::setup_header>,
}

/// Where a loaded initrd lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LoadedInitrd {
    address: u64,
    size: u64,
}

/// What to boot.
#[derive(Debug)]
pub(crate) struct BootConfig<'a> {
    pub kernel: &'a KernelSource,
    pub initrd: Option<&'a Path>,
    pub command_line: &'a CommandLine,
    pub memory_size: MemorySize,
    /// Address of the ACPI RSDP.
    pub rsdp: u64,
}

/// Loads everything into `memory` and returns how to enter it.
pub(crate) fn load(config: &BootConfig<'_>, memory: &GuestMemory) -> Result<EntryState, BootError> {
    let mut image = Image::open(config.kernel)?;
    let size = config.memory_size;
    let kernel = match image.format()? {
        image::Format::Elf => elf::load(&mut image, memory, size)?,
        image::Format::BzImage => bzimage::load(&mut image, memory, size)?,
    };
    let initrd = config
        .initrd
        .map(|path| initrd::load(path, &kernel, memory, size))
        .transpose()?;
    config
        .command_line
        .write(memory, kernel.command_line_limit)?;
    reset_vector::write(memory)?;
    let map = memory_map::entries(size);
    match kernel.entry {
        EntryState::Pvh { .. } => pvh::write(memory, &map, initrd, config.rsdp)?,
        EntryState::Linux64 { .. } => zero_page::write(memory, &map, &kernel, initrd, config.rsdp)?,
    }
    Ok(kernel.entry)
}

/// Checks that a kernel which needs the memory up to `end` fits below the hole.
fn check_fits(image: &Image, end: u64, size: MemorySize) -> Result<(), BootError> {
    if end <= size.low_end() {
        return Ok(());
    }
    if end > layout::HOLE_START {
        return Err(BootError::KernelTooHigh {
            kernel: image.name().to_owned(),
            end,
        });
    }
    Err(BootError::MemoryTooSmall {
        kernel: image.name().to_owned(),
        has: size,
        needs_mib: end.div_ceil(1 << 20),
    })
}

#[cfg(test)]
mod tests;

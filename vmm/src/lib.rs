// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Rondo's VMM as a library: KVM microVMs that boot stock Linux kernels and share one GPU.
//!
//! [`vm::VmBuilder`] is the way in: memory and interrupt lines first, then devices, then the kernel and the vCPUs.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("Rondo's VMM runs on x86-64 Linux with KVM");

pub mod acpi;
pub mod boot;
pub mod bus;
pub mod cli;
pub mod config;
pub mod control;
pub mod guest_image;
pub mod kvm;
pub mod layout;
pub mod memory;
pub mod report;
pub mod session;
pub mod terminal;
mod trace;
mod vcpu;
pub mod vm;

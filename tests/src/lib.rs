// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The harness of the rigs: it prepares guests, runs the `rondo` command as a user would, and judges what comes out.
//!
//! Rig 1 boots bare-metal guest programs on the machine's own KVM. Rig 2 boots stock distribution kernels: on the machine's own KVM where
//! that can run kernels, otherwise on a KVM inside an emulated machine. The tests themselves are in `tests/rig1` and `tests/rig2`.

pub mod console_text;
pub mod cpio;
pub mod first_level;
pub mod guest_image;
pub mod guest_log;
pub mod initramfs;
pub mod kernel_modules;
pub mod lab;
pub mod linux_jobs;
pub mod machine;
pub mod perfetto;
pub mod picture;
pub mod rondo;
pub mod schedule;
pub mod smpte;

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Strict round robin with an averaging factor of 33, after NVIDIA's vGPU user guide (fixed share).
//!
//! It re-expresses that public description, not the product: slots at 480 Hz for up to eight VMs and at 960 Hz above, in a
//! fixed order, kept when idle; what a VM overran is taken from its next slots, a 33rd of the rest from each.

use super::slots::Slots;
use crate::scenario::{SECOND, Vm};

const AVERAGING_FACTOR: u64 = 33;

/// The policy for these VMs.
pub fn nvidia_strict(vms: &[Vm]) -> Slots {
    let hertz = if vms.len() <= 8 { 480 } else { 960 };
    Slots::new(vms, SECOND / hertz, |plain, debt| {
        let part = debt.div_ceil(AVERAGING_FACTOR).min(plain);
        *debt -= part;
        plain - part
    })
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The `FAIRNESS` mode of AMD's MxGPU virtualization, after its public source and documentation.
//!
//! It re-expresses that description, not the product: every configured VM keeps its slice of 6 ms even if it is idle. An
//! overrun shortens the next slice, never below half of it; whole turns are skipped while the debt is a slice or more.

use super::slots::Slots;
use crate::scenario::{MS, Vm};

/// The policy for these VMs.
pub fn amd_fairness(vms: &[Vm]) -> Slots {
    Slots::new(vms, 6 * MS, |plain, debt| {
        if *debt >= plain {
            *debt -= plain;
            return 0;
        }
        let length = (plain - *debt).max(plain.div_ceil(2));
        *debt -= plain - length;
        length
    })
}

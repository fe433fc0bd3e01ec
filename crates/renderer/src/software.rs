// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The GPU that is a CPU.

use crate::unit::{Budget, UnitBudget};
use crate::work::{Kind, Progress, Renderer, Work};

/// Does its work by copying, on the caller's thread. It has no state: all of it is in the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftwareRenderer;

impl Renderer for SoftwareRenderer {
    fn run(&mut self, work: &mut Work, budget: UnitBudget) -> Progress {
        let mut budget = Budget::new(budget);
        match &mut work.0 {
            Kind::Upload(upload) => upload.run(&mut budget),
            Kind::Present(present) => present.run(&mut budget),
        }
    }
}

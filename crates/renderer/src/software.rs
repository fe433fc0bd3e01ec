// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The GPU that is a CPU.
//!
//! All it does is `memcpy`. `benches/copy.rs` tries the alternatives for a 1280x800 frame from scattered pages: stores
//! that bypass the cache take 2.2 times as long (the frame fits the cache, and is read soon), `rep movsb` is as fast as
//! `memcpy`. A whole frame is uploaded in 0.95 to 1.05 times the time of a bare
//! `memcpy` of the same pages.

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

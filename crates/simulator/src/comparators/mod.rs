// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What the scheduler is compared with: small policies that re-express what others have published of theirs.
//!
//! None of them is anybody's product or code: each file says which public description it follows and where it had to fill
//! a gap. Where a description knows no shares (turns, slices), slices are made proportional to the shares, which is kinder.

mod amd_fairness;
mod drm_fair;
mod eevdf;
mod gvt_g;
mod nvidia_strict;
mod round_robin;
mod slots;
mod wf2q_active;

pub use amd_fairness::amd_fairness;
pub use drm_fair::DrmFair;
pub use eevdf::Eevdf;
pub use gvt_g::GvtG;
pub use nvidia_strict::nvidia_strict;
pub use round_robin::RoundRobin;
pub use wf2q_active::Wf2qActive;

/// Virtual nanoseconds of one nanosecond of work, times the weight: weights go to a million.
const SCALE: i128 = 1_000_000_000;

/// The virtual length of `work` for a VM of this weight.
fn virtual_length(work: u64, weight: u64) -> i128 {
    i128::from(work) * SCALE / i128::from(weight.max(1))
}

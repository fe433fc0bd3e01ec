// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How long a VM's next unit may be: as declared, or the largest of the last units.
//!
//! Too high an estimate makes a VM wait, too low a one lets it delay others past their bound. So the estimate errs high:
//! before the first unit it is the hang timeout (no unit can be longer and live), then the maximum, never a mean.

use crate::{Nanos, VmProfile};

/// Units remembered in one maximum.
const BLOCK: u8 = 8;
/// Full blocks remembered: with the one that fills, the last 32 to 39 units.
const BLOCKS: usize = 4;

/// Learns the length of a VM's units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    declared: Option<u64>,
    ceiling: u64,
    bound: Option<u64>,
    seen: bool,
    filling: u64,
    filled: u8,
    blocks: [u64; BLOCKS],
    oldest: usize,
}

impl Estimate {
    pub(crate) fn new(profile: &VmProfile) -> Self {
        Self {
            declared: profile.max_unit.map(|unit| unit.0),
            ceiling: profile.hang_timeout.0,
            bound: None,
            seen: false,
            filling: 0,
            filled: 0,
            blocks: [0; BLOCKS],
            oldest: 0,
        }
    }

    /// Takes over what a changed profile declares; what was learned stays.
    pub(crate) fn set_profile(&mut self, profile: &VmProfile) {
        self.declared = profile.max_unit.map(|unit| unit.0);
        self.ceiling = profile.hang_timeout.0;
    }

    /// Takes the caller's word for the units to come.
    pub(crate) fn set_bound(&mut self, at_most: Option<Nanos>) {
        self.bound = at_most.map(|unit| unit.0);
    }

    /// Learns from a unit's true length.
    pub(crate) fn record(&mut self, ran: u64) {
        self.seen = true;
        self.filling = self.filling.max(ran);
        self.filled += 1;
        if self.filled == BLOCK {
            self.blocks[self.oldest] = self.filling;
            self.oldest = (self.oldest + 1) % BLOCKS;
            self.filling = 0;
            self.filled = 0;
        }
    }

    /// The longest that the next unit is expected to be, in nanoseconds.
    pub(crate) fn longest(&self) -> u64 {
        let known = match (self.declared, self.bound) {
            (Some(declared), Some(bound)) => Some(declared.min(bound)),
            (declared, bound) => declared.or(bound),
        };
        known.unwrap_or_else(|| {
            if self.seen {
                self.blocks.iter().fold(self.filling, |max, &b| max.max(b))
            } else {
                self.ceiling
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_nothing_is_known_then_the_estimate_is_the_longest_unit_that_lives() {
        let profile = VmProfile::default();
        assert_eq!(Estimate::new(&profile).longest(), profile.hang_timeout.0);
    }

    #[test]
    fn given_one_long_unit_when_32_short_ones_follow_then_it_counts_and_after_40_it_is_forgotten() {
        let mut estimate = Estimate::new(&VmProfile::default());
        for lead in 0..8 {
            for _ in 0..lead {
                estimate.record(1);
            }
            estimate.record(1_000);
            for after in 0..31 {
                assert_eq!(
                    estimate.longest(),
                    1_000,
                    "{after} units after the long one"
                );
                estimate.record(1);
            }
            assert_eq!(estimate.longest(), 1_000);
            for _ in 0..9 {
                estimate.record(1);
            }
            assert_eq!(estimate.longest(), 1);
        }
    }

    #[test]
    fn given_a_declared_unit_when_a_bound_is_told_then_the_smaller_counts() {
        let profile = VmProfile {
            max_unit: Some(Nanos(500)),
            ..VmProfile::default()
        };
        let mut estimate = Estimate::new(&profile);
        estimate.record(900);
        assert_eq!(estimate.longest(), 500);
        estimate.set_bound(Some(Nanos(20)));
        assert_eq!(estimate.longest(), 20);
        estimate.set_bound(Some(Nanos(2_000)));
        assert_eq!(estimate.longest(), 500);
        estimate.set_bound(None);
        assert_eq!(estimate.longest(), 500);
    }
}

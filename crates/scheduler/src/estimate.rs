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

/// A length, or one that is longer than any.
fn at_most(unit: Option<Nanos>) -> u64 {
    unit.map_or(u64::MAX, |unit| unit.0)
}

/// The units that a VM has run.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// None: no unit can be longer and live than this.
    Nothing { hang_timeout: u64 },
    /// The longest of each full block, and of the one that fills.
    Units {
        blocks: [u64; BLOCKS],
        filling: u64,
        filled: u8,
        oldest: u8,
    },
}

/// Learns the length of a VM's units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    /// `u64::MAX`: nothing.
    declared: u64,
    /// `u64::MAX`: nothing.
    bound: u64,
    seen: Seen,
}

impl Estimate {
    pub(crate) fn new(profile: &VmProfile) -> Self {
        Self {
            declared: at_most(profile.max_unit),
            bound: u64::MAX,
            seen: Seen::Nothing {
                hang_timeout: profile.hang_timeout.0,
            },
        }
    }

    /// Takes over what a changed profile declares; what was learned stays.
    pub(crate) fn set_profile(&mut self, profile: &VmProfile) {
        self.declared = at_most(profile.max_unit);
        if let Seen::Nothing { hang_timeout } = &mut self.seen {
            *hang_timeout = profile.hang_timeout.0;
        }
    }

    /// Takes the caller's word for the units to come.
    pub(crate) fn set_bound(&mut self, at_most: Option<Nanos>) {
        self.bound = self::at_most(at_most);
    }

    /// Learns from a unit's true length.
    pub(crate) fn record(&mut self, ran: u64) {
        let Seen::Units {
            blocks,
            filling,
            filled,
            oldest,
        } = &mut self.seen
        else {
            self.seen = Seen::Units {
                blocks: [0; BLOCKS],
                filling: ran,
                filled: 1,
                oldest: 0,
            };
            return;
        };
        *filling = (*filling).max(ran);
        *filled += 1;
        if *filled == BLOCK {
            let block = usize::from(*oldest);
            blocks[block] = *filling;
            *oldest = if block + 1 == BLOCKS { 0 } else { *oldest + 1 };
            *filling = 0;
            *filled = 0;
        }
    }

    /// The longest that the next unit is expected to be, in nanoseconds.
    pub(crate) fn longest(&self) -> u64 {
        let known = self.declared.min(self.bound);
        if known < u64::MAX {
            return known;
        }
        match self.seen {
            Seen::Nothing { hang_timeout } => hang_timeout,
            Seen::Units {
                blocks, filling, ..
            } => blocks.iter().fold(filling, |max, &b| max.max(b)),
        }
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

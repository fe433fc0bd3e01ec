// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The fluid references: what an engine that can be divided like water would have done.
//!
//! [`SlowerEngine`] is the guarantee: an engine of its own for one VM, slower by its share. Exact: its times are whole
//! multiples of `ns / ppm`. [`Sharing`] is generalised processor sharing (Parekh and Gallager): at every instant all who
//! have work are served in proportion to their weights. Its work is kept in `2^-20` ns, and each step between two events
//! rounds down by less than one of these: a million events make less than one nanosecond.

use crate::scenario::WHOLE_PPM;

/// An engine of one VM's own, slower by its share.
#[derive(Clone, Copy, Debug)]
pub struct SlowerEngine {
    share: u128,
    /// When it has done all that came, times the share.
    done: u128,
}

impl SlowerEngine {
    /// `None` for a VM without a share: nothing is promised to it.
    #[must_use]
    pub fn new(share_ppm: u32) -> Option<Self> {
        (share_ppm > 0).then_some(Self {
            share: u128::from(share_ppm),
            done: 0,
        })
    }

    /// A request comes: when the slower engine is done with it, in ns rounded up.
    pub fn submit(&mut self, arrival: u64, length: u64) -> u64 {
        let work = u128::from(length) * u128::from(WHOLE_PPM);
        self.done = self.done.max(u128::from(arrival) * self.share) + work;
        u64::try_from(self.done.div_ceil(self.share)).unwrap_or(u64::MAX)
    }
}

const FRACTION: u32 = 20;

#[derive(Clone, Copy, Debug)]
struct Share {
    weight: u128,
    backlog: u128,
    endless: bool,
    served: u128,
}

/// Generalised processor sharing among all VMs.
#[derive(Clone, Debug)]
pub struct Sharing {
    now: u64,
    shares: Vec<Share>,
}

impl Sharing {
    /// VMs of these weights; one that is endless always has work.
    pub fn new(vms: impl IntoIterator<Item = (u64, bool)>) -> Self {
        let share = |(weight, endless)| Share {
            weight: u128::from(weight),
            backlog: 0,
            endless,
            served: 0,
        };
        Self {
            now: 0,
            shares: vms.into_iter().map(share).collect(),
        }
    }

    /// Work comes at the present instant.
    pub fn submit(&mut self, vm: usize, length: u64) {
        self.shares[vm].backlog += u128::from(length) << FRACTION;
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: u64) {
        let mut left = u128::from(now.saturating_sub(self.now)) << FRACTION;
        self.now = now;
        while left > 0 {
            let busy = |share: &&Share| share.endless || share.backlog > 0;
            let weights: u128 = self
                .shares
                .iter()
                .filter(busy)
                .map(|share| share.weight)
                .sum();
            if weights == 0 {
                return;
            }
            // Until the first of them has no more work.
            let first = self
                .shares
                .iter()
                .filter(|share| !share.endless && share.backlog > 0)
                .map(|share| (share.backlog * weights).div_ceil(share.weight))
                .min();
            let step = first.map_or(left, |first| first.min(left));
            for share in &mut self.shares {
                if share.endless {
                    share.served += step * share.weight / weights;
                } else {
                    let part = (step * share.weight / weights).min(share.backlog);
                    share.backlog -= part;
                    share.served += part;
                }
            }
            left -= step;
        }
    }

    /// What a VM has got so far, in whole ns.
    #[must_use]
    pub fn served(&self, vm: usize) -> u64 {
        u64::try_from(self.shares[vm].served >> FRACTION).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_quarter_then_the_slower_engine_takes_four_times_as_long_and_queues() {
        let mut engine = SlowerEngine::new(250_000).expect("a share");
        assert_eq!(engine.submit(100, 10), 140);
        assert_eq!(engine.submit(110, 10), 180);
        assert_eq!(engine.submit(1_000, 1), 1_004);
        assert!(SlowerEngine::new(0).is_none());
    }

    #[test]
    fn given_two_vms_when_one_has_no_more_work_then_the_other_gets_all() {
        let mut sharing = Sharing::new([(1, false), (3, true)]);
        sharing.submit(0, 100);
        sharing.advance(200);
        assert_eq!((sharing.served(0), sharing.served(1)), (50, 150));
        sharing.advance(1_000);
        assert_eq!((sharing.served(0), sharing.served(1)), (100, 900));
    }
}

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
    /// What it gets of an engine now, as a fraction.
    part: (u128, u128),
}

impl Share {
    fn busy(&self) -> bool {
        self.endless || self.backlog > 0
    }
}

/// Generalised processor sharing among all VMs; of several engines none has more than one.
#[derive(Clone, Debug)]
pub struct Sharing {
    now: u64,
    engines: u128,
    shares: Vec<Share>,
}

impl Sharing {
    /// VMs of these weights on so many engines; a VM that is endless always has work.
    pub fn new(engines: u16, vms: impl IntoIterator<Item = (u64, bool)>) -> Self {
        let share = |(weight, endless)| Share {
            weight: u128::from(weight),
            backlog: 0,
            endless,
            served: 0,
            part: (0, 1),
        };
        Self {
            now: 0,
            engines: engines.into(),
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
            if !self.divide() {
                return;
            }
            // Until the first of them has no more work.
            let first = self
                .shares
                .iter()
                .filter(|share| !share.endless && share.backlog > 0)
                .map(|share| (share.backlog * share.part.1).div_ceil(share.part.0))
                .min();
            let step = first.map_or(left, |first| first.min(left));
            for share in self.shares.iter_mut().filter(|share| share.busy()) {
                let part = step * share.part.0 / share.part.1;
                if share.endless {
                    share.served += part;
                } else {
                    let part = part.min(share.backlog);
                    share.backlog -= part;
                    share.served += part;
                }
            }
            left -= step;
        }
    }

    /// Divides the engines among those who have work; whether there is anybody. Who would get more than one engine gets one,
    /// and the others divide the rest.
    fn divide(&mut self) -> bool {
        let busy = self.shares.iter().filter(|share| share.busy());
        let (mut weights, mut engines) =
            (busy.map(|share| share.weight).sum::<u128>(), self.engines);
        if weights == 0 {
            return false;
        }
        for share in &mut self.shares {
            share.part = (0, 1);
        }
        loop {
            let (before, of) = (weights, engines);
            for share in self.shares.iter_mut().filter(|share| share.busy()) {
                if share.part.0 == 0 && share.weight * of >= before {
                    share.part = (1, 1);
                    weights -= share.weight;
                    engines -= 1;
                }
            }
            if weights == before {
                break;
            }
            if weights == 0 || engines == 0 {
                return true;
            }
        }
        for share in self.shares.iter_mut().filter(|share| share.busy()) {
            if share.part.0 == 0 {
                share.part = (share.weight * engines, weights);
            }
        }
        true
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
        let mut sharing = Sharing::new(1, [(1, false), (3, true)]);
        sharing.submit(0, 100);
        sharing.advance(200);
        assert_eq!((sharing.served(0), sharing.served(1)), (50, 150));
        sharing.advance(1_000);
        assert_eq!((sharing.served(0), sharing.served(1)), (100, 900));
    }

    #[test]
    fn given_two_engines_then_no_vm_gets_more_than_one_and_the_others_divide_the_rest() {
        let mut sharing = Sharing::new(2, [(8, true), (1, true), (1, true), (2, false)]);
        sharing.submit(3, 100);
        sharing.advance(200);
        sharing.advance(1_000);
        let served: Vec<u64> = (0..4).map(|vm| sharing.served(vm)).collect();
        assert_eq!(served, [1_000, 450, 450, 100]);
    }
}

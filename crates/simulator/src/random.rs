// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Numbers that depend on the seed alone: the same on every machine and in every build.
//!
//! The generator is xorshift64* (Vigna 2016), its state started by one step of `splitmix64` so that seeds that are close
//! give streams that are not. Exponential and Pareto numbers come from the integer logarithm of [`crate::logarithm`]: no
//! float decides when anything happens.

use crate::logarithm::{LN_2, ONE, exp2, minus_log2};

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream that belongs to `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Zero is the one state that xorshift never leaves.
        Self((z ^ (z >> 31)).max(1))
    }

    /// Any 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in `low..=high`, each as likely to within `2^-32` for ranges below `2^32`; `low` if `high` is less.
    pub fn within(&mut self, low: u64, high: u64) -> u64 {
        let bits = self.bits();
        match high.saturating_sub(low).checked_add(1) {
            Some(span) => low + bits % span,
            None => bits,
        }
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.within(1, n) == 1
    }

    /// An exponentially distributed length with the mean `mean`: the gap to the next arrival of a Poisson process.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        // -ln(u) = -log2(u) * ln 2, at most 45: no overflow.
        let minus_ln = minus_log2(self.bits()) * u128::from(LN_2) / ONE;
        narrow(minus_ln.saturating_mul(u128::from(mean)) / ONE)
    }

    /// A Pareto distributed length of at least `min`, `P(x > k min) = k^-alpha`, with `alpha` in thousandths; at most `most`.
    pub fn pareto(&mut self, min: u64, alpha_thousandths: u64, most: u64) -> u64 {
        let exponent = minus_log2(self.bits()) * 1_000 / u128::from(alpha_thousandths.max(1));
        exp2(exponent)
            .and_then(|factor| factor.checked_mul(u128::from(min)))
            .map_or(most, |length| narrow(length / ONE).min(most))
    }
}

fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUNDS: u64 = 100_000;

    #[test]
    fn given_an_exponential_stream_then_its_mean_and_its_tail_are_right() {
        let mut random = Random::new(1);
        let draws: Vec<u64> = (0..ROUNDS).map(|_| random.exponential(1_000_000)).collect();
        let mean = draws.iter().sum::<u64>() / ROUNDS;
        assert!((985_000..=1_015_000).contains(&mean), "seed 1: {mean}");
        // P(x > 3 mean) = e^-3 = 4.98 %.
        let tail = draws.iter().filter(|&&draw| draw > 3_000_000).count();
        assert!((4_700..=5_260).contains(&tail), "seed 1: {tail}");
    }

    #[test]
    fn given_a_pareto_stream_then_it_starts_at_the_minimum_and_has_the_tail_of_its_alpha() {
        let mut random = Random::new(2);
        let draws: Vec<u64> = (0..ROUNDS)
            .map(|_| random.pareto(1_000, 1_500, 1_000_000))
            .collect();
        assert!(draws.iter().all(|draw| (1_000..=1_000_000).contains(draw)));
        // P(x > 4 min) = 4^-1.5 = 12.5 %.
        let tail = draws.iter().filter(|&&draw| draw > 4_000).count();
        assert!((12_100..=12_900).contains(&tail), "seed 2: {tail}");
    }

    #[test]
    fn given_a_seed_then_the_stream_is_the_one_that_was_published() {
        let mut random = Random::new(1);
        let first: Vec<u64> = (0..3).map(|_| random.within(0, 999)).collect();
        let mut again = Random::new(1);
        assert_eq!(
            first,
            (0..3).map(|_| again.within(0, 999)).collect::<Vec<_>>()
        );
        assert_ne!(Random::new(2).bits(), Random::new(1).bits());
    }
}

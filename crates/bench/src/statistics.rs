// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is said about many samples: percentiles, and the median of repeats.

use rondo_simulator::metrics::percentile;

/// Nanoseconds, in order.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<u64>);

impl Samples {
    /// Puts them in order.
    pub fn new(mut samples: Vec<u64>) -> Self {
        samples.sort_unstable();
        Self(samples)
    }

    /// The smallest sample that so many thousandths of all do not exceed; zero of none.
    pub fn percentile(&self, thousandths: usize) -> f64 {
        percentile(&self.0, thousandths) as f64
    }

    /// Half of them do not exceed it.
    pub fn p50(&self) -> f64 {
        self.percentile(500)
    }

    /// 99 of 100 do not exceed it.
    pub fn p99(&self) -> f64 {
        self.percentile(990)
    }

    /// None exceeds it.
    pub fn greatest(&self) -> f64 {
        self.percentile(1_000)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// The middle of a few repeats; of an even number, the mean of the middle two. Zero of none.
pub fn median(repeats: &[f64]) -> f64 {
    let mut sorted = repeats.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let at = |place: usize| sorted.get(place).copied().unwrap_or(0.0);
    if sorted.len() % 2 == 1 {
        at(middle)
    } else {
        (at(middle.saturating_sub(1)) + at(middle)) / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Samples, median};

    #[test]
    fn given_samples_when_percentiles_are_asked_for_then_each_is_a_sample() {
        let samples = Samples::new((1..=1_000).rev().collect());
        assert_eq!(
            (samples.p50(), samples.p99(), samples.greatest()),
            (500.0, 990.0, 1_000.0)
        );
        assert_eq!(Samples::default().p99(), 0.0);
        assert_eq!(samples.len(), 1_000);
    }

    #[test]
    fn given_repeats_when_the_median_is_asked_for_then_an_outlier_does_not_count() {
        assert_eq!(median(&[1.0, 900.0, 2.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 3.0, 900.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is said about several samples of one quantity: median, extremes, and the ratio of two contenders measured in pairs.

/// The middle sample; of an even number, the mean of the middle two. Nothing of nothing.
pub fn median(samples: &[f64]) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.len() / 2;
    let high = *sorted.get(upper)?;
    if sorted.len() % 2 == 1 {
        return Some(high);
    }
    sorted
        .get(upper.checked_sub(1)?)
        .map(|low| (low + high) / 2.0)
}

/// The median of the ratios of each pair. The two of a pair ran one after the other, so what slows the machine down slows both.
pub fn paired_ratio(ours: &[f64], theirs: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    median(&ratios)
}

/// The smallest and the largest sample.
pub fn extremes(samples: &[f64]) -> Option<(f64, f64)> {
    let first = *samples.first()?;
    Some(
        samples
            .iter()
            .fold((first, first), |(low, high), &x| (low.min(x), high.max(x))),
    )
}

#[cfg(test)]
mod tests {
    use super::{extremes, median, paired_ratio};

    #[test]
    fn given_samples_when_the_median_is_asked_for_then_it_is_the_middle_one() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn given_a_machine_that_slows_down_when_pairs_are_compared_then_their_ratio_holds() {
        let (ours, theirs) = ([2.0, 4.0, 40.0], [1.0, 2.0, 20.0]);
        assert_eq!(paired_ratio(&ours, &theirs), Some(2.0));
        assert_eq!(extremes(&ours), Some((2.0, 40.0)));
        assert_eq!(extremes(&[]), None);
    }
}

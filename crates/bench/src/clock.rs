// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What looking at the clock costs: what a single event takes is little more than that, so it is measured and taken off.

use std::hint::black_box;
use std::time::Instant;

use crate::statistics::Samples;

/// Nanoseconds between two looks at the clock with nothing in between: half of all pairs do not exceed it.
pub fn cost() -> u64 {
    const PAIRS: usize = 100_000;
    let mut pairs = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        let before = Instant::now();
        let after = black_box(Instant::now());
        pairs.push(nanos(before, after));
    }
    // A few dozen nanoseconds: exact in a float.
    let half = Samples::new(pairs).p50();
    (0..).find(|&ns| ns as f64 >= half).unwrap_or(0)
}

/// Nanoseconds from one instant to a later one.
pub fn nanos(from: Instant, to: Instant) -> u64 {
    u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX)
}

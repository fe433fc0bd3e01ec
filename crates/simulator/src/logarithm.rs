// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Logarithm and power to base 2 in integers, in fixed point with 32 bits after the point.
//!
//! The mathematics library of a machine may round its logarithm as it likes, so a float here would make the arrivals of a
//! simulation depend on the machine.

/// 1.0.
pub const ONE: u128 = 1 << 32;
/// The natural logarithm of 2, times 2^32.
pub const LN_2: u64 = 2_977_044_472;

/// `-log2(u)` for `u = (bits + 1) / 2^64`, which is above 0 and at most 1. The answer is in `0..=64.0`.
#[must_use]
pub fn minus_log2(bits: u64) -> u128 {
    let u = u128::from(bits) + 1;
    if u >> 64 == 1 {
        return 0;
    }
    // u = mantissa * 2^-shift with the mantissa in 1.0..2.0, of 63 bits after the point.
    let shift = u.leading_zeros() - 64;
    let mut mantissa = u << shift;
    let mut fraction: u128 = 0;
    // Squaring doubles the logarithm: each time it passes 1 the next binary digit is a one.
    for _ in 0..32 {
        mantissa = (mantissa * mantissa) >> 63;
        fraction <<= 1;
        if mantissa >> 64 == 1 {
            mantissa >>= 1;
            fraction |= 1;
        }
    }
    // log2(u) = fraction - 1 - shift.
    (u128::from(shift) + 1) * ONE - fraction
}

/// `2^exponent`, or `None` if it is 2^48 or more.
#[must_use]
pub fn exp2(exponent: u128) -> Option<u128> {
    let (whole, fraction) = (exponent / ONE, exponent % ONE);
    if whole >= 48 {
        return None;
    }
    let mut power: u128 = 1 << 62;
    for (digit, root) in (0..32).rev().zip(ROOTS) {
        if fraction >> digit & 1 == 1 {
            power = (power * root) >> 62;
        }
    }
    Some((power << whole) >> 30)
}

/// `2^(1/2)`, `2^(1/4)`, `2^(1/8)`... times 2^62.
const ROOTS: [u128; 32] = {
    let mut roots = [0; 32];
    let mut root: u128 = 1 << 63;
    let mut at = 0;
    while at < 32 {
        root = (root << 62).isqrt();
        roots[at] = root;
        at += 1;
    }
    roots
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_powers_of_two_then_the_logarithm_is_exact() {
        assert_eq!(minus_log2(u64::MAX), 0);
        assert_eq!(minus_log2((1 << 63) - 1), ONE);
        assert_eq!(minus_log2((1 << 40) - 1), 24 * ONE);
        assert_eq!(minus_log2(0), 64 * ONE);
    }

    #[test]
    fn given_a_logarithm_then_its_power_gives_the_number_back() {
        for bits in [
            1_u64 << 50,
            3 << 40,
            u64::MAX / 3,
            u64::MAX / 7 * 6,
            12_345_678_901_234,
        ] {
            let power = exp2(minus_log2(bits)).expect("within range");
            // 1/u, times 2^32.
            let expected = (1_u128 << 96) / (u128::from(bits) + 1);
            let error = power.abs_diff(expected);
            assert!(
                error <= expected / 100_000_000 + 1,
                "{bits}: {power} for {expected}"
            );
        }
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Virtual time: real nanoseconds divided by a share of the engine.
//!
//! A VM with a quarter of the engine needs four virtual nanoseconds for each of its own, so VMs of any share are compared on
//! one axis. Integers only. Each VM carries the remainder of its divisions, so that its tag is exact: never off by as much
//! as one virtual nanosecond, however many units it runs.
//!
//! Range: the smallest share is one millionth, so virtual time runs at most 10^6 times as fast as real time: 2^84 in the 584
//! years of a `u64` of nanoseconds. 128 bits leave a factor of 10^13; sums saturate all the same, since a caller may
//! report absurd lengths.

use crate::Ppm;

/// An instant or a length in virtual nanoseconds.
pub(super) type Virtual = u128;

/// The divisor of a VM: its share in parts per million, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Weight(u32);

impl Weight {
    /// The weight of a share; `None` for an empty one.
    pub(super) fn of(share: Ppm) -> Option<Self> {
        (share.get() > 0).then_some(Self(share.get()))
    }

    /// The weight of several VMs together, which may be more than the whole; `None` for nobody.
    pub(super) fn of_sum(parts: u32) -> Option<Self> {
        (parts > 0).then_some(Self(parts))
    }

    pub(super) const fn from_parts(parts: u32) -> Self {
        assert!(parts > 0, "a weight is a divisor");
        Self(parts)
    }

    pub(super) fn parts(self) -> u32 {
        self.0
    }

    /// The virtual length of `work` nanoseconds and the remainder to carry, given the remainder carried so far.
    pub(super) fn stretch(self, work: u64, carried: u32) -> (Virtual, u32) {
        let divisor = u64::from(self.0);
        let whole = u64::from(Ppm::WHOLE.get());
        // Five hours of work fit in 64 bits, where a division is several times as fast.
        let small = work
            .checked_mul(whole)
            .and_then(|parts| parts.checked_add(u64::from(carried)));
        let (length, rest) = match small {
            Some(parts) => (u128::from(parts / divisor), parts % divisor),
            None => {
                let parts = u128::from(work) * u128::from(whole) + u128::from(carried);
                let rest = parts % u128::from(divisor);
                (
                    parts / u128::from(divisor),
                    u64::try_from(rest).unwrap_or(0),
                )
            }
        };
        // A remainder is less than its divisor, a u32.
        (length, u32::try_from(rest).unwrap_or(0))
    }

    /// The virtual length of `work` nanoseconds, rounded up.
    pub(super) fn stretch_up(self, work: u64) -> Virtual {
        self.stretch(work, self.0 - 1).0
    }

    /// The work that fills `length` virtual nanoseconds, rounded down; saturates.
    pub(super) fn work_in(self, length: Virtual) -> u64 {
        let whole = u128::from(Ppm::WHOLE.get());
        u64::try_from(length.saturating_mul(u128::from(self.0)) / whole).unwrap_or(u64::MAX)
    }

    /// The work that fills `length` virtual nanoseconds, rounded up; saturates.
    pub(super) fn work_in_up(self, length: Virtual) -> u64 {
        let whole = u128::from(Ppm::WHOLE.get());
        let parts = length.saturating_mul(u128::from(self.0));
        u64::try_from(parts.div_ceil(whole)).unwrap_or(u64::MAX)
    }

    /// The length in which `to` owes as much work as `self` does in `length`; rounded up: a debt is never made smaller.
    pub(super) fn convert(self, length: Virtual, to: Self) -> Virtual {
        length
            .saturating_mul(u128::from(self.0))
            .div_ceil(u128::from(to.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_any_share_when_many_units_are_charged_then_not_one_nanosecond_is_lost() {
        for parts in [1, 3, 7, 333_333, 999_999, 1_000_000] {
            let weight = Weight::from_parts(parts);
            let (mut tag, mut rest, mut work) = (0_u128, 0, 0_u128);
            for unit in 0..20_000_u64 {
                let length = 1 + unit % 97;
                work += u128::from(length);
                let (virtual_length, carried) = weight.stretch(length, rest);
                tag += virtual_length;
                rest = carried;
            }
            assert_eq!(
                tag * u128::from(parts) + u128::from(rest),
                work * 1_000_000,
                "{parts} ppm"
            );
        }
    }

    #[test]
    fn given_the_longest_work_of_the_smallest_share_then_it_fits() {
        let weight = Weight::from_parts(1);
        assert_eq!(
            weight.stretch_up(u64::MAX),
            u128::from(u64::MAX) * 1_000_000
        );
        assert_eq!(weight.work_in(u128::MAX), u64::MAX);
        assert_eq!(
            Weight::from_parts(3).stretch_up(u64::MAX),
            (u128::from(u64::MAX) * 1_000_000).div_ceil(3)
        );
    }

    /// Small shares, and those around places where divisions turn.
    fn shares() -> impl Iterator<Item = u32> {
        let turns = [
            333_333, 333_334, 499_999, 500_000, 500_001, 999_999, 1_000_000,
        ];
        (1..=40).chain(turns)
    }

    #[test]
    fn given_every_small_work_and_remainder_when_stretched_then_nothing_is_lost_nor_gained() {
        for parts in shares() {
            let weight = Weight::from_parts(parts);
            let remainders = (0..parts.min(40)).chain([parts / 2, parts - 1]);
            for (carried, work) in
                remainders.flat_map(|rest| (0..=120).map(move |work| (rest, work)))
            {
                let (length, rest) = weight.stretch(work, carried);
                assert!(rest < parts, "{parts} ppm, {work} ns, {carried} carried");
                assert_eq!(
                    length * u128::from(parts) + u128::from(rest),
                    u128::from(work) * 1_000_000 + u128::from(carried),
                    "{parts} ppm, {work} ns, {carried} carried"
                );
                let up = weight.stretch_up(work);
                assert!(up == weight.stretch(work, 0).0 || weight.stretch(work, 0).1 > 0);
                assert!(
                    (up * u128::from(parts)).abs_diff(u128::from(work) * 1_000_000)
                        < u128::from(parts)
                );
                assert!(
                    up * u128::from(parts) >= u128::from(work) * 1_000_000,
                    "rounded up"
                );
                assert_eq!(weight.work_in(up), work, "and back");
            }
        }
    }

    #[test]
    fn given_every_small_debt_when_the_share_changes_to_and_fro_then_it_is_never_smaller_and_hardly_greater()
     {
        for from in shares() {
            for to in shares() {
                let (from, to) = (Weight::from_parts(from), Weight::from_parts(to));
                for length in (0..=60).chain([999_999, 1_000_000, 1_000_001]) {
                    let owed = length * u128::from(from.parts());
                    let there = from.convert(length, to);
                    let excess = there * u128::from(to.parts()) - owed;
                    assert!(
                        excess < u128::from(to.parts()),
                        "{from:?} to {to:?}: {length}"
                    );
                    assert!(
                        to.convert(there, from) >= length,
                        "{from:?} to {to:?} and back: {length}"
                    );
                }
            }
        }
    }
}

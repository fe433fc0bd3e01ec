// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM's limit: after each stretch on an engine it stays away until the stretch fits under the limit.
//!
//! A *stretch* is what a VM runs between being granted an engine and giving it back; it is at most the longer of its slice
//! and its longest unit (under `fixed` its slot and one unit, where that does not fit), call it `L`. After a stretch of work `u` that began at `b`, the next may begin at
//! `b + u/limit` at the earliest. So in every window of length `T` the VM runs at most `limit * T + L`: the stretches that
//! begin in the window, but the last, each fill their own `u/limit` of it; a stretch that reaches into the window from
//! before by `x` keeps the next one away for at least `x/limit`; and the last adds at most `L`. Checked by
//! `given_a_limit_then_no_window_exceeds_it_by_more_than_one_stretch`.

use crate::Ppm;

/// When a VM may run next.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Time before which no stretch may begin.
    earliest: u64,
    began: u64,
    used: u64,
}

impl Pace {
    pub(crate) fn begin(&mut self, now: u64) {
        self.began = now;
        self.used = 0;
    }

    pub(crate) fn charge(&mut self, ran: u64) {
        self.used = self.used.saturating_add(ran);
    }

    /// Ends the stretch under `limit`; rounded up, so that rounding never gives time away.
    pub(crate) fn end(&mut self, limit: Option<Ppm>) {
        if let Some(limit) = limit {
            let apart = (u128::from(self.used) * u128::from(Ppm::WHOLE.get()))
                .div_ceil(u128::from(limit.get().max(1)));
            let apart = u64::try_from(apart).unwrap_or(u64::MAX);
            self.earliest = self.earliest.max(self.began).saturating_add(apart);
        }
        self.used = 0;
    }

    /// The limit changes from `old` to `new`: what was used up under the old one keeps nobody away any more, but for the stretch
    /// that began last, which the new one will judge when it ends.
    pub(crate) fn set_limit(&mut self, new: Option<Ppm>, old: Option<Ppm>) {
        if new != old {
            self.earliest = self.earliest.min(self.began);
        }
    }

    /// The time until which the VM must stay away, if that is after `now`.
    pub(crate) fn away_until(&self, now: u64, limit: Option<Ppm>) -> Option<u64> {
        (limit.is_some() && self.earliest > now).then_some(self.earliest)
    }
}

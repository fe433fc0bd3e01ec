// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! NORMAL's part while FOCUS would starve it: the yield calculation.
//!
//! With `p` percent for NORMAL, `f` the time that FOCUS ran while NORMAL waited and `n` the time that NORMAL ran while
//! FOCUS waited, NORMAL is owed `p*f - (100-p)*n`, in percent of nanoseconds. A *yield check* finds NORMAL behind if that
//! is more than zero; then NORMAL passes FOCUS until it is not. Checks are made when a process's turn ends, by its quantum or
//! because it has no work left, and after a focus present.
//!
//! *Bound.* While both have work, `100*n - p*(f + n)` is the negative of what is owed. FOCUS runs for at most a process
//! quantum, a grace period and a unit after a check that found nothing, and NORMAL for at most a grace period and a unit
//! after it is owed nothing. So NORMAL's time is never more than `p` percent of `quantum + grace + unit` below its part, nor
//! more than `100-p` percent of `grace + unit` above it, in any span: tests
//! `given_focus_and_normal_saturated_then_normal_has_its_part_at_every_instant` and
//! `given_default_settings_then_normal_has_ten_percent`.
//!
//! *Sleep.* What is owed to NORMAL ends when NORMAL has no work left. What NORMAL had too much is paid back by FOCUS running,
//! whether NORMAL waits or not. Time that one of them runs while the other has no work is nobody's debt.
//!
//! *Presents.* A focus present causes a check and forgets nothing: a start from zero at each present, as one may read WDDM's
//! texts, would starve NORMAL of a part that it is owed only after some presents
//! (test `given_presents_more_often_than_checks_then_normal_still_has_its_part`).

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NormalFloor {
    /// Percent of nanoseconds; negative if NORMAL had too much. 128 bits hold 100 percent of any sum of 64-bit times.
    owed: i128,
    /// Whether NORMAL passes FOCUS since the last check.
    yielding: bool,
}

impl NormalFloor {
    /// FOCUS ran for `ran`, and NORMAL waited or not.
    pub(super) fn focus_ran(&mut self, ran: u64, percentage: u8, normal_waited: bool) {
        let due = i128::from(percentage) * i128::from(ran);
        let owed = self.owed.saturating_add(due);
        self.owed = if normal_waited {
            owed
        } else {
            owed.min(self.owed.max(0))
        };
    }

    /// NORMAL ran for `ran`, and FOCUS waited or not.
    pub(super) fn normal_ran(&mut self, ran: u64, percentage: u8, focus_waited: bool) {
        let paid = i128::from(100_u8.saturating_sub(percentage)) * i128::from(ran);
        let owed = self.owed.saturating_sub(paid);
        self.owed = if focus_waited {
            owed
        } else {
            owed.max(self.owed.min(0))
        };
    }

    /// NORMAL has no work left.
    pub(super) fn normal_stopped(&mut self) {
        self.owed = self.owed.min(0);
        self.yielding = false;
    }

    /// Whether NORMAL passes FOCUS now; `check`: a yield check is due.
    pub(super) const fn yields(&self, check: bool, percentage: u8, normal_waits: bool) -> bool {
        percentage > 0 && normal_waits && self.owed > 0 && (check || self.yielding)
    }

    /// Keeps what [`Self::yields`] said.
    pub(super) const fn set_yielding(&mut self, yielding: bool) {
        self.yielding = yielding;
    }
}

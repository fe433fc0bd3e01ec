// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How often a VM has hung of late, and when that is too often.

use crate::config::Quarantine;

/// The last resets of a VM, oldest first. Most VMs never have one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resets(Option<Box<Recent>>);

#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    at: [u64; Quarantine::MOST_RESETS as usize],
    count: u8,
}

impl Resets {
    /// Notes a reset at `now`. Tells whether it is one too many.
    pub(crate) fn note(&mut self, now: u64, rule: Option<Quarantine>) -> bool {
        let Some(rule) = rule else { return false };
        let recent = self.0.get_or_insert_default();
        let most = rule.resets.clamp(1, Quarantine::MOST_RESETS);
        // Those that count no more leave the row.
        let mut kept = 0;
        for n in 0..usize::from(recent.count) {
            if now.saturating_sub(recent.at[n]) < rule.within.0 {
                recent.at[kept] = recent.at[n];
                kept += 1;
            }
        }
        if kept == usize::from(Quarantine::MOST_RESETS) {
            recent.at.copy_within(1.., 0);
            kept -= 1;
        }
        recent.at[kept] = now;
        kept += 1;
        recent.count = u8::try_from(kept).unwrap_or(most);
        recent.count >= most
    }

    /// Forgets them.
    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Nanos;

    #[test]
    fn the_third_reset_within_a_minute_is_one_too_many_and_a_slow_row_of_them_never_is() {
        let rule = Some(Quarantine::default());
        let second = 1_000_000_000;
        let mut resets = Resets::default();
        assert!(!resets.note(0, rule));
        assert!(!resets.note(30 * second, rule));
        assert!(resets.note(59 * second, rule));
        resets.forget();
        for n in 0..100 {
            assert!(!resets.note(n * 30 * second, rule), "reset {n}");
        }
    }

    #[test]
    fn without_a_rule_nobody_is_locked_out_and_with_one_reset_everybody_is() {
        let mut resets = Resets::default();
        for n in 0..100 {
            assert!(!resets.note(n, None));
        }
        let strict = Quarantine {
            resets: 1,
            within: Nanos(1),
        };
        assert!(resets.note(100, Some(strict)));
    }

    #[test]
    fn the_longest_row_of_resets_is_remembered_whole() {
        let rule = Some(Quarantine {
            resets: Quarantine::MOST_RESETS,
            within: Nanos(1_000),
        });
        let mut resets = Resets::default();
        for n in 1..Quarantine::MOST_RESETS {
            assert!(!resets.note(u64::from(n), rule));
        }
        assert!(resets.note(100, rule));
        assert!(resets.note(101, rule));
    }
}

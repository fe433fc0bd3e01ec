// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who runs the next unit: the preferred context, or the one that ran last while its grace lasts.

use super::band::Tier;
use super::members::Context;
use super::{Band, BandSettings, ContextId, ContextScheduler};
use crate::table::Slot;

/// A decision that nothing follows from yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// Who runs.
    pub(super) context: Slot,
    /// Whether NORMAL passes FOCUS.
    pub(super) yielding: bool,
    /// When the context that runs must leave for the preferred one; `None` if it is the preferred one.
    pub(super) grace_ends: Option<u64>,
}

impl ContextScheduler {
    /// Whose unit [`unit_begins`](Self::unit_begins) would begin.
    #[must_use]
    pub fn next(&self) -> Option<ContextId> {
        let choice = self.choose()?;
        self.contexts.get(choice.context).map(|context| context.id)
    }

    /// Whether the context that ran last, or runs, must leave the engine to another one at the next unit boundary, by what
    /// is known now: the time of a unit that runs counts from its report on.
    #[must_use]
    pub fn must_yield(&self) -> bool {
        let choice = self.choose().map(|choice| choice.context);
        self.runner.is_some() && choice != self.runner
    }

    pub(super) fn choose(&self) -> Option<Choice> {
        let next = self.next_settings.as_ref().filter(|_| self.check_due);
        let settings = next.unwrap_or(&self.settings).get();
        let top = self.ready.top()?;
        let yielding = self.floor.yields(
            self.check_due,
            settings.normal_percentage,
            self.ready.has(Tier::NORMAL),
        );
        let tier = if top == Tier::FOCUS && yielding {
            Tier::NORMAL
        } else {
            top
        };
        let share = self.tiers.get(tier).shares.first()?;
        let preferred = self.shares.get(share)?.contexts.first()?;
        let stay = Choice {
            context: preferred,
            yielding,
            grace_ends: None,
        };
        let Some(runner) = self.runner.filter(|&runner| runner != preferred) else {
            return Some(stay);
        };
        let victim = self.contexts.get(runner)?;
        let rival = self.contexts.get(preferred)?;
        let grace = grace(victim, rival, settings);
        let ends = self.clock.saturating_add(grace);
        let ends = self.grace_ends.map_or(ends, |before| before.min(ends));
        if self.clock >= ends {
            return Some(stay);
        }
        Some(Choice {
            context: runner,
            grace_ends: Some(ends),
            ..stay
        })
    }
}

/// How long a victim goes on when a rival is preferred.
fn grace(victim: &Context, rival: &Context, settings: &BandSettings) -> u64 {
    let band = rival.properties.band;
    let grace = if victim.properties.band != band {
        if band == Band::Idle {
            return 0;
        }
        settings.grace[band.index()]
    } else if victim.share == rival.share && victim.rank() == rival.rank() {
        rival.properties.grace_same
    } else if victim.process == rival.process {
        rival.properties.grace_lower
    } else {
        settings.process_grace[band.index()]
    };
    grace.0
}

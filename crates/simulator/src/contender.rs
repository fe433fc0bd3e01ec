// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The names of all who can decide: the policies that Rondo ships, and what they are compared with.

use clap::ValueEnum;
use rondo_scheduler::Policy;

/// Somebody who decides who runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Contender {
    /// Rondo's `guaranteed`.
    Guaranteed,
    /// Rondo's `fixed`.
    Fixed,
    /// Rondo's `fair`.
    Fair,
    /// Rondo's `best-effort`.
    BestEffort,
    /// Turns of one unit, nothing charged.
    RoundRobin,
    /// Strict round robin with averaging factor 33, after NVIDIA's user guide.
    NvidiaStrict,
    /// The time-based policy of Intel GVT-g.
    GvtG,
    /// AMD's software mode FAIRNESS.
    AmdFairness,
    /// The fair policy of Linux's DRM scheduler.
    DrmFair,
    /// Earliest eligible virtual deadline first.
    Eevdf,
    /// WF2Q+ on the clock of the active shares.
    Wf2qActive,
}

impl Contender {
    /// All of them, in the order of the tables.
    #[must_use]
    pub fn all() -> &'static [Self] {
        Self::value_variants()
    }

    /// Those that can decide on so many engines: comparators drive one.
    pub fn on(engines: u16) -> impl Iterator<Item = Self> {
        let all = Self::all().iter().copied();
        all.filter(move |contender| engines == 1 || contender.policy().is_some())
    }

    /// The policy, if Rondo ships it; `None` for a comparator.
    #[must_use]
    pub const fn policy(self) -> Option<Policy> {
        match self {
            Self::Guaranteed => Some(Policy::Guaranteed),
            Self::Fixed => Some(Policy::Fixed),
            Self::Fair => Some(Policy::Fair),
            Self::BestEffort => Some(Policy::BestEffort),
            _ => None,
        }
    }

    /// Its name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

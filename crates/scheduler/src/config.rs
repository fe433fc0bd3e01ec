// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a scheduler is made for.

use crate::{Nanos, Policy, Ppm};

/// What a scheduler is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchedulerConfig {
    /// How VMs share an engine; [`crate::Event::SetPolicy`] changes it.
    pub policy: Policy,
    /// How many engines there are, `1..=`[`Self::MAX_ENGINES`]. Each VM has one of them as its home, where its guarantee is;
    /// an engine with nothing to do takes a waiting VM of another one.
    pub engines: u16,
    /// The part of each engine that is promised to nobody. What it costs to change hands is lost to all; where guarantees
    /// add up to everything, nothing pays for it.
    pub reserve: Ppm,
    /// What the client VMs of an engine have together, as one server VM would. Zero: what others leave.
    pub host_guarantee: Ppm,
    /// When a VM that hangs is locked out; `None`: never.
    pub quarantine: Option<Quarantine>,
}

impl SchedulerConfig {
    /// The most engines that one scheduler drives. An event looks at each of them, so that it stays cheap.
    pub const MAX_ENGINES: u16 = 64;
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            policy: Policy::Guaranteed,
            engines: 1,
            reserve: Ppm::default(),
            host_guarantee: Ppm::default(),
            quarantine: Some(Quarantine::default()),
        }
    }
}

/// How many resets in how long lock a VM out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// With this one the VM is locked out, `1..=`[`Self::MOST_RESETS`].
    pub resets: u8,
    /// If all of them were within so long.
    pub within: Nanos,
}

impl Quarantine {
    /// The most resets that are remembered.
    pub const MOST_RESETS: u8 = 8;
}

impl Default for Quarantine {
    /// Three within a minute.
    fn default() -> Self {
        Self {
            resets: 3,
            within: Nanos::from_millis(60_000),
        }
    }
}

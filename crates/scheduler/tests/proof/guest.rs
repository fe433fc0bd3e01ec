// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A VM of a set-up: what it was promised, what it asks for, and how it behaves when it runs.

use std::collections::VecDeque;

use rondo_scheduler::{Mode, Nanos, Ppm, VmId, VmProfile};

use crate::random::Random;

pub const MS: u64 = 1_000_000;
pub const US: u64 = 1_000;

/// What a VM asks for.
#[derive(Clone, Debug)]
pub enum Load {
    /// Requests of a length in `length`, the next one as soon as one ends, after a pause in `pause`.
    Closed {
        length: (u64, u64),
        pause: (u64, u64),
    },
    /// `(arrival, length)`, in order of arrival; arrivals count from when the VM joins.
    List(VecDeque<(u64, u64)>),
}

impl Load {
    /// Always busy, with requests of one length.
    pub fn busy(length: u64) -> Self {
        Self::Closed {
            length: (length, length),
            pause: (0, 0),
        }
    }

    /// `count` requests, one every `period` from `first` on.
    pub fn periodic(first: u64, period: u64, length: u64, count: u64) -> Self {
        Self::List((0..count).map(|n| (first + n * period, length)).collect())
    }
}

/// How a VM behaves; `one in n` units each, zero: never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// The unit takes up to twenty times what was declared.
    pub lies: u64,
    /// The unit never ends by itself.
    pub hangs: u64,
    /// The unit ends at once when it is asked to.
    pub yields: u64,
    /// The report of its end comes late.
    pub dawdles: u64,
}

/// One VM of a set-up.
#[derive(Clone, Debug)]
pub struct Guest {
    pub id: VmId,
    pub profile: VmProfile,
    /// A request is run in units of at most this.
    pub unit: u64,
    /// The scheduler is told how long each next unit is.
    pub announces: bool,
    pub load: Load,
    pub habits: Habits,
}

pub fn ppm(parts: u32) -> Ppm {
    Ppm::new(parts).expect("at most the whole")
}

impl Guest {
    /// A VM with `parts` of an engine that declares its longest unit, without a slice: the rule decides after each unit.
    pub fn new(id: u32, parts: u32, unit: u64, load: Load) -> Self {
        let profile = VmProfile {
            guarantee: ppm(parts),
            slice: Nanos(0),
            max_unit: Some(Nanos(unit)),
            ..VmProfile::default()
        };
        Self {
            id: VmId(id),
            profile,
            unit,
            announces: false,
            load,
            habits: Habits::default(),
        }
    }

    pub fn slice(mut self, slice: u64) -> Self {
        self.profile.slice = Nanos(slice);
        self
    }

    pub fn hang_timeout(mut self, timeout: u64) -> Self {
        self.profile.hang_timeout = Nanos(timeout);
        self
    }

    /// One more process of the host.
    pub fn client(mut self) -> Self {
        self.profile.mode = Mode::Client;
        self.profile.guarantee = Ppm::default();
        self
    }

    /// It behaves for as long as it lives: its units are as declared.
    pub fn is_honest(&self) -> bool {
        self.habits.lies == 0 && self.habits.hangs == 0
    }
}

/// The arrivals of a load that starts now.
pub fn arrivals(load: &Load, now: u64, random: &mut Random) -> VecDeque<(u64, u64)> {
    match load {
        Load::List(list) => list
            .iter()
            .map(|&(at, length)| (now + at, length))
            .collect(),
        Load::Closed { length, pause } => VecDeque::from([(
            now + random.within(0, pause.1),
            random.within(length.0, length.1),
        )]),
    }
}

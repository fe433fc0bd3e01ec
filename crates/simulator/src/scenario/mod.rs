// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A scenario: how long, what a change of hands costs, and the VMs with their shares and loads.
//!
//! The file is TOML. Every key is checked here, once; the rest of the crate works with nanoseconds that are known to be
//! sound.

mod file;
mod inside;
mod load_entry;
mod place;

use std::collections::HashSet;

use rondo_scheduler::inside::BandSettings;

pub use inside::{Context, Process};

use crate::load::{HANG_TIMEOUT, Load};

/// Nanoseconds in a microsecond.
pub const US: u64 = 1_000;
/// Nanoseconds in a millisecond.
pub const MS: u64 = 1_000_000;
/// Nanoseconds in a second.
pub const SECOND: u64 = 1_000_000_000;
/// All of the engine.
pub const WHOLE_PPM: u32 = 1_000_000;
/// The longest time that a scenario may name anywhere: a day. Sums of a few such times are far from the end of a `u64`.
const LONGEST: u64 = 86_400 * SECOND;

/// What is simulated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Nanoseconds of simulated time.
    pub duration: u64,
    /// Nanoseconds that an engine is lost when another VM gets it.
    pub switch_cost: u64,
    /// How many engines there are.
    pub engines: u16,
    /// What all client VMs have together on each engine, in parts per million.
    pub host_share_ppm: u32,
    /// The bands inside each VM that has processes.
    pub bands: BandSettings,
    /// The VMs, at least one.
    pub vms: Vec<Vm>,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    /// Its name in traces and tables: letters, digits, `-`, `_` and `.`; no other VM has it.
    pub name: String,
    /// The guaranteed part of an engine, in parts per million. All together are at most 1,000,000 for each engine.
    pub share_ppm: u32,
    /// Requests run as units of at most this many nanoseconds; `None`: a request is one unit of unknown length.
    pub max_unit: Option<u64>,
    /// What it asks for.
    pub work: Work,
    /// What only the shipped policies know of.
    pub tuning: Tuning,
}

/// What a VM asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// One stream of requests.
    Plain(Load),
    /// Processes with contexts, each with a load of its own; the scheduler inside the VM says whose turn it is.
    Inside(Vec<Process>),
}

/// What the shipped policies take besides shares. Comparators ignore it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tuning {
    /// Not a VM with a guarantee of its own but a client of the host's partition.
    pub client: bool,
    /// Who gets lent time first.
    pub priority: Priority,
    /// The part of an engine that it never exceeds, in parts per million.
    pub limit_ppm: Option<u32>,
    /// How long it keeps the engine against an equal claim; zero: decided after each unit.
    pub slice: u64,
    /// How long it goes on when somebody with a better claim asks.
    pub grace: u64,
    /// After how long a unit counts as hung.
    pub hang_timeout: Option<u64>,
}

/// Who gets lent time first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// After the others.
    Low,
    /// Its part.
    #[default]
    Normal,
    /// Before the others.
    High,
}

impl Vm {
    /// A VM of one stream of requests that is tuned in no way.
    #[must_use]
    pub fn plain(name: String, share_ppm: u32, max_unit: Option<u64>, load: Load) -> Self {
        Self {
            name,
            share_ppm,
            max_unit,
            work: Work::Plain(load),
            tuning: Tuning::default(),
        }
    }

    /// The loads of all its contexts, in the order of the file.
    pub fn loads(&self) -> impl Iterator<Item = &Load> {
        let (plain, inside) = match &self.work {
            Work::Plain(load) => (Some(load), None),
            Work::Inside(processes) => (None, Some(processes)),
        };
        let contexts = inside
            .into_iter()
            .flatten()
            .flat_map(|process| &process.contexts);
        plain
            .into_iter()
            .chain(contexts.map(|context| &context.load))
    }

    /// Its processes, if it has any.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        match &self.work {
            Work::Plain(_) => &[],
            Work::Inside(processes) => processes,
        }
    }

    /// Whether it always has more work.
    #[must_use]
    pub fn endless(&self) -> bool {
        self.loads().any(Load::endless)
    }

    /// Whether it breaks what it says of its units: the bound of others is kept without it, and its own is not promised.
    #[must_use]
    pub fn misbehaves(&self) -> bool {
        self.loads()
            .any(|load| load.hangs() || matches!(load, Load::Liar { .. }))
    }

    /// The share as a weight, for policies that divide by it. A VM without a share counts as 1 %, as under `guaranteed`.
    #[must_use]
    pub fn weight(&self) -> u64 {
        if self.share_ppm == 0 {
            10_000
        } else {
            u64::from(self.share_ppm)
        }
    }

    /// The longest unit that the scheduler is told to expect, if it is told.
    #[must_use]
    pub fn declared_unit(&self) -> Option<u64> {
        match self.work {
            Work::Plain(Load::Liar { declared, .. }) => Some(declared),
            _ => self.max_unit,
        }
    }

    /// After how long a unit of it counts as hung: what the scenario says; or [`HANG_TIMEOUT`], unless its own load has
    /// longer units, which do not hang.
    #[must_use]
    pub fn hang_timeout(&self) -> u64 {
        let longest = || {
            let load = self.loads().map(Load::longest).max().unwrap_or(0);
            self.max_unit.map_or(load, |most| load.min(most))
        };
        self.tuning
            .hang_timeout
            .unwrap_or_else(|| HANG_TIMEOUT.max(longest().saturating_add(1)))
    }
}

/// Why a scenario is refused. One sentence each, with the place and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, an unknown or missing key, or a value of the wrong kind.
    #[error("{}{message}", .line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Syntax {
        /// Where, if it is known; from 1.
        line: Option<usize>,
        /// What.
        message: String,
    },
    /// There is nobody to run.
    #[error("the scenario has no [[vm]]: add at least one")]
    NoVms,
    /// A name that a trace cannot hold.
    #[error("vm name {name:?} is refused: use letters, digits, '-', '_' and '.', at least one")]
    BadName {
        /// The name.
        name: String,
    },
    /// Two VMs of one name.
    #[error("two VMs are named {name:?}: give each its own name")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// More than the engine is promised.
    #[error("the shares add up to {sum} ppm, {} ppm more than {}: lower them to {} or less", .sum - .whole, engines(*.whole), .whole)]
    SharesOverWhole {
        /// What they add up to.
        sum: u64,
        /// What there is.
        whole: u64,
    },
    /// A key that must be there.
    #[error("{place}missing field `{key}`: {remedy}")]
    Missing {
        /// Which VM, process or context.
        place: String,
        /// The key.
        key: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// Two keys that exclude each other, or one that means nothing there.
    #[error("{place}{what}")]
    Contradiction {
        /// Which VM, process or context.
        place: String,
        /// What contradicts what, and the remedy.
        what: &'static str,
    },
    /// Two processes of a VM, or two contexts of a process, of one name.
    #[error("{place}two {kind} are named {name:?}: give each its own name")]
    Twins {
        /// Where.
        place: String,
        /// What they are.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A time or number that must not be zero.
    #[error("{place}{key} is 0: give it a positive value")]
    Zero {
        /// Which VM, or nothing.
        place: String,
        /// The key.
        key: &'static str,
    },
    /// A time that is longer than a day, or a number out of range.
    #[error("{place}{key} is {value}, out of range: it must be at most {most}")]
    TooLarge {
        /// Which VM, or nothing.
        place: String,
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        most: String,
    },
}

fn engines(whole: u64) -> String {
    match whole / u64::from(WHOLE_PPM) {
        1 => "the engine has".to_owned(),
        many => format!("the {many} engines have"),
    }
}

impl Scenario {
    /// The most engines that a scenario may have.
    pub const MAX_ENGINES: u16 = 64;

    /// Reads a scenario.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        Self::parse_for(text, None)
    }

    /// Reads a scenario; with a number of `engines` that counts instead of that of the file.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse_for(text: &str, engines: Option<u16>) -> Result<Self, ScenarioError> {
        let mut scenario = file::parse(text)?;
        if let Some(engines) = engines {
            scenario.engines = engines;
        }
        scenario.check()?;
        Ok(scenario)
    }

    /// What is promised at most: all of each engine.
    #[must_use]
    pub fn whole_ppm(&self) -> u64 {
        u64::from(self.engines) * u64::from(WHOLE_PPM)
    }

    fn check(&self) -> Result<(), ScenarioError> {
        if self.vms.is_empty() {
            return Err(ScenarioError::NoVms);
        }
        let mut names = HashSet::new();
        for vm in &self.vms {
            if !names.insert(&vm.name) {
                return Err(ScenarioError::DuplicateName {
                    name: vm.name.clone(),
                });
            }
        }
        let shares = self.vms.iter().map(|vm| u64::from(vm.share_ppm));
        let host = u64::from(self.host_share_ppm) * u64::from(self.engines);
        let (sum, whole) = (shares.sum::<u64>() + host, self.whole_ppm());
        if sum > whole {
            return Err(ScenarioError::SharesOverWhole { sum, whole });
        }
        Ok(())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A scenario: how long, what a change of hands costs, and the VMs with their shares and loads.
//!
//! The file is TOML. Every key is checked here, once; the rest of the crate works with nanoseconds that are known to be
//! sound.

use std::collections::HashSet;

use serde::Deserialize;

use crate::load::Load;

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
    /// Nanoseconds that the engine is lost when another VM gets it.
    pub switch_cost: u64,
    /// The VMs, at least one.
    pub vms: Vec<Vm>,
}

/// One VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vm {
    /// Its name in traces and tables: letters, digits, `-`, `_` and `.`; no other VM has it.
    pub name: String,
    /// The guaranteed part of the engine, in parts per million. All together are at most 1,000,000.
    pub share_ppm: u32,
    /// Requests run as units of at most this many nanoseconds; `None`: a request is one unit of unknown length.
    pub max_unit: Option<u64>,
    /// What it asks for.
    pub load: Load,
}

impl Vm {
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
        match self.load {
            Load::Liar { declared, .. } => Some(declared),
            _ => self.max_unit,
        }
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
    #[error("the shares add up to {sum} ppm, {} ppm more than the engine has: lower them to 1000000 or less", .sum - u64::from(WHOLE_PPM))]
    SharesOverWhole {
        /// What they add up to.
        sum: u64,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    duration_ms: u64,
    #[serde(default)]
    switch_cost_us: u64,
    #[serde(default)]
    vm: Vec<VmEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VmEntry {
    name: String,
    share_ppm: u64,
    max_unit_us: Option<u64>,
    load: LoadEntry,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum LoadEntry {
    Backlogged {
        length_us: u64,
    },
    Closed {
        length_us: u64,
        think_us: u64,
    },
    Bursty {
        length_us: u64,
        on_ms: u64,
        off_ms: u64,
    },
    Frames {
        length_us: u64,
        period_us: u64,
    },
    Poisson {
        length_us: u64,
        rate_per_s: f64,
    },
    Pareto {
        min_us: u64,
        alpha: f64,
        rate_per_s: f64,
    },
    Hang {
        after_ms: u64,
    },
    Liar {
        declared_us: u64,
        length_us: u64,
    },
    List {
        requests: Vec<(u64, u64)>,
    },
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let file: File = toml::from_str(text).map_err(|error| ScenarioError::Syntax {
            line: error.span().map(|span| {
                let before = text.get(..span.start).unwrap_or(text);
                before.matches('\n').count() + 1
            }),
            message: error.message().replace('\n', " ").replace(
                "expected u64",
                "expected a whole number that is not negative",
            ),
        })?;
        let top = Place { name: None };
        let scenario = Self {
            duration: top.positive("duration_ms", file.duration_ms, MS)?,
            switch_cost: top.time("switch_cost_us", file.switch_cost_us, US)?,
            vms: file.vm.into_iter().map(vm).collect::<Result<_, _>>()?,
        };
        scenario.check()?;
        Ok(scenario)
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
        let sum = self.vms.iter().map(|vm| u64::from(vm.share_ppm)).sum();
        if sum > u64::from(WHOLE_PPM) {
            return Err(ScenarioError::SharesOverWhole { sum });
        }
        Ok(())
    }
}

fn vm(entry: VmEntry) -> Result<Vm, ScenarioError> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if entry.name.is_empty() || !entry.name.chars().all(sound) {
        return Err(ScenarioError::BadName { name: entry.name });
    }
    let place = Place {
        name: Some(&entry.name),
    };
    let share_ppm = u32::try_from(entry.share_ppm)
        .ok()
        .filter(|&share| share <= WHOLE_PPM)
        .ok_or_else(|| place.too_large("share_ppm", entry.share_ppm, WHOLE_PPM))?;
    let max_unit = entry
        .max_unit_us
        .map(|unit| place.positive("max_unit_us", unit, US))
        .transpose()?;
    let load = load(&place, entry.load)?;
    Ok(Vm {
        name: entry.name.clone(),
        share_ppm,
        max_unit,
        load,
    })
}

fn load(place: &Place<'_>, entry: LoadEntry) -> Result<Load, ScenarioError> {
    let length = |value| place.positive("length_us", value, US);
    Ok(match entry {
        LoadEntry::Backlogged { length_us } => Load::Backlogged {
            length: length(length_us)?,
        },
        LoadEntry::Closed {
            length_us,
            think_us,
        } => Load::Closed {
            length: length(length_us)?,
            think: place.time("think_us", think_us, US)?,
        },
        LoadEntry::Bursty {
            length_us,
            on_ms,
            off_ms,
        } => Load::Bursty {
            length: length(length_us)?,
            on: place.positive("on_ms", on_ms, MS)?,
            off: place.time("off_ms", off_ms, MS)?,
        },
        LoadEntry::Frames {
            length_us,
            period_us,
        } => Load::Frames {
            length: length(length_us)?,
            period: place.positive("period_us", period_us, US)?,
        },
        LoadEntry::Poisson {
            length_us,
            rate_per_s,
        } => Load::Poisson {
            length: length(length_us)?,
            mean_gap: place.gap(rate_per_s)?,
        },
        LoadEntry::Pareto {
            min_us,
            alpha,
            rate_per_s,
        } => Load::Pareto {
            min: place.positive("min_us", min_us, US)?,
            alpha_thousandths: place.thousandths("alpha", alpha, 1_000)?,
            mean_gap: place.gap(rate_per_s)?,
        },
        LoadEntry::Hang { after_ms } => Load::Hang {
            after: place.time("after_ms", after_ms, MS)?,
        },
        LoadEntry::Liar {
            declared_us,
            length_us,
        } => Load::Liar {
            declared: place.positive("declared_us", declared_us, US)?,
            length: length(length_us)?,
        },
        LoadEntry::List { requests } => {
            let mut list = Vec::with_capacity(requests.len());
            for (arrival, length) in requests {
                list.push((
                    place.time("the arrival of a request", arrival, US)?,
                    place.positive("the length of a request", length, US)?,
                ));
            }
            // Numbered as they come; those that come together stay in the order of the file.
            list.sort_by_key(|&(arrival, _)| arrival);
            Load::List { requests: list }
        }
    })
}

/// Where a value stands, for the sentence that refuses it.
struct Place<'a> {
    name: Option<&'a str>,
}

impl Place<'_> {
    fn said(&self) -> String {
        self.name
            .map(|name| format!("vm {name:?}: "))
            .unwrap_or_default()
    }

    fn too_large(
        &self,
        key: &'static str,
        value: impl ToString,
        most: impl ToString,
    ) -> ScenarioError {
        ScenarioError::TooLarge {
            place: self.said(),
            key,
            value: value.to_string(),
            most: most.to_string(),
        }
    }

    fn time(&self, key: &'static str, value: u64, unit: u64) -> Result<u64, ScenarioError> {
        value
            .checked_mul(unit)
            .filter(|&time| time <= LONGEST)
            .ok_or_else(|| self.too_large(key, value, LONGEST / unit))
    }

    fn positive(&self, key: &'static str, value: u64, unit: u64) -> Result<u64, ScenarioError> {
        match self.time(key, value, unit)? {
            0 => Err(ScenarioError::Zero {
                place: self.said(),
                key,
            }),
            time => Ok(time),
        }
    }

    /// A positive decimal number as whole thousandths: what is decided with it is decided in integers.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be positive and small"
    )]
    fn thousandths(&self, key: &'static str, value: f64, most: u32) -> Result<u64, ScenarioError> {
        if !value.is_finite() || value > f64::from(most) {
            return Err(self.too_large(key, value, most));
        }
        let thousandths = (value * 1_000.0).round();
        if thousandths < 0.0 {
            return Err(ScenarioError::Syntax {
                line: None,
                message: format!(
                    "{}{key} is {value}, which is negative: give it a positive value",
                    self.said()
                ),
            });
        }
        if thousandths < 1.0 {
            return Err(ScenarioError::Zero {
                place: self.said(),
                key,
            });
        }
        Ok(thousandths as u64)
    }

    /// The mean time between arrivals.
    fn gap(&self, rate_per_s: f64) -> Result<u64, ScenarioError> {
        let rate = self.thousandths("rate_per_s", rate_per_s, 1_000_000)?;
        Ok(SECOND * 1_000 / rate)
    }
}

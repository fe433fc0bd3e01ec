// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How the GPU is shared between VMs: the flags that `rondo run` and `rondo demo` have in common.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use rondo_scheduler::{Nanos, Policy, Quarantine, SchedulerConfig};
use serde::{Deserialize, Serialize};

use super::{Duration, Share};

/// What was written. The doc comments are the help texts.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct SharingOptions {
    /// How the GPU is shared
    #[arg(long, value_enum, default_value_t)]
    pub policy: PolicyChoice,
    /// Engines of the GPU, each as wide as one CPU core: 1 to 64, or auto for one per core that rondo may use
    #[arg(long, value_name = "N|auto", default_value_t)]
    pub engines: EngineCount,
    /// The part of each engine that is promised to no VM; what changes of hands cost is paid from it
    #[arg(long, value_name = "P%", default_value_t = Share(0))]
    pub reserve: Share,
    /// What the VMs of mode=client have together of each engine, as one VM of mode=server would
    #[arg(long, value_name = "P%", default_value_t = Share(0))]
    pub host_guarantee: Share,
    /// Lock a VM out once its units hung so often in so long, like 3/60s, until `rondo ctl pardon`; or off
    #[arg(long, value_name = "N/TIME|off", default_value_t)]
    pub quarantine: QuarantineRule,
}

/// How the GPU is shared, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Between VMs.
    pub policy: PolicyChoice,
    /// Engines, `1..=64`.
    pub engines: u16,
    /// What is promised to nobody, of each engine.
    pub reserve: Share,
    /// What client VMs have together, of each engine.
    pub host_guarantee: Share,
    /// When a VM that hangs is locked out.
    pub quarantine: QuarantineRule,
}

impl SharingOptions {
    /// Checks what was written, and counts the host's cores if need be.
    ///
    /// # Errors
    /// Reserve and the host's guarantee are more than an engine; one sentence.
    pub fn resolve(self) -> Result<Sharing, String> {
        let Self {
            policy,
            engines,
            reserve,
            host_guarantee,
            quarantine,
        } = self;
        let kept = reserve.0.saturating_add(host_guarantee.0);
        if kept > Share::WHOLE.0 {
            return Err(format!(
                "--reserve {reserve} and --host-guarantee {host_guarantee} add up to {}, more than an engine has; lower one of them",
                Share(kept)
            ));
        }
        Ok(Sharing {
            policy,
            engines: engines.count(),
            reserve,
            host_guarantee,
            quarantine,
        })
    }
}

impl Sharing {
    /// What is left of each engine for the guarantees of server VMs, in parts per million.
    #[must_use]
    pub fn promisable(&self) -> u32 {
        let kept = self.reserve.0.saturating_add(self.host_guarantee.0);
        Share::WHOLE.0.saturating_sub(kept)
    }
}

/// How the GPU is shared between VMs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyChoice {
    /// Each VM has its guarantee whenever it has work; idle time is lent
    #[default]
    Guaranteed,
    /// Each VM has its slot in a table of 16 ms, and nothing else; what it leaves stays idle
    Fixed,
    /// The VMs that have work divide all of the GPU, in proportion to their guarantees
    Fair,
    /// The VMs that have work take turns; no share is promised
    BestEffort,
}

impl PolicyChoice {
    /// The scheduler's policy.
    #[must_use]
    pub fn policy(self) -> Policy {
        match self {
            Self::Guaranteed => Policy::Guaranteed,
            Self::Fixed => Policy::Fixed,
            Self::Fair => Policy::Fair,
            Self::BestEffort => Policy::BestEffort,
        }
    }

    /// Its name in flags and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Guaranteed => "guaranteed",
            Self::Fixed => "fixed",
            Self::Fair => "fair",
            Self::BestEffort => "best-effort",
        }
    }
}

impl fmt::Display for PolicyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many engines the GPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineCount {
    /// So many, `1..=64`.
    Given(u16),
    /// One per core that `rondo` may use.
    Auto,
}

impl EngineCount {
    const MOST: u16 = SchedulerConfig::MAX_ENGINES;

    /// The number. `auto` sees the affinity and the cgroup quota that `rondo` was started with.
    #[must_use]
    pub fn count(self) -> u16 {
        match self {
            Self::Given(count) => count,
            Self::Auto => {
                let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
                u16::try_from(cores).unwrap_or(Self::MOST).min(Self::MOST)
            }
        }
    }
}

impl Default for EngineCount {
    fn default() -> Self {
        Self::Given(1)
    }
}

impl FromStr for EngineCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .ok()
            .filter(|count| (1..=Self::MOST).contains(count))
            .map(Self::Given)
            .ok_or_else(|| {
                format!(
                    "'{text}' is no number of engines; give 1 to {}, or auto",
                    Self::MOST
                )
            })
    }
}

impl fmt::Display for EngineCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(count) => count.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// When a VM whose units hang is locked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuarantineRule {
    /// Never.
    Off,
    /// With so many resets in so long.
    After {
        /// The reset that locks it out, `1..=8`.
        resets: u8,
        /// The time in which all of them were.
        within: Duration,
    },
}

impl QuarantineRule {
    /// The scheduler's rule.
    #[must_use]
    pub fn quarantine(self) -> Option<Quarantine> {
        match self {
            Self::Off => None,
            Self::After { resets, within } => Some(Quarantine {
                resets,
                within: Nanos(within.0),
            }),
        }
    }
}

impl Default for QuarantineRule {
    /// Three in a minute.
    fn default() -> Self {
        Self::After {
            resets: 3,
            within: Duration(60_000_000_000),
        }
    }
}

impl FromStr for QuarantineRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self::Off);
        }
        let rule = || {
            let (resets, within) = text.split_once('/')?;
            let resets = resets.parse().ok()?;
            let within: Duration = within.parse().ok()?;
            ((1..=Quarantine::MOST_RESETS).contains(&resets) && within.0 > 0)
                .then_some(Self::After { resets, within })
        };
        rule().ok_or_else(|| {
            format!(
                "'{text}' is no quarantine rule; write 1 to {} resets and a time, like 3/60s, or off",
                Quarantine::MOST_RESETS
            )
        })
    }
}

impl fmt::Display for QuarantineRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::After { resets, within } => write!(f, "{resets}/{within}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> SharingOptions {
        SharingOptions {
            policy: PolicyChoice::default(),
            engines: EngineCount::default(),
            reserve: Share(0),
            host_guarantee: Share(0),
            quarantine: QuarantineRule::default(),
        }
    }

    #[test]
    fn engines_are_1_to_64_or_one_per_core() {
        assert_eq!("1".parse(), Ok(EngineCount::Given(1)));
        assert_eq!("64".parse(), Ok(EngineCount::Given(64)));
        let auto: EngineCount = "auto".parse().expect("a word of ours");
        assert!((1..=64).contains(&auto.count()));
        for wrong in ["0", "65", "-1", "two", "", "1.5", "99999999"] {
            let message = wrong.parse::<EngineCount>().expect_err(wrong);
            assert!(message.contains("1 to 64, or auto"), "{message}");
        }
    }

    #[test]
    fn a_quarantine_rule_is_a_count_and_a_time_or_off() {
        assert_eq!("3/60s".parse(), Ok(QuarantineRule::default()));
        assert_eq!(QuarantineRule::default().to_string(), "3/60s");
        assert_eq!("off".parse(), Ok(QuarantineRule::Off));
        for wrong in ["3", "0/60s", "9/60s", "3/0s", "3/60", "/", "", "3/60s/1"] {
            let message = wrong.parse::<QuarantineRule>().expect_err(wrong);
            assert!(message.contains("3/60s, or off"), "{message}");
        }
    }

    #[test]
    fn what_is_kept_back_is_an_engine_at_most() {
        let most = SharingOptions {
            reserve: Share(400_000),
            host_guarantee: Share(600_000),
            ..options()
        };
        assert_eq!(most.clone().resolve().map(|all| all.promisable()), Ok(0));
        let more = SharingOptions {
            reserve: Share(400_001),
            ..most
        };
        let message = more.resolve().expect_err("more than an engine");
        assert!(message.contains("--reserve 40.0001%"), "{message}");
        assert!(message.contains("100.0001%"), "{message}");
    }

    #[test]
    fn a_policys_name_is_its_flag_and_its_word_on_the_control_socket() {
        for policy in PolicyChoice::value_variants() {
            let flag = policy.to_possible_value().expect("none is hidden");
            assert_eq!(flag.get_name(), policy.name());
            let json = serde_json::to_string(policy).expect("plain data");
            assert_eq!(json, format!("\"{policy}\""));
        }
    }
}

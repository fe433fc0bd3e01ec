// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The scheduler's journal: what it was told and what it answered, as lines of text.
//!
//! The scheduler is pure: the same events at the same instants give the same actions. So a journal of a run in real time,
//! fed to a fresh scheduler, gives the same decisions bit for bit, or shows at which line they part. Nothing is read or
//! written here; the caller has the file.
//!
//! # Form
//! The first line is the header: the version of the form and the [`SchedulerConfig`]. Each other line is one call of
//! [`crate::Scheduler::on`]: the instant, the event, and the actions that it appended, each after ` | `. A refused event ends
//! with `refused:` and the reason, which is there for readers: that it was refused counts, not how it was said.
//!
//! ```text
//! rondo-journal 1 policy=guaranteed engines=1 reserve=0 host=0 quarantine=3/60000000000
//! 17 add v1 server guarantee=750000 limit=- slice=2000000 max_unit=- grace=0 hang=250000000 priority=normal
//! 20 ready v1 | grant e0 v1 | wake 250000020
//! 100020 done e0 v1 100000 idle | revoke e0 v1
//! 100020 ready v2 | refused: VM 2 is not known here
//! ```
//!
//! Times are nanoseconds, shares parts per million, `v1` is a VM, `e0` an engine, `-` nothing. The other events are
//! `profile` (as `add`), `remove v1`, `policy fair`, `pardon v1`, `bound v1 500000`, `timer`; the other actions `preempt e0 v1`,
//! `reset e0 v1` and `quarantine v1`. A form that says more gets another number.
//!
//! # Example
//! ```
//! use rondo_scheduler::journal::Journal;
//! use rondo_scheduler::{Actions, Event, Nanos, Scheduler, SchedulerConfig, VmId, VmProfile};
//!
//! let config = SchedulerConfig::default();
//! let mut scheduler = Scheduler::new(config)?;
//! let mut actions = Actions::new();
//! let mut text = format!("{}\n", Journal::header(&config));
//! for event in [Event::AddVm { vm: VmId(1), profile: VmProfile::default() }, Event::Ready { vm: VmId(1) }] {
//!     actions.clear();
//!     let result = scheduler.on(Nanos(5), event, &mut actions);
//!     text += &format!("{}\n", Journal::line(Nanos(5), &event, actions.as_slice(), &result));
//! }
//!
//! let journal = Journal::parse(&text)?;
//! assert_eq!(journal.config, config);
//! assert_eq!(journal.entries[1].event, Event::Ready { vm: VmId(1) });
//! assert_eq!(journal.entries[1].actions, actions.as_slice());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt::{self, Display, Formatter};
use std::num::NonZeroUsize;
use std::str::{FromStr, SplitWhitespace};

use crate::{
    Action, EngineId, Event, Mode, Nanos, Policy, Ppm, Priority, Quarantine, SchedulerConfig,
    SchedulerError, VmId, VmProfile,
};

/// The version of the form.
pub const VERSION: u32 = 1;
/// The first word of a journal.
const NAME: &str = "rondo-journal";
/// Between the event and each action.
const SEPARATOR: char = '|';
const REFUSED: &str = "refused:";

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// What the scheduler was made for.
    pub config: SchedulerConfig,
    /// What it was told, in order; entry `n`, from 0, stands in line `n + 2`.
    pub entries: Vec<Entry>,
    /// The last line has no end, since the run was killed while it was written; it is left out.
    pub cut_off: bool,
}

/// One call of the scheduler, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The instant that it was told.
    pub now: Nanos,
    /// What happened.
    pub event: Event,
    /// What it answered.
    pub actions: Vec<Action>,
    /// Why it refused the event, if it did.
    pub refused: Option<String>,
}

impl Journal {
    /// The header of a journal, without the end of the line.
    #[must_use]
    pub const fn header(config: &SchedulerConfig) -> Header<'_> {
        Header { config }
    }

    /// The line of one call, without the end of the line: `actions` are those that this call appended. Writing it allocates nothing.
    #[must_use]
    pub const fn line<'a>(
        now: Nanos,
        event: &'a Event,
        actions: &'a [Action],
        result: &'a Result<(), SchedulerError>,
    ) -> Line<'a> {
        Line {
            now,
            event,
            actions,
            result,
        }
    }

    /// Reads a whole journal.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, JournalError> {
        let (text, rest) = text.rsplit_once('\n').ok_or(JournalError::NotAJournal)?;
        let mut lines = (1..).filter_map(NonZeroUsize::new).zip(text.split('\n'));
        let (_, first) = lines.next().ok_or(JournalError::NotAJournal)?;
        let config = parse_header(first)?;
        let entry = |(line, text): (NonZeroUsize, &str)| {
            Entry::parse(text).map_err(|fault| JournalError::Line {
                line: line.get(),
                fault,
            })
        };
        Ok(Self {
            config,
            entries: lines.map(entry).collect::<Result<_, _>>()?,
            cut_off: !rest.is_empty(),
        })
    }
}

/// The header, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    config: &'a SchedulerConfig,
}

/// One line, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    now: Nanos,
    event: &'a Event,
    actions: &'a [Action],
    result: &'a Result<(), SchedulerError>,
}

/// Why a text is not a journal. One sentence each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another kind of file, or an empty one.
    #[error("not a scheduler journal: its first line does not begin with \"{NAME}\"")]
    NotAJournal,
    /// A form that is not known here.
    #[error(
        "a journal of version {found}, and only version {VERSION} is read here: replay it with the build that wrote it"
    )]
    Version {
        /// The version that it names.
        found: String,
    },
    /// A line is wrong.
    #[error("line {line}: {fault}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ends too soon: the file may have been cut off.
    #[error("{what} is missing")]
    Missing {
        /// What should stand there.
        what: &'static str,
    },
    /// A word is not what should stand there.
    #[error("{found:?} is not {what}")]
    NotThat {
        /// The word.
        found: String,
        /// What should stand there.
        what: &'static str,
    },
    /// There is more than belongs there.
    #[error("{found:?} is too much")]
    TooMuch {
        /// The first word of it.
        found: String,
    },
}

fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Guaranteed => "guaranteed",
        Policy::Fixed => "fixed",
        Policy::Fair => "fair",
        Policy::BestEffort => "best-effort",
    }
}

/// A value, or `-`.
struct Maybe<T>(Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

impl Display for Header<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let SchedulerConfig {
            policy,
            engines,
            reserve,
            host_guarantee,
            quarantine,
        } = *self.config;
        write!(
            f,
            "{NAME} {VERSION} policy={} engines={engines} reserve={} host={} quarantine=",
            policy_name(policy),
            reserve.get(),
            host_guarantee.get()
        )?;
        match quarantine {
            Some(Quarantine { resets, within }) => write!(f, "{resets}/{}", within.0),
            None => f.write_str("-"),
        }
    }
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.now.0)?;
        write_event(f, self.event)?;
        for action in self.actions {
            write!(f, " {SEPARATOR} ")?;
            write_action(f, action)?;
        }
        match self.result {
            Ok(()) => Ok(()),
            Err(reason) => write!(f, " {SEPARATOR} {REFUSED} {reason}"),
        }
    }
}

fn write_event(f: &mut Formatter<'_>, event: &Event) -> fmt::Result {
    match event {
        Event::AddVm { vm, profile } => {
            write!(f, "add v{}", vm.0)?;
            write_profile(f, profile)
        }
        Event::SetProfile { vm, profile } => {
            write!(f, "profile v{}", vm.0)?;
            write_profile(f, profile)
        }
        Event::RemoveVm { vm } => write!(f, "remove v{}", vm.0),
        Event::SetPolicy { policy } => write!(f, "policy {}", policy_name(*policy)),
        Event::Pardon { vm } => write!(f, "pardon v{}", vm.0),
        Event::UnitBound { vm, at_most } => {
            write!(f, "bound v{} {}", vm.0, Maybe(at_most.map(|unit| unit.0)))
        }
        Event::Ready { vm } => write!(f, "ready v{}", vm.0),
        Event::UnitDone {
            engine,
            vm,
            ran,
            more,
        } => {
            let then = if *more { "more" } else { "idle" };
            write!(f, "done e{} v{} {} {then}", engine.0, vm.0, ran.0)
        }
        Event::Timer => f.write_str("timer"),
    }
}

fn write_profile(f: &mut Formatter<'_>, profile: &VmProfile) -> fmt::Result {
    let VmProfile {
        mode,
        guarantee,
        limit,
        slice,
        max_unit,
        grace,
        hang_timeout,
        priority,
    } = *profile;
    let mode = match mode {
        Mode::Server => "server",
        Mode::Client => "client",
    };
    let priority = match priority {
        Priority::Low => "low",
        Priority::Normal => "normal",
        Priority::High => "high",
    };
    write!(
        f,
        " {mode} guarantee={} limit={} slice={} max_unit={} grace={} hang={} priority={priority}",
        guarantee.get(),
        Maybe(limit.map(Ppm::get)),
        slice.0,
        Maybe(max_unit.map(|unit| unit.0)),
        grace.0,
        hang_timeout.0
    )
}

fn write_action(f: &mut Formatter<'_>, action: &Action) -> fmt::Result {
    match action {
        Action::Grant { engine, vm } => write!(f, "grant e{} v{}", engine.0, vm.0),
        Action::Preempt { engine, vm } => write!(f, "preempt e{} v{}", engine.0, vm.0),
        Action::Revoke { engine, vm } => write!(f, "revoke e{} v{}", engine.0, vm.0),
        Action::ResetEngine { engine, vm } => write!(f, "reset e{} v{}", engine.0, vm.0),
        Action::Quarantine { vm } => write!(f, "quarantine v{}", vm.0),
        Action::WakeAt { at } => write!(f, "wake {}", at.0),
    }
}

/// Reads the first line of a journal.
///
/// # Errors
/// If it is not the header of a journal of this version.
pub fn parse_header(line: &str) -> Result<SchedulerConfig, JournalError> {
    let mut words = Words(line.split_whitespace());
    if words.next("the name").ok() != Some(NAME) {
        return Err(JournalError::NotAJournal);
    }
    let faulty = |fault| JournalError::Line { line: 1, fault };
    let version = words.next("the version").map_err(faulty)?;
    if version.parse() != Ok(VERSION) {
        return Err(JournalError::Version {
            found: version.to_owned(),
        });
    }
    let config = words.config().map_err(faulty)?;
    words.end().map_err(faulty)?;
    Ok(config)
}

impl Entry {
    /// Reads a line of a journal, other than the first.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(line: &str) -> Result<Self, Fault> {
        let mut parts = line.split(SEPARATOR);
        let mut words = Words(parts.next().unwrap_or_default().split_whitespace());
        let now = words.nanos("an instant in ns")?;
        let event = words.event()?;
        words.end()?;
        let mut actions = Vec::new();
        let mut refused = None;
        for part in parts {
            let part = part.trim();
            if let Some(reason) = refused {
                // A reason may hold the separator: it goes to the end of the line.
                refused = Some(format!("{reason} {SEPARATOR} {part}"));
            } else if let Some(reason) = part.strip_prefix(REFUSED) {
                refused = Some(reason.trim().to_owned());
            } else {
                let mut words = Words(part.split_whitespace());
                actions.push(words.action()?);
                words.end()?;
            }
        }
        Ok(Self {
            now,
            event,
            actions,
            refused,
        })
    }
}

/// The words of a line, from left to right.
struct Words<'a>(SplitWhitespace<'a>);

impl<'a> Words<'a> {
    fn next(&mut self, what: &'static str) -> Result<&'a str, Fault> {
        self.0.next().ok_or(Fault::Missing { what })
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.0.next().map_or(Ok(()), |found| {
            Err(Fault::TooMuch {
                found: found.to_owned(),
            })
        })
    }

    fn nanos(&mut self, what: &'static str) -> Result<Nanos, Fault> {
        number(self.next(what)?, what).map(Nanos)
    }

    fn vm(&mut self) -> Result<VmId, Fault> {
        const WHAT: &str = "a VM, such as v1";
        prefixed(self.next(WHAT)?, "v", WHAT).map(VmId)
    }

    fn engine(&mut self) -> Result<EngineId, Fault> {
        const WHAT: &str = "an engine, such as e0";
        prefixed(self.next(WHAT)?, "e", WHAT).map(EngineId)
    }

    /// What follows `key=`; `what` names both, for the sentence.
    fn keyed(&mut self, key: &str, what: &'static str) -> Result<&'a str, Fault> {
        let word = self.next(what)?;
        word.strip_prefix(key)
            .and_then(|rest| rest.strip_prefix('='))
            .ok_or_else(|| not_that(word, what))
    }

    fn policy(word: &str) -> Result<Policy, Fault> {
        const ALL: [Policy; 4] = [
            Policy::Guaranteed,
            Policy::Fixed,
            Policy::Fair,
            Policy::BestEffort,
        ];
        ALL.into_iter()
            .find(|&policy| policy_name(policy) == word)
            .ok_or_else(|| not_that(word, "a policy"))
    }

    fn config(&mut self) -> Result<SchedulerConfig, Fault> {
        Ok(SchedulerConfig {
            policy: Self::policy(self.keyed("policy", "policy=NAME")?)?,
            engines: number(self.keyed("engines", "engines=N")?, "a number of engines")?,
            reserve: ppm(self.keyed("reserve", "reserve=PPM")?)?,
            host_guarantee: ppm(self.keyed("host", "host=PPM")?)?,
            quarantine: maybe(
                self.keyed("quarantine", "quarantine=RESETS/NS")?,
                quarantine,
            )?,
        })
    }

    fn profile(&mut self) -> Result<VmProfile, Fault> {
        let mode = match self.next("server or client")? {
            "server" => Mode::Server,
            "client" => Mode::Client,
            other => return Err(not_that(other, "server or client")),
        };
        Ok(VmProfile {
            mode,
            guarantee: ppm(self.keyed("guarantee", "guarantee=PPM")?)?,
            limit: maybe(self.keyed("limit", "limit=PPM")?, ppm)?,
            slice: nanos(self.keyed("slice", "slice=NS")?)?,
            max_unit: maybe(self.keyed("max_unit", "max_unit=NS")?, nanos)?,
            grace: nanos(self.keyed("grace", "grace=NS")?)?,
            hang_timeout: nanos(self.keyed("hang", "hang=NS")?)?,
            priority: match self.keyed("priority", "priority=NAME")? {
                "low" => Priority::Low,
                "normal" => Priority::Normal,
                "high" => Priority::High,
                other => return Err(not_that(other, "low, normal or high")),
            },
        })
    }

    fn event(&mut self) -> Result<Event, Fault> {
        Ok(match self.next("an event")? {
            "add" => Event::AddVm {
                vm: self.vm()?,
                profile: self.profile()?,
            },
            "profile" => Event::SetProfile {
                vm: self.vm()?,
                profile: self.profile()?,
            },
            "remove" => Event::RemoveVm { vm: self.vm()? },
            "policy" => Event::SetPolicy {
                policy: Self::policy(self.next("a policy")?)?,
            },
            "pardon" => Event::Pardon { vm: self.vm()? },
            "bound" => Event::UnitBound {
                vm: self.vm()?,
                at_most: maybe(self.next("a length in ns, or -")?, nanos)?,
            },
            "ready" => Event::Ready { vm: self.vm()? },
            "done" => Event::UnitDone {
                engine: self.engine()?,
                vm: self.vm()?,
                ran: self.nanos("a length in ns")?,
                more: match self.next("more or idle")? {
                    "more" => true,
                    "idle" => false,
                    other => return Err(not_that(other, "more or idle")),
                },
            },
            "timer" => Event::Timer,
            other => return Err(not_that(other, "an event")),
        })
    }

    fn action(&mut self) -> Result<Action, Fault> {
        let name = self.next("an action")?;
        if name == "wake" {
            let at = self.nanos("an instant in ns")?;
            return Ok(Action::WakeAt { at });
        }
        if name == "quarantine" {
            return Ok(Action::Quarantine { vm: self.vm()? });
        }
        let make: fn(EngineId, VmId) -> Action = match name {
            "grant" => |engine, vm| Action::Grant { engine, vm },
            "preempt" => |engine, vm| Action::Preempt { engine, vm },
            "revoke" => |engine, vm| Action::Revoke { engine, vm },
            "reset" => |engine, vm| Action::ResetEngine { engine, vm },
            other => return Err(not_that(other, "an action")),
        };
        Ok(make(self.engine()?, self.vm()?))
    }
}

fn not_that(found: &str, what: &'static str) -> Fault {
    Fault::NotThat {
        found: found.to_owned(),
        what,
    }
}

fn number<T: FromStr>(word: &str, what: &'static str) -> Result<T, Fault> {
    word.parse().map_err(|_| not_that(word, what))
}

fn prefixed<T: FromStr>(word: &str, prefix: &str, what: &'static str) -> Result<T, Fault> {
    word.strip_prefix(prefix)
        .and_then(|rest| rest.parse().ok())
        .ok_or_else(|| not_that(word, what))
}

fn nanos(word: &str) -> Result<Nanos, Fault> {
    number(word, "a length in ns").map(Nanos)
}

fn ppm(word: &str) -> Result<Ppm, Fault> {
    const WHAT: &str = "a share of 0 to 1000000 ppm";
    Ppm::new(number(word, WHAT)?).ok_or_else(|| not_that(word, WHAT))
}

fn quarantine(word: &str) -> Result<Quarantine, Fault> {
    const WHAT: &str = "a number of resets, a slash and a length in ns";
    let (resets, within) = word.split_once('/').ok_or_else(|| not_that(word, WHAT))?;
    Ok(Quarantine {
        resets: number(resets, WHAT)?,
        within: nanos(within)?,
    })
}

fn maybe<T>(word: &str, parse: impl FnOnce(&str) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
    if word == "-" {
        Ok(None)
    } else {
        parse(word).map(Some)
    }
}

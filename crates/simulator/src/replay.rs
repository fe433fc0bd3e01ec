// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A recorded run again: the events of its journal to a fresh scheduler, and each answer beside the recorded one.

use std::collections::BTreeMap;
use std::fmt;

use rondo_scheduler::journal::{Entry, Journal};
use rondo_scheduler::{Action, Actions, Event, Scheduler, SchedulerError};

use crate::trace::{FNV_START, fnv};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// How many calls were made, up to and with the first difference.
    pub calls: usize,
    /// How many of them were refused.
    pub refused: usize,
    /// The answers, by kind.
    pub actions: BTreeMap<&'static str, usize>,
    /// FNV-1a of all answers: the same decisions have the same hash.
    pub hash: u64,
    /// Whether the end of the journal is missing.
    pub cut_off: bool,
    /// Where the answers part, if they do.
    pub difference: Option<Difference>,
}

/// Two answers to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The line of the journal, from 1.
    pub line: usize,
    /// What happened.
    pub event: Event,
    /// What the journal has.
    pub recorded: Answer,
    /// What the scheduler says now.
    pub replayed: Answer,
}

/// What the scheduler answered to one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it asked for.
    pub actions: Vec<Action>,
    /// Whether it refused the event.
    pub refused: bool,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = if self.refused { ", refused" } else { "" };
        if self.actions.is_empty() {
            return write!(f, "nothing{refused}");
        }
        let actions: Vec<String> = self
            .actions
            .iter()
            .map(|action| format!("{action:?}"))
            .collect();
        write!(f, "{}{refused}", actions.join(", "))
    }
}

/// Replays a journal up to its first difference.
///
/// # Errors
/// If no scheduler can be made as its header says.
pub fn replay(journal: &Journal) -> Result<Replayed, SchedulerError> {
    let mut scheduler = Scheduler::new(journal.config)?;
    let mut actions = Actions::new();
    let mut replayed = Replayed {
        calls: 0,
        refused: 0,
        actions: BTreeMap::new(),
        hash: FNV_START,
        cut_off: journal.cut_off,
        difference: None,
    };
    for (entry, line) in journal.entries.iter().zip(2..) {
        actions.clear();
        let result = scheduler.on(entry.now, entry.event, &mut actions);
        let answer = Answer {
            actions: actions.as_slice().to_vec(),
            refused: result.is_err(),
        };
        replayed.add(&answer);
        let recorded = recorded(entry);
        if answer != recorded {
            replayed.difference = Some(Difference {
                line,
                event: entry.event,
                recorded,
                replayed: answer,
            });
            break;
        }
    }
    Ok(replayed)
}

fn recorded(entry: &Entry) -> Answer {
    Answer {
        actions: entry.actions.clone(),
        refused: entry.refused.is_some(),
    }
}

impl Replayed {
    fn add(&mut self, answer: &Answer) {
        self.calls += 1;
        self.refused += usize::from(answer.refused);
        for action in &answer.actions {
            *self.actions.entry(kind(action)).or_default() += 1;
        }
        let said = format!("{answer}\n");
        self.hash = said.bytes().fold(self.hash, fnv);
    }
}

const fn kind(action: &Action) -> &'static str {
    match action {
        Action::Grant { .. } => "grants",
        Action::Preempt { .. } => "preemptions",
        Action::Revoke { .. } => "revocations",
        Action::ResetEngine { .. } => "resets",
        Action::Quarantine { .. } => "quarantines",
        Action::WakeAt { .. } => "timers",
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.actions.iter();
        let counts: Vec<String> = counts
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        writeln!(
            f,
            "{} events ({} refused): {}",
            self.calls,
            self.refused,
            counts.join(", ")
        )?;
        if self.cut_off {
            writeln!(
                f,
                "the last line of the journal was cut off and is left out"
            )?;
        }
        match &self.difference {
            None => writeln!(
                f,
                "every decision is the recorded one, hash {:016x}",
                self.hash
            ),
            Some(difference) => writeln!(
                f,
                "line {}: to {:?} the journal has {}, and now it is {}",
                difference.line, difference.event, difference.recorded, difference.replayed
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use rondo_scheduler::{EngineId, Nanos, Ppm, SchedulerConfig, VmId, VmProfile};

    use super::*;

    /// Two VMs that always have work, for so many units.
    fn record(units: u64) -> String {
        let config = SchedulerConfig::default();
        let mut text = format!("{}\n", Journal::header(&config));
        let mut scheduler = Scheduler::new(config).unwrap();
        let mut holder = None;
        let mut now = Nanos(u64::MAX - 1_000_000);
        let mut call = |now: Nanos, event: Event| {
            let mut actions = Actions::new();
            let result = scheduler.on(now, event, &mut actions);
            text += &format!(
                "{}\n",
                Journal::line(now, &event, actions.as_slice(), &result)
            );
            for action in actions.drain() {
                match action {
                    Action::Grant { vm, .. } => holder = Some(vm),
                    Action::Revoke { .. } => holder = None,
                    _ => {}
                }
            }
            holder
        };
        for (id, share) in [(1, 750_000), (2, 250_000)] {
            let vm = VmId(id);
            let profile = VmProfile {
                guarantee: Ppm::new(share).unwrap(),
                ..VmProfile::default()
            };
            call(now, Event::AddVm { vm, profile });
            call(now, Event::Ready { vm });
        }
        let mut holder = call(now, Event::Ready { vm: VmId(3) });
        for _ in 0..units {
            let vm = holder.expect("somebody runs");
            now = Nanos(now.0.wrapping_add(300_000));
            let (engine, ran) = (EngineId(0), Nanos(300_000));
            holder = call(
                now,
                Event::UnitDone {
                    engine,
                    vm,
                    ran,
                    more: true,
                },
            );
        }
        text
    }

    #[test]
    fn given_a_recorded_run_then_its_replay_makes_the_same_decisions_over_the_end_of_the_clock_too()
    {
        let journal = Journal::parse(&record(200)).unwrap();
        let replayed = replay(&journal).unwrap();
        assert_eq!(replayed.difference, None);
        assert_eq!((replayed.calls, replayed.refused), (205, 1));
        assert!(replayed.actions["grants"] > 10, "{replayed}");
        assert_eq!(replay(&journal).unwrap().hash, replayed.hash);
    }

    #[test]
    fn given_a_journal_in_which_somebody_else_was_granted_then_its_line_is_named() {
        let text = record(50);
        let line = text
            .lines()
            .position(|line| line.contains("grant e0 v2"))
            .unwrap();
        let forged = text.replacen("grant e0 v2", "grant e0 v1", 1);
        let replayed = replay(&Journal::parse(&forged).unwrap()).unwrap();
        let difference = replayed.difference.clone().unwrap();
        assert_eq!(difference.line, line + 1);
        assert!(
            replayed
                .to_string()
                .contains(&format!("line {}: ", line + 1)),
            "{replayed}"
        );
    }
}

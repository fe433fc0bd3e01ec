// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One VM in a trace: a track for the VM, one under it for each process, one under that for each context, and two counters.
//!
//! A context's track shows when it was ready (it had work and waited) and when it ran; a process' and the VM's show when
//! any of theirs ran. What follows without a gap is one slice there, so the VM's slices are its turns on the engine. Only
//! contexts that live or have work are remembered, so memory is bounded by what the VM's own limit allows it to have.

use std::collections::HashMap;
use std::sync::Arc;

use rondo_adapter::ddi::ContextOwner;
use rondo_adapter::handle::{ContextHandle, KmdProcessHandle};
use rondo_adapter::scheduling_log::{ContextState, LogEntry};

use super::engines::Turn;
use super::packet::{Packets, Track};
use crate::report::parts_per_million;

const RUNNING: &str = "running";
const READY: &str = "ready";

/// A track on which spans that touch become one slice.
#[derive(Debug)]
struct Lane {
    track: Track,
    open: Option<(u64, u64)>,
}

impl Lane {
    const fn new(track: Track) -> Self {
        Self { track, open: None }
    }

    fn ran(&mut self, start: u64, end: u64, packets: &mut Packets) {
        match &mut self.open {
            Some((_, until)) if *until == start => *until = end,
            _ => {
                self.flush(packets);
                self.open = Some((start, end));
            }
        }
    }

    fn flush(&mut self, packets: &mut Packets) {
        if let Some((start, end)) = self.open.take() {
            packets.slice(self.track, RUNNING, start, end);
        }
    }
}

/// A context.
#[derive(Debug)]
struct Line {
    track: Track,
    /// `None`: the worker's own, under the VM itself.
    process: Option<KmdProcessHandle>,
    state: ContextState,
    since: u64,
    /// The engine that runs it, or ran it last.
    node: u16,
}

/// See the module. All times are nanoseconds on the adapter's clock.
#[derive(Debug)]
pub struct Timeline {
    name: Arc<str>,
    vm: Lane,
    share: Track,
    lag: Track,
    processes: HashMap<KmdProcessHandle, Lane>,
    contexts: HashMap<ContextHandle, Line>,
    /// The process of contexts that were gone before anybody asked whose they are.
    unknown: KmdProcessHandle,
    /// Time run, without what runs now.
    ran: u64,
    sampled_at: u64,
    sampled_ran: u64,
    latest: u64,
    lost: u64,
    /// What ran on which engine, until somebody takes it; `None`: nobody does.
    turns: Option<Vec<Turn>>,
}

impl Timeline {
    /// Nothing but the VM's name, from `now` on. With `turns`, what ran on which engine is kept for
    /// [`turns`](Timeline::turns).
    pub fn new(
        name: &str,
        worker: KmdProcessHandle,
        now: u64,
        turns: bool,
        packets: &mut Packets,
    ) -> Self {
        let vm = packets.track(name, None);
        let share = packets.counter_track("share of the GPU", "%", vm);
        let lag = packets.counter_track("owed GPU time (below 0: debt)", "us", vm);
        Self {
            name: name.into(),
            vm: Lane::new(vm),
            share,
            lag,
            processes: HashMap::new(),
            contexts: HashMap::new(),
            unknown: worker,
            ran: 0,
            sampled_at: now,
            sampled_ran: 0,
            latest: now,
            lost: 0,
            turns: turns.then(Vec::new),
        }
    }

    /// What ran on which engine since this was emptied last.
    pub fn turns(&mut self) -> Option<&mut Vec<Turn>> {
        self.turns.as_mut()
    }

    /// Whether an entry's context has its track.
    pub fn knows(&self, entry: &LogEntry) -> bool {
        self.contexts.contains_key(&entry.context)
    }

    /// These contexts live now: new ones get their tracks, and idle ones that are gone are forgotten.
    pub fn introduce(&mut self, living: &[ContextOwner], packets: &mut Packets) {
        self.contexts.retain(|&context, line| {
            line.state != ContextState::Idle
                || line.process.is_none()
                || living.iter().any(|owner| owner.context == context)
        });
        let contexts = &self.contexts;
        self.processes.retain(|&process, lane| {
            let stays = living.iter().any(|owner| owner.process == process)
                || contexts.values().any(|line| line.process == Some(process));
            if !stays {
                lane.flush(packets);
            }
            stays
        });
        for owner in living {
            if !self.contexts.contains_key(&owner.context) {
                let name = owner.process_name.as_deref().unwrap_or("process");
                self.add(owner.context, Some((owner.process, name)), packets);
            }
        }
    }

    fn add(
        &mut self,
        context: ContextHandle,
        process: Option<(KmdProcessHandle, &str)>,
        packets: &mut Packets,
    ) {
        let vm = self.vm.track;
        let track = match process {
            Some((process, name)) => {
                let lane = (self.processes.entry(process))
                    .or_insert_with(|| Lane::new(packets.track(name, Some(vm))));
                packets.track(&format!("context {:#x}", context.0), Some(lane.track))
            }
            None => packets.track("without a context", Some(vm)),
        };
        let line = Line {
            track,
            process: process.map(|(process, _)| process),
            state: ContextState::Idle,
            since: 0,
            node: 0,
        };
        self.contexts.insert(context, line);
    }

    /// What the log says next.
    pub fn take(&mut self, entry: &LogEntry, packets: &mut Packets) {
        if !self.knows(entry) {
            let process = (entry.context.0 != self.unknown.0).then_some((self.unknown, "gone"));
            self.add(entry.context, process, packets);
        }
        self.end(entry.context, entry.timestamp.0, packets);
        if let Some(line) = self.contexts.get_mut(&entry.context) {
            line.state = entry.state;
            line.since = entry.timestamp.0;
            line.node = entry.node;
        }
        self.latest = self.latest.max(entry.timestamp.0);
    }

    /// Ends what a context is doing.
    fn end(&mut self, context: ContextHandle, at: u64, packets: &mut Packets) {
        let Some(line) = self.contexts.get_mut(&context) else {
            return;
        };
        let (start, state, engine) = (line.since, line.state, line.node);
        line.state = ContextState::Idle;
        // A unit may be charged from before its context became ready.
        if at <= start {
            return;
        }
        match state {
            ContextState::Idle => {}
            ContextState::Ready => packets.slice(line.track, READY, start, at),
            ContextState::Running => {
                packets.slice(line.track, RUNNING, start, at);
                let process = line.process;
                if let Some(lane) = process.and_then(|process| self.processes.get_mut(&process)) {
                    lane.ran(start, at, packets);
                }
                self.vm.ran(start, at, packets);
                if let Some(turns) = &mut self.turns {
                    turns.push(Turn {
                        engine,
                        start,
                        end: at,
                        vm: Arc::clone(&self.name),
                    });
                }
                self.ran = self.ran.saturating_add(at - start);
            }
        }
    }

    /// Entries were overwritten unread: what the contexts do now is not known.
    pub fn lose(&mut self, entries: u64, packets: &mut Packets) {
        for line in self.contexts.values_mut() {
            line.state = ContextState::Idle;
        }
        self.lost = self.lost.saturating_add(entries);
        self.vm.flush(packets);
        let text = format!("{entries} entries of the scheduling log lost");
        packets.instant(self.vm.track, &text, self.latest);
    }

    /// How many entries were lost.
    pub const fn lost(&self) -> u64 {
        self.lost
    }

    /// The VM's share since the last sample, and what it is owed now, if that is known.
    pub fn sample(&mut self, now: u64, lag_ns: Option<i64>, packets: &mut Packets) {
        let runs = (self.contexts.values())
            .filter(|line| line.state == ContextState::Running)
            .map(|line| now.saturating_sub(line.since))
            .sum::<u64>();
        let ran = self.ran.saturating_add(runs);
        let part = ran.saturating_sub(self.sampled_ran);
        let whole = now.saturating_sub(self.sampled_at);
        if whole == 0 {
            return;
        }
        let percent = f64::from(parts_per_million(part.min(whole), whole)) / 10_000.0;
        // A counter's value holds from its instant on, and this one was true from the last sample on.
        packets.fraction(self.share, self.sampled_at, percent);
        if let Some(lag) = lag_ns {
            packets.value(self.lag, now, lag / 1_000);
        }
        self.sampled_at = now;
        self.sampled_ran = ran;
    }

    /// The trace ends: what still lasts ends with it.
    pub fn finish(&mut self, now: u64, packets: &mut Packets) {
        let contexts: Vec<_> = self.contexts.keys().copied().collect();
        for context in contexts {
            self.end(context, now, packets);
        }
        for lane in self.processes.values_mut() {
            lane.flush(packets);
        }
        self.vm.flush(packets);
    }
}

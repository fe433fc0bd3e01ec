// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a timeline makes of a log. The file as a whole is read back by rig 1's tests, with a reader of their own.

use rondo_adapter::ddi::ContextOwner;
use rondo_adapter::handle::{ContextHandle, KmdProcessHandle};
use rondo_adapter::scheduling_log::{ContextState, LogEntry};
use rondo_scheduler::Nanos;

use super::packet::Packets;
use super::timeline::Timeline;

const WORKER: KmdProcessHandle = KmdProcessHandle(1);
const PROCESS: KmdProcessHandle = KmdProcessHandle(2);

/// The packets that the same calls to an empty [`Packets`] leave, without the VM's own three tracks.
struct Trace {
    packets: Packets,
    timeline: Timeline,
}

impl Trace {
    fn new() -> Self {
        let mut packets = Packets::default();
        let timeline = Timeline::new("vm", WORKER, 0, true, &mut packets);
        packets.clear();
        Self { packets, timeline }
    }

    fn living(&mut self, contexts: &[u64]) {
        let owners: Vec<_> = contexts
            .iter()
            .map(|&context| ContextOwner {
                context: ContextHandle(context),
                process: PROCESS,
                process_name: Some("game".to_owned()),
            })
            .collect();
        self.timeline.introduce(&owners, &mut self.packets);
    }

    fn log(&mut self, timestamp: u64, context: u64, state: ContextState) {
        let entry = LogEntry {
            timestamp: Nanos(timestamp),
            context: ContextHandle(context),
            state,
            node: 0,
        };
        self.timeline.take(&entry, &mut self.packets);
    }

    /// How often a slice or an instant of this name begins.
    fn count(&self, name: &str) -> usize {
        let name = name.as_bytes();
        let named = |window: &&[u8]| *window == name;
        self.packets
            .bytes()
            .windows(name.len())
            .filter(named)
            .count()
    }
}

#[test]
fn turns_that_touch_are_one_slice_of_the_vm_and_of_the_process_but_not_of_the_contexts() {
    let mut trace = Trace::new();
    trace.living(&[10, 11]);
    trace.log(100, 10, ContextState::Running);
    trace.log(200, 10, ContextState::Idle);
    trace.log(200, 11, ContextState::Running);
    trace.log(300, 11, ContextState::Idle);
    trace.timeline.finish(400, &mut trace.packets);
    assert_eq!(trace.count("running"), 4);
    assert_eq!(trace.count("ready"), 0);
}

#[test]
fn what_runs_is_told_with_its_engine() {
    let mut trace = Trace::new();
    trace.living(&[10]);
    for (at, node) in [(100, 0), (300, 1)] {
        for (at, state) in [(at, ContextState::Running), (at + 50, ContextState::Idle)] {
            let entry = LogEntry {
                timestamp: Nanos(at),
                context: ContextHandle(10),
                state,
                node,
            };
            trace.timeline.take(&entry, &mut trace.packets);
        }
    }
    let turns = trace.timeline.turns().expect("they were asked for");
    let told: Vec<_> = (turns.iter())
        .map(|turn| (turn.engine, turn.start, turn.end, &*turn.vm))
        .collect();
    assert_eq!(told, [(0, 100, 150, "vm"), (1, 300, 350, "vm")]);
}

#[test]
fn a_context_that_is_charged_from_before_it_was_ready_has_not_waited() {
    let mut trace = Trace::new();
    trace.living(&[10]);
    trace.log(150, 10, ContextState::Ready);
    trace.log(100, 10, ContextState::Running);
    trace.log(200, 10, ContextState::Ready);
    trace.log(230, 10, ContextState::Running);
    trace.timeline.finish(240, &mut trace.packets);
    assert_eq!(trace.count("ready"), 1);
}

#[test]
fn contexts_that_are_gone_are_forgotten_once_they_are_idle() {
    let mut trace = Trace::new();
    trace.living(&[10, 11]);
    trace.log(100, 10, ContextState::Running);
    trace.living(&[]);
    let knows = |trace: &Trace, context| {
        trace.timeline.knows(&LogEntry {
            timestamp: Nanos(0),
            context: ContextHandle(context),
            state: ContextState::Idle,
            node: 0,
        })
    };
    assert!(knows(&trace, 10) && !knows(&trace, 11));
    trace.log(200, 10, ContextState::Idle);
    trace.living(&[]);
    assert!(!knows(&trace, 10));
    // What nobody could name any more still has a track.
    trace.log(300, 12, ContextState::Running);
    trace.timeline.finish(400, &mut trace.packets);
    assert_eq!(trace.count("gone"), 1);
}

#[test]
fn after_a_loss_nothing_is_claimed_until_the_log_says_more() {
    let mut trace = Trace::new();
    trace.living(&[10]);
    trace.log(100, 10, ContextState::Running);
    trace.timeline.lose(7, &mut trace.packets);
    trace.log(500, 10, ContextState::Idle);
    trace.timeline.finish(600, &mut trace.packets);
    assert_eq!(trace.count("running"), 0);
    assert_eq!(trace.count("7 entries"), 1);
    assert_eq!(trace.timeline.lost(), 7);
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A track for each engine of a GPU that has several: which VM it worked for, and when.
//!
//! What an engine did is spread over the VMs' logs, each of which is in order. Turns are gathered until every log was read
//! past their ends, and then written in the order of time.

use std::sync::Arc;

use super::packet::{Packets, Track};

/// A VM's time on an engine, in nanoseconds on the adapter's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The engine.
    pub engine: u16,
    /// When it began.
    pub start: u64,
    /// When it ended.
    pub end: u64,
    /// Whose it was.
    pub vm: Arc<str>,
}

/// See the module.
#[derive(Debug)]
pub struct Engines {
    lanes: Vec<Lane>,
}

#[derive(Debug)]
struct Lane {
    track: Track,
    waiting: Vec<Turn>,
    /// Turns of one VM that touch, as one.
    open: Option<Turn>,
}

impl Engines {
    /// A track for each of `count` engines; none for a single one, of which the VMs' tracks tell everything.
    pub fn new(count: u16, packets: &mut Packets) -> Self {
        if count <= 1 {
            return Self { lanes: Vec::new() };
        }
        let all = packets.track("engines", None);
        let lanes = (0..count)
            .map(|engine| Lane {
                track: packets.track(&format!("engine {engine}"), Some(all)),
                waiting: Vec::new(),
                open: None,
            })
            .collect();
        Self { lanes }
    }

    /// Whether anybody wants turns.
    pub fn are_shown(&self) -> bool {
        !self.lanes.is_empty()
    }

    /// Takes turns over, in any order.
    pub fn gather(&mut self, turns: &mut Vec<Turn>) {
        for turn in turns.drain(..) {
            if let Some(lane) = self.lanes.get_mut(usize::from(turn.engine)) {
                lane.waiting.push(turn);
            }
        }
    }

    /// Writes the turns that ended by `until`, up to which all logs were read.
    pub fn write(&mut self, until: u64, packets: &mut Packets) {
        for lane in &mut self.lanes {
            lane.waiting.sort_unstable_by_key(|turn| turn.start);
            let complete = lane.waiting.partition_point(|turn| turn.end <= until);
            for turn in lane.waiting.drain(..complete) {
                match &mut lane.open {
                    Some(open) if open.vm == turn.vm && open.end >= turn.start => {
                        open.end = open.end.max(turn.end);
                    }
                    open => {
                        // A log that was written late tells of a time that is written already.
                        let start = turn.start.max(open.as_ref().map_or(0, |open| open.end));
                        flush(lane.track, open, packets);
                        if start < turn.end {
                            *open = Some(Turn { start, ..turn });
                        }
                    }
                }
            }
        }
    }

    /// The trace ends: writes the rest.
    pub fn finish(&mut self, packets: &mut Packets) {
        self.write(u64::MAX, packets);
        for lane in &mut self.lanes {
            flush(lane.track, &mut lane.open, packets);
        }
    }
}

fn flush(track: Track, open: &mut Option<Turn>, packets: &mut Packets) {
    if let Some(turn) = open.take() {
        packets.slice(track, &turn.vm, turn.start, turn.end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(engine: u16, start: u64, end: u64, vm: &str) -> Turn {
        Turn {
            engine,
            start,
            end,
            vm: vm.into(),
        }
    }

    fn begins(packets: &Packets, name: &str) -> usize {
        let windows = packets.bytes().windows(name.len());
        windows.filter(|window| *window == name.as_bytes()).count()
    }

    #[test]
    fn one_engine_has_no_track_of_its_own() {
        let mut packets = Packets::default();
        let mut engines = Engines::new(1, &mut packets);
        engines.gather(&mut vec![turn(0, 0, 10, "alpha")]);
        engines.finish(&mut packets);
        assert!(!engines.are_shown() && packets.bytes().is_empty());
    }

    #[test]
    fn turns_of_several_vms_are_written_in_the_order_of_time_and_touching_ones_as_one() {
        let mut packets = Packets::default();
        let mut engines = Engines::new(2, &mut packets);
        // Read VM by VM, so not in order: alpha 0-10, beta 10-20, alpha 20-30 and 30-40.
        engines.gather(&mut vec![
            turn(0, 0, 10, "alpha"),
            turn(0, 20, 30, "alpha"),
            turn(0, 30, 40, "alpha"),
            turn(0, 10, 20, "beta"),
        ]);
        engines.write(20, &mut packets);
        assert_eq!(
            (begins(&packets, "alpha"), begins(&packets, "beta")),
            (1, 0)
        );
        engines.finish(&mut packets);
        assert_eq!(
            (begins(&packets, "alpha"), begins(&packets, "beta")),
            (2, 1)
        );
    }

    #[test]
    fn what_is_told_too_late_does_not_go_back_in_time() {
        let mut packets = Packets::default();
        let mut engines = Engines::new(2, &mut packets);
        engines.gather(&mut vec![turn(1, 50, 60, "alpha")]);
        engines.write(60, &mut packets);
        engines.gather(&mut vec![turn(1, 10, 40, "beta"), turn(1, 55, 70, "gamma")]);
        engines.finish(&mut packets);
        assert_eq!(
            (begins(&packets, "beta"), begins(&packets, "gamma")),
            (0, 1)
        );
    }
}

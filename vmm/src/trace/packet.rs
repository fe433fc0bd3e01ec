// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The packets of a Perfetto trace that we write: tracks, slices, counters and instants.
//!
//! Field numbers: `protos/perfetto/trace/trace_packet.proto`, `track_event/track_event.proto`,
//! `track_event/track_descriptor.proto` and `track_event/counter_descriptor.proto` of the Perfetto project. A trace is
//! packets one after the other, so what is written when a run is cut short is a trace too.

use super::protobuf::Message;

/// `Trace.packet`.
const PACKET: u32 = 1;

/// All packets are of one sequence (`TracePacket.trusted_packet_sequence_id`).
const SEQUENCE: u64 = 1;

/// `TracePacket`.
mod trace_packet {
    pub(super) const TIMESTAMP: u32 = 8;
    pub(super) const TRUSTED_PACKET_SEQUENCE_ID: u32 = 10;
    pub(super) const TRACK_EVENT: u32 = 11;
    pub(super) const TRACK_DESCRIPTOR: u32 = 60;
}

/// `TrackDescriptor`.
mod descriptor {
    pub(super) const UUID: u32 = 1;
    pub(super) const NAME: u32 = 2;
    pub(super) const PARENT_UUID: u32 = 5;
    pub(super) const COUNTER: u32 = 8;
    pub(super) const CHILD_ORDERING: u32 = 11;
    /// In the order of their first events.
    pub(super) const CHRONOLOGICAL: u64 = 2;
}

/// `CounterDescriptor`.
mod counter {
    pub(super) const UNIT_NAME: u32 = 6;
}

/// `TrackEvent`.
mod event {
    pub(super) const TYPE: u32 = 9;
    pub(super) const TRACK_UUID: u32 = 11;
    pub(super) const NAME: u32 = 23;
    pub(super) const COUNTER_VALUE: u32 = 30;
    pub(super) const DOUBLE_COUNTER_VALUE: u32 = 44;
}

/// `TrackEvent.Type`.
#[derive(Clone, Copy, Debug)]
enum Type {
    SliceBegin = 1,
    SliceEnd = 2,
    Instant = 3,
    Counter = 4,
}

/// A track, by its `uuid` in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Track(u64);

/// Packets that wait to be written to the file.
#[derive(Debug, Default)]
pub struct Packets {
    encoded: Message,
    tracks: u64,
}

impl Packets {
    /// The packets so far, as they stand in a file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.encoded.bytes()
    }

    /// Forgets packets that were written; what they described stays described.
    pub fn clear(&mut self) {
        self.encoded.clear();
    }

    /// A new track for slices, or to group the tracks under it.
    pub fn track(&mut self, name: &str, parent: Option<Track>) -> Track {
        self.describe(name, parent, |_| {})
    }

    /// A new track for values in `unit`.
    pub fn counter_track(&mut self, name: &str, unit: &str, parent: Track) -> Track {
        self.describe(name, Some(parent), |track| {
            track.message(descriptor::COUNTER, |counter| {
                counter.string(counter::UNIT_NAME, unit);
            });
        })
    }

    /// Something that lasted from `start` to `end`, in nanoseconds.
    pub fn slice(&mut self, track: Track, name: &str, start: u64, end: u64) {
        self.event(start, track, Type::SliceBegin, |event| {
            event.string(event::NAME, name);
        });
        self.event(end, track, Type::SliceEnd, |_| {});
    }

    /// Something that happened at an instant.
    pub fn instant(&mut self, track: Track, name: &str, at: u64) {
        self.event(at, track, Type::Instant, |event| {
            event.string(event::NAME, name);
        });
    }

    /// A counter's value from `at` on.
    pub fn value(&mut self, track: Track, at: u64, value: i64) {
        self.event(at, track, Type::Counter, |event| {
            event.int(event::COUNTER_VALUE, value);
        });
    }

    /// A counter's value from `at` on, with a fraction.
    pub fn fraction(&mut self, track: Track, at: u64, value: f64) {
        self.event(at, track, Type::Counter, |event| {
            event.double(event::DOUBLE_COUNTER_VALUE, value);
        });
    }

    fn describe(
        &mut self,
        name: &str,
        parent: Option<Track>,
        more: impl FnOnce(&mut Message),
    ) -> Track {
        self.tracks += 1;
        let track = Track(self.tracks);
        self.packet(|packet| {
            packet.message(trace_packet::TRACK_DESCRIPTOR, |descriptor| {
                descriptor.uint(descriptor::UUID, track.0);
                descriptor.string(descriptor::NAME, name);
                if let Some(parent) = parent {
                    descriptor.uint(descriptor::PARENT_UUID, parent.0);
                }
                descriptor.uint(descriptor::CHILD_ORDERING, descriptor::CHRONOLOGICAL);
                more(descriptor);
            });
        });
        track
    }

    fn event(&mut self, at: u64, track: Track, kind: Type, more: impl FnOnce(&mut Message)) {
        self.packet(|packet| {
            packet.uint(trace_packet::TIMESTAMP, at);
            packet.message(trace_packet::TRACK_EVENT, |event| {
                event.uint(event::TYPE, kind as u64);
                event.uint(event::TRACK_UUID, track.0);
                more(event);
            });
        });
    }

    fn packet(&mut self, fill: impl FnOnce(&mut Message)) {
        self.encoded.message(PACKET, |packet| {
            packet.uint(trace_packet::TRUSTED_PACKET_SEQUENCE_ID, SEQUENCE);
            fill(packet);
        });
    }
}

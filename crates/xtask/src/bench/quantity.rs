// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is measured, in which unit, and the goals.

use super::statistics::extremes;

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// From the start of the process to the guest's report that frame 0 is on the display.
    FirstFrame,
    /// The same from the guest's entry on, by its own clock.
    FirstFrameInGuest,
    /// Whole frames transferred and flushed.
    Frames,
    /// Frames of which a sixty-fourth is transferred and flushed.
    PartialFrames,
    /// Small commands in batches.
    Commands,
    /// One command and its answer: the median.
    RoundTripMedian,
    /// One command and its answer: what 99 of 100 do not exceed.
    RoundTripTail,
    /// Resident memory beyond the guest's RAM.
    Resident,
    /// The part of it that is no page of a file.
    ResidentAnonymous,
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The ratio to QEMU is at most this.
    AtMost(f64),
    /// The ratio to QEMU is at least this.
    AtLeast(f64),
}

impl Goal {
    /// Whether the ratio reaches it.
    pub fn is_reached(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(limit) => ratio <= limit,
            Self::AtLeast(limit) => ratio >= limit,
        }
    }
}

impl Quantity {
    /// All, in the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::FirstFrame,
        Self::FirstFrameInGuest,
        Self::Frames,
        Self::PartialFrames,
        Self::Commands,
        Self::RoundTripMedian,
        Self::RoundTripTail,
        Self::Resident,
        Self::ResidentAnonymous,
    ];

    /// Its name in JSON.
    pub const fn key(self) -> &'static str {
        match self {
            Self::FirstFrame => "first_frame_ms",
            Self::FirstFrameInGuest => "first_frame_in_guest_ms",
            Self::Frames => "frames_per_second",
            Self::PartialFrames => "partial_frames_per_second",
            Self::Commands => "commands_per_second",
            Self::RoundTripMedian => "round_trip_p50_us",
            Self::RoundTripTail => "round_trip_p99_us",
            Self::Resident => "resident_mib",
            Self::ResidentAnonymous => "resident_anonymous_mib",
        }
    }

    /// Its name in tables.
    pub const fn title(self) -> &'static str {
        match self {
            Self::FirstFrame => "Process start to first frame",
            Self::FirstFrameInGuest => "... of which inside the guest",
            Self::Frames => "Full frames, 1280x800",
            Self::PartialFrames => "Small changes, 160x100",
            Self::Commands => "Small commands, batches of 64",
            Self::RoundTripMedian => "Round trip of one command, p50",
            Self::RoundTripTail => "Round trip of one command, p99",
            Self::Resident => "Resident beyond guest RAM",
            Self::ResidentAnonymous => "... of which no page of a file",
        }
    }

    /// Its unit in tables.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::FirstFrame | Self::FirstFrameInGuest => "ms",
            Self::Frames | Self::PartialFrames | Self::Commands => "/s",
            Self::RoundTripMedian | Self::RoundTripTail => "us",
            Self::Resident | Self::ResidentAnonymous => "MiB",
        }
    }

    /// The best of the samples.
    pub fn best(self, samples: &[f64]) -> Option<f64> {
        let (low, high) = extremes(samples)?;
        match self {
            Self::Frames | Self::PartialFrames | Self::Commands => Some(high),
            _ => Some(low),
        }
    }

    /// The goal for its ratio to QEMU, where there is one.
    pub const fn goal(self) -> Option<Goal> {
        match self {
            Self::FirstFrame => Some(Goal::AtMost(0.25)),
            Self::Frames => Some(Goal::AtLeast(1.5)),
            Self::Commands => Some(Goal::AtLeast(2.0)),
            Self::Resident => Some(Goal::AtMost(0.3)),
            _ => None,
        }
    }

    /// The largest value of `rondo` that counts as good whatever QEMU has, in the quantity's unit.
    pub const fn ceiling(self) -> Option<f64> {
        match self {
            Self::Resident => Some(8.0),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Goal, Quantity};

    #[test]
    fn given_a_ratio_when_it_is_on_the_good_side_then_the_goal_is_reached() {
        assert!(Goal::AtMost(0.25).is_reached(0.25) && !Goal::AtMost(0.25).is_reached(0.26));
        assert!(Goal::AtLeast(2.0).is_reached(2.0) && !Goal::AtLeast(2.0).is_reached(1.99));
    }

    #[test]
    fn given_samples_when_the_best_is_asked_for_then_rates_are_high_and_times_are_low() {
        assert_eq!(Quantity::Frames.best(&[1.0, 3.0, 2.0]), Some(3.0));
        assert_eq!(Quantity::FirstFrame.best(&[2.0, 1.0, 3.0]), Some(1.0));
        assert_eq!(Quantity::Resident.best(&[]), None);
    }

    #[test]
    fn given_all_quantities_when_their_keys_are_compared_then_each_has_its_own() {
        let mut keys = Quantity::ALL.map(Quantity::key).to_vec();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), Quantity::ALL.len());
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who asked for the GPU and who had it, and when: a trace of `rondo --trace`, ready to be measured between any two instants.
//!
//! All times are nanoseconds since the start of `rondo`.

use std::ops::Range;

use anyhow::{Context, Result, ensure};

use crate::perfetto::{Slice, Trace, Track};

/// Instants, from one to another.
pub type Window = Range<u64>;

/// Times that do not overlap, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Window>);

impl Spans {
    /// What any of these times covers.
    #[must_use]
    pub fn covering(mut times: Vec<Window>) -> Self {
        times.sort_unstable_by_key(|time| time.start);
        let mut spans: Vec<Window> = Vec::with_capacity(times.len());
        for time in times {
            match spans.last_mut() {
                Some(last) if time.start <= last.end => last.end = last.end.max(time.end),
                _ => spans.push(time),
            }
        }
        Self(spans)
    }

    /// Each of them.
    #[must_use]
    pub fn each(&self) -> &[Window] {
        &self.0
    }

    /// How much of `window` they cover.
    #[must_use]
    pub fn within(&self, window: &Window) -> u64 {
        let part = |span: &Window| {
            let end = span.end.min(window.end);
            end.saturating_sub(span.start.max(window.start))
        };
        self.0.iter().map(part).sum()
    }

    /// What both cover, in pieces.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let part = |a: &Window, b: &Window| a.start.max(b.start)..a.end.min(b.end);
        let pairs = (self.0.iter()).flat_map(|a| other.0.iter().map(move |b| part(a, b)));
        Self(pairs.filter(|both| both.start < both.end).collect())
    }

    /// Those that last so long at least.
    #[must_use]
    pub fn lasting(mut self, least: u64) -> Self {
        self.0.retain(|span| span.end - span.start >= least);
        self
    }

    /// How long all of them last.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// They and the gaps between them that are no longer than `gap`.
    #[must_use]
    pub fn bridged(&self, gap: u64) -> Self {
        let lengthened = self.0.iter().map(|span| span.start..span.end + gap);
        let mut bridged = Self::covering(lengthened.collect());
        for span in &mut bridged.0 {
            span.end -= gap;
        }
        bridged
    }
}

/// What one VM did.
#[derive(Clone, Debug)]
pub struct VmSchedule {
    /// Its name.
    pub name: String,
    /// When an engine worked for it.
    pub ran: Spans,
    /// When it had work, whether it ran or waited.
    pub asked: Spans,
}

impl VmSchedule {
    /// How long it waited for its first turn, each time that it came back after `rest` or more without work.
    #[must_use]
    pub fn waits_after_rest(&self, rest: u64) -> Vec<u64> {
        let returns = self.asked.each().windows(2);
        let returns = returns.filter(|pair| pair[1].start - pair[0].end >= rest);
        let first_turn = |pair: &[Window]| {
            let asked = &pair[1];
            let ran = self.ran.each();
            let next = ran.partition_point(|turn| turn.end <= asked.start);
            let turn = ran.get(next).filter(|turn| turn.start < asked.end)?;
            Some(turn.start.saturating_sub(asked.start))
        };
        returns.filter_map(first_turn).collect()
    }
}

/// What all VMs did.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Each of them.
    pub vms: Vec<VmSchedule>,
}

impl Schedule {
    /// Takes a trace's bytes apart.
    ///
    /// # Errors
    /// It is no trace, or a part of the schedule was lost.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let trace = Trace::read(bytes)?;
        let tracks = trace.under(None);
        let vms = tracks.iter().filter(|(_, track)| track.name != "engines");
        let vms = vms.map(|&(uuid, track)| vm(&trace, uuid, track));
        Ok(Self {
            vms: vms.collect::<Result<_>>()?,
        })
    }

    /// The VM of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn vm(&self, name: &str) -> Result<&VmSchedule> {
        let mut vms = self.vms.iter();
        vms.find(|vm| vm.name == name)
            .with_context(|| format!("no VM {name} in the trace"))
    }
}

fn vm(trace: &Trace, uuid: u64, track: &Track) -> Result<VmSchedule> {
    ensure!(
        track.instants.is_empty(),
        "{}: entries of the log were lost",
        track.name
    );
    let time = |slice: &Slice| slice.start..slice.end;
    let ran: Vec<Window> = track.slices.iter().map(time).collect();
    let mut asked = ran.clone();
    for (uuid, process) in trace.under(Some(uuid)) {
        asked.extend(process.slices.iter().map(time));
        for (_, context) in trace.under(Some(uuid)) {
            asked.extend(context.slices.iter().map(time));
        }
    }
    Ok(VmSchedule {
        name: track.name.clone(),
        ran: Spans::covering(ran),
        asked: Spans::covering(asked),
    })
}

/// The smallest of `samples` that `percent` of them do not exceed; 0 of none.
#[must_use]
pub fn percentile(mut samples: Vec<u64>, percent: usize) -> u64 {
    samples.sort_unstable();
    let rank = (samples.len() * percent).div_ceil(100).max(1);
    samples.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Spans, VmSchedule, percentile};

    #[test]
    fn given_times_that_overlap_or_touch_then_they_are_counted_once() {
        let spans = Spans::covering(vec![50..60, 10..20, 15..30, 30..40, 12..14]);
        assert_eq!(spans.each(), [10..40, 50..60]);
        assert_eq!(spans.within(&(0..100)), 40);
        assert_eq!(spans.within(&(35..55)), 10);
        assert_eq!(spans.within(&(41..49)), 0);
        let others = Spans::covering(vec![0..12, 38..55]);
        let common = spans.common(&others);
        assert_eq!(common.each(), [10..12, 38..40, 50..55]);
        assert_eq!(common.length(), 9);
        assert_eq!(common.lasting(3).length(), 5);
        assert_eq!(spans.bridged(9).each(), [10..40, 50..60]);
        assert_eq!(spans.bridged(10).each().first(), Some(&(10..60)));
    }

    #[test]
    fn given_a_vm_that_rests_then_its_waits_are_those_for_the_first_turn_after_each_rest() {
        let vm = VmSchedule {
            name: "vm".to_owned(),
            ran: Spans::covering(vec![0..10, 120..130, 140..150, 160..170, 320..330]),
            asked: Spans::covering(vec![0..10, 100..150, 155..170, 300..330]),
        };
        assert_eq!(vm.waits_after_rest(50), [20, 20]);
        assert_eq!(vm.waits_after_rest(5), [20, 5, 20]);
    }

    #[test]
    fn given_samples_then_the_percentile_is_the_nearest_rank() {
        assert_eq!(percentile((1..=200).rev().collect(), 99), 198);
        assert_eq!(percentile(vec![7], 99), 7);
        assert_eq!(percentile(Vec::new(), 99), 0);
    }
}

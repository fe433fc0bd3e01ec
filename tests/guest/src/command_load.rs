// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `mode=commands` and `mode=roundtrip`: what a small command costs, in batches and alone.

use rondo_protocol::Command;

use crate::command_line::Options;
use crate::draw::{per_second, ticks};
use crate::gpu::Gpu;
use crate::gpu_error::GpuError;
use crate::report;
use crate::tsc::{self, Frequency};

/// How many commands are sent when the command line sets no end.
const DEFAULT_COMMANDS: u64 = 10_000;
/// Most round trips whose latency is kept; later ones take the places of the first.
const MAX_SAMPLES: usize = 4096;

/// Sends GET_DISPLAY_INFO in batches: one notification a batch, all answers awaited before the next.
///
/// # Errors
/// [`GpuError`].
pub fn batches(gpu: &mut Gpu, options: &Options<'_>, clock: Frequency) -> Result<(), GpuError> {
    let end = End::new(options, clock)?;
    let batch = u64::from(options.batch).min(u64::from(gpu.control().slot_count()));
    let mut sent = 0;
    while !end.reached(sent) {
        for _ in 0..batch {
            gpu.submit(Command::GetDisplayInfo, None)?;
        }
        gpu.wait_for_all()?;
        sent += batch;
    }
    let elapsed = tsc::now().wrapping_sub(end.start);
    report!(
        "commands={sent} batch={batch} ticks={elapsed} khz={} per_second={}",
        clock.khz,
        per_second(sent, elapsed, clock)
    );
    Ok(())
}

/// Sends GET_DISPLAY_INFO one at a time and reports the latency's distribution, in ticks.
///
/// # Errors
/// [`GpuError`].
pub fn round_trips(gpu: &mut Gpu, options: &Options<'_>, clock: Frequency) -> Result<(), GpuError> {
    let end = End::new(options, clock)?;
    let mut samples = [0_u64; MAX_SAMPLES];
    let mut sent = 0_u64;
    while !end.reached(sent) {
        let start = tsc::now();
        gpu.call(Command::GetDisplayInfo, |_| ())?;
        samples[sent as usize % MAX_SAMPLES] = tsc::now().wrapping_sub(start);
        sent += 1;
    }
    let kept = &mut samples[..(sent as usize).min(MAX_SAMPLES)];
    kept.sort_unstable();
    report!(
        "roundtrips={sent} p50={} p99={} max={} khz={}",
        percentile(kept, 50),
        percentile(kept, 99),
        percentile(kept, 100),
        clock.khz
    );
    Ok(())
}

/// When a load ends.
struct End {
    start: u64,
    limit: Option<u64>,
    count: Option<u64>,
}

impl End {
    fn new(options: &Options<'_>, clock: Frequency) -> Result<Self, GpuError> {
        let limit = ticks(clock, options.seconds.saturating_mul(1000))?;
        let count = match (options.commands, limit) {
            (0, None) => Some(DEFAULT_COMMANDS),
            (0, Some(_)) => None,
            (count, _) => Some(count),
        };
        Ok(Self {
            start: tsc::now(),
            limit,
            count,
        })
    }

    fn reached(&self, sent: u64) -> bool {
        self.count.is_some_and(|count| sent >= count)
            || self
                .limit
                .is_some_and(|limit| tsc::now().wrapping_sub(self.start) >= limit)
    }
}

/// The smallest sample that `percent` of all do not exceed (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_sorted_samples_the_percentile_is_the_nearest_rank() {
        let samples: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&samples, 50), 100);
        assert_eq!(percentile(&samples, 99), 198);
        assert_eq!(percentile(&samples, 100), 200);
        assert_eq!(percentile(&[7], 50), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How fast this machine copies a frame, with nothing else to do: the limit of any device that copies each frame once.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Copies go on for so long: long enough that other processes take their share of the processor from this as from a VMM.
const LONG_ENOUGH: Duration = Duration::from_millis(300);

/// How often a second one thread copies a frame of so many bytes between two buffers, both resident before the clock starts.
pub fn frames_per_second(frame_bytes: usize) -> f64 {
    let source = vec![0x5a_u8; frame_bytes];
    let mut target = vec![0xa5_u8; frame_bytes];
    let start = Instant::now();
    let mut copies = 0_u32;
    loop {
        black_box(&mut target).copy_from_slice(black_box(&source));
        copies = copies.saturating_add(1);
        let elapsed = start.elapsed();
        if elapsed >= LONG_ENOUGH {
            return f64::from(copies) / elapsed.as_secs_f64();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::frames_per_second;

    #[test]
    fn given_a_frame_when_its_copies_are_timed_then_there_is_a_rate() {
        assert!(frames_per_second(1 << 16).is_finite());
        assert!(frames_per_second(1 << 16) > 0.0);
    }
}

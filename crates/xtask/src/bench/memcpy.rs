// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How fast this machine copies a frame, with nothing else to do: the limit of any device that copies each frame once.

use std::hint::black_box;
use std::time::Instant;

use super::statistics::median;

/// Copies made; the median of their times counts.
const COPIES: usize = 400;

/// How often a second one thread copies a frame of so many bytes between two buffers, both resident before the clock starts.
pub fn frames_per_second(frame_bytes: usize) -> f64 {
    let source = vec![0x5a_u8; frame_bytes];
    let mut target = vec![0xa5_u8; frame_bytes];
    let mut seconds = Vec::with_capacity(COPIES);
    for _ in 0..COPIES {
        let start = Instant::now();
        black_box(&mut target).copy_from_slice(black_box(&source));
        seconds.push(start.elapsed().as_secs_f64());
    }
    median(&seconds).map_or(0.0, |seconds| seconds.recip())
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

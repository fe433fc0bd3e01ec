// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The timing of a mode: VESA CVT 1.1 with reduced blanking, in integers.
//!
//! Two departures, both because no circuit has to make this signal: the width is not rounded down to a multiple of 8 (1366 stays
//! 1366), and the pixel clock goes in the EDID's own step of 10 kHz instead of 250 kHz, which keeps the refresh rate exact.

use super::div_round;

/// Nanoseconds of vertical blanking, at least.
const MIN_V_BLANK_NS: u64 = 460_000;
/// Lines before the vertical sync.
const V_FRONT_PORCH: u32 = 3;
/// Lines after the vertical sync, at least.
const MIN_V_BACK_PORCH: u32 = 6;
/// Pixels between two lines.
const H_BLANK: u32 = 160;
/// Pixels before the horizontal sync.
const H_FRONT_PORCH: u32 = 48;
/// Pixels of the horizontal sync.
const H_SYNC: u32 = 32;

/// A timing. Horizontal values in pixels, vertical ones in lines. The horizontal sync is positive, the vertical one negative: that
/// is how a receiver knows reduced blanking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    pub(super) width: u32,
    pub(super) h_blank: u32,
    pub(super) h_front_porch: u32,
    pub(super) h_sync: u32,
    pub(super) height: u32,
    pub(super) v_blank: u32,
    pub(super) v_front_porch: u32,
    pub(super) v_sync: u32,
    /// Pixel clock in units of 10 kHz, from 1.
    pub(super) clock_10khz: u64,
}

impl Timing {
    /// The timing of `width` by `height` pixels, `refresh_hz` (1 to 1000) times a second.
    pub(super) fn reduced_blanking(width: u16, height: u16, refresh_hz: u32) -> Self {
        let (width, height) = (u32::from(width), u32::from(height));
        let v_sync = v_sync_lines(width, height);
        // The lines that pass in the least blanking, when the active lines share the rest of the frame; rounded up by the
        // standard's "+ 1".
        let frame_ns = 1_000_000_000u64
            .checked_div(u64::from(refresh_hz))
            .unwrap_or(0);
        let active_ns = frame_ns.saturating_sub(MIN_V_BLANK_NS).max(1);
        let lines = MIN_V_BLANK_NS
            .saturating_mul(u64::from(height))
            .checked_div(active_ns)
            .unwrap_or(0);
        let lines = u32::try_from(lines.saturating_add(1)).unwrap_or(u32::MAX);
        let v_blank = lines.max(
            V_FRONT_PORCH
                .saturating_add(v_sync)
                .saturating_add(MIN_V_BACK_PORCH),
        );

        let h_total = u64::from(width.saturating_add(H_BLANK));
        let v_total = u64::from(height.saturating_add(v_blank));
        let hertz = h_total
            .saturating_mul(v_total)
            .saturating_mul(u64::from(refresh_hz));
        Self {
            width,
            h_blank: H_BLANK,
            h_front_porch: H_FRONT_PORCH,
            h_sync: H_SYNC,
            height,
            v_blank,
            v_front_porch: V_FRONT_PORCH,
            v_sync,
            clock_10khz: div_round(hertz, 10_000).max(1),
        }
    }
}

/// Lines of vertical sync: CVT's code for the aspect ratio.
fn v_sync_lines(width: u32, height: u32) -> u32 {
    const LINES: [(u64, u64, u32); 5] = [(4, 3, 4), (16, 9, 5), (16, 10, 6), (5, 4, 7), (15, 9, 7)];
    let (width, height) = (u64::from(width), u64::from(height));
    let same = |across: u64, down: u64| width.saturating_mul(down) == height.saturating_mul(across);
    LINES
        .iter()
        .find(|(across, down, _)| same(*across, *down))
        .map_or(10, |(_, _, lines)| *lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against VESA's published CVT reduced-blanking timings, whose clocks are cut to 250 kHz steps.
    #[test]
    fn known_modes_have_the_published_blanking() {
        // Width, height, total columns, total lines, published clock in kHz.
        let modes = [
            (1280, 800, 1440, 823, 71_000),
            (1440, 900, 1600, 926, 88_750),
            (1680, 1050, 1840, 1080, 119_000),
            (1920, 1080, 2080, 1111, 138_500),
            (1920, 1200, 2080, 1235, 154_000),
            (2560, 1600, 2720, 1646, 268_500),
            (3840, 2160, 4000, 2222, 533_250),
        ];
        for (width, height, h_total, v_total, khz) in modes {
            let timing = Timing::reduced_blanking(width, height, 60);
            assert_eq!(timing.width + timing.h_blank, h_total, "{width}x{height}");
            assert_eq!(timing.height + timing.v_blank, v_total, "{width}x{height}");
            let ours = timing.clock_10khz * 10;
            assert!(
                (khz..khz + 250).contains(&ours),
                "{width}x{height}: {ours} kHz"
            );
        }
    }
}

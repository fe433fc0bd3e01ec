// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The SMPTE colour bars that `modetest` shows, worked out from what the picture is, not from the program's code.
//!
//! Three bands (6/9, 1/9 and 2/9 of the height): seven bars at 75 % intensity, the same bars reversed with black between them,
//! and the calibration row: -I, white, +Q, black over five sevenths of the width, three near-black steps over one seventh, black.

use crate::picture::Picture;

const GREY: u32 = 0x00c0_c0c0;
const YELLOW: u32 = 0x00c0_c000;
const CYAN: u32 = 0x0000_c0c0;
const GREEN: u32 = 0x0000_c000;
const MAGENTA: u32 = 0x00c0_00c0;
const RED: u32 = 0x00c0_0000;
const BLUE: u32 = 0x0000_00c0;
const BLACK: u32 = 0x0013_1313;
const WHITE: u32 = 0x00ff_ffff;
/// The "in-phase" and "quadrature" patches.
const MINUS_I: u32 = 0x0000_214c;
const PLUS_Q: u32 = 0x0032_006a;
/// 3.5 %, 7.5 % and 11.5 % of white.
const STEPS: [u32; 3] = [0x0009_0909, 0x0013_1313, 0x001d_1d1d];

const BARS: [u32; 7] = [GREY, YELLOW, CYAN, GREEN, MAGENTA, RED, BLUE];
const REVERSED: [u32; 7] = [BLUE, BLACK, MAGENTA, BLACK, CYAN, BLACK, GREY];
const PATCHES: [u32; 4] = [MINUS_I, WHITE, PLUS_Q, BLACK];

/// The bars as `modetest` draws them on a mode of `width` x `height`.
#[must_use]
pub fn bars(width: usize, height: usize) -> Picture {
    Picture::from_fn(width, height, |x, y| {
        if y < height * 6 / 9 {
            BARS[x * 7 / width]
        } else if y < height * 7 / 9 {
            REVERSED[x * 7 / width]
        } else {
            let (patches, steps) = (width * 5 / 7, width * 6 / 7);
            if x < patches {
                PATCHES[x * 4 / patches]
            } else if x < steps {
                // The rounding of widths that are no multiple of seven may reach one step too far: that pixel is black.
                STEPS
                    .get((x - patches) * 3 / (width / 7))
                    .copied()
                    .unwrap_or(BLACK)
            } else {
                BLACK
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{BLACK, BLUE, GREY, WHITE, bars};

    #[test]
    fn given_a_mode_when_drawn_then_the_three_bands_are_where_smpte_puts_them() {
        let picture = bars(1280, 800);
        assert_eq!(picture.pixel(0, 0), Some(GREY));
        assert_eq!(picture.pixel(1279, 532), Some(BLUE));
        assert_eq!(
            picture.pixel(0, 533),
            Some(BLUE),
            "the reversed bars start at 6/9 of the height"
        );
        assert_eq!(picture.pixel(300, 799), Some(WHITE));
        assert_eq!(picture.pixel(1279, 799), Some(BLACK));
    }
}

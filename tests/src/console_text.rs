// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Reads the word RONDO off a screenshot of a Linux text console.
//!
//! The console draws the 8x16 VGA font on a grid of 8x16 cells. A cell shows a glyph when its pixels have two colours, laid out as
//! the glyph's bits (most significant bit left); which two colours does not matter.

use crate::picture::Picture;

/// Width of a character cell in pixels.
const CELL_WIDTH: usize = 8;
/// Height of a character cell in pixels.
const CELL_HEIGHT: usize = 16;

type Glyph = [u8; CELL_HEIGHT];

const R: Glyph = [
    0, 0, 0xfc, 0x66, 0x66, 0x66, 0x7c, 0x6c, 0x66, 0x66, 0x66, 0xe6, 0, 0, 0, 0,
];
const O: Glyph = [
    0, 0, 0x7c, 0xc6, 0xc6, 0xc6, 0xc6, 0xc6, 0xc6, 0xc6, 0xc6, 0x7c, 0, 0, 0, 0,
];
const N: Glyph = [
    0, 0, 0xc6, 0xe6, 0xf6, 0xfe, 0xde, 0xce, 0xc6, 0xc6, 0xc6, 0xc6, 0, 0, 0, 0,
];
const D: Glyph = [
    0, 0, 0xf8, 0x6c, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x6c, 0xf8, 0, 0, 0, 0,
];

/// The cells (column, row) at which the word RONDO starts.
#[must_use]
pub fn find_rondo(picture: &Picture) -> Vec<(usize, usize)> {
    let word = [R, O, N, D, O];
    let columns = (picture.width() / CELL_WIDTH).saturating_sub(word.len() - 1);
    let rows = picture.height() / CELL_HEIGHT;
    (0..rows)
        .flat_map(|row| (0..columns).map(move |column| (column, row)))
        .filter(|&(column, row)| {
            word.iter()
                .enumerate()
                .all(|(offset, glyph)| shows(picture, column + offset, row, glyph))
        })
        .collect()
}

fn shows(picture: &Picture, column: usize, row: usize, glyph: &Glyph) -> bool {
    let (mut ink, mut paper) = (None, None);
    for (y, bits) in glyph.iter().enumerate() {
        for x in 0..CELL_WIDTH {
            let pixel = picture.pixel(column * CELL_WIDTH + x, row * CELL_HEIGHT + y);
            let colour = if bits & (0x80 >> x) == 0 {
                &mut paper
            } else {
                &mut ink
            };
            if pixel.is_none() || *colour.get_or_insert(pixel) != pixel {
                return false;
            }
        }
    }
    ink != paper
}

#[cfg(test)]
mod tests {
    use super::{D, N, O, R, find_rondo};
    use crate::picture::Picture;

    fn console(word: [super::Glyph; 5]) -> Picture {
        Picture::from_fn(80, 48, |x, y| {
            let inside = (16..56).contains(&x) && (16..32).contains(&y);
            let lit = inside && word[(x - 16) / 8][y - 16] & (0x80 >> (x % 8)) != 0;
            if lit { 0x00aa_aaaa } else { 0 }
        })
    }

    #[test]
    fn given_the_word_on_the_grid_when_read_then_its_cell_is_found() {
        assert_eq!(find_rondo(&console([R, O, N, D, O])), [(2, 1)]);
    }

    #[test]
    fn given_other_text_or_a_blank_picture_when_read_then_nothing_is_found() {
        assert!(find_rondo(&console([R, O, O, D, O])).is_empty());
        assert!(find_rondo(&Picture::from_fn(80, 48, |_, _| 0)).is_empty());
    }
}

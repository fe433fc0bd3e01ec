// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A bitmap font of our own, 5 x 7 pixels a glyph, enough for names and numbers. Lower case is drawn as upper case.

use crate::surface::{Rect, Surface};

/// Width of a glyph in font pixels.
pub const GLYPH_WIDTH: u32 = 5;
/// Height of a glyph in font pixels.
pub const GLYPH_HEIGHT: u32 = 7;
/// From one glyph to the next, in font pixels.
pub const ADVANCE: u32 = 6;

type Glyph = [u8; GLYPH_HEIGHT as usize];

/// What stands for characters that the font lacks: a box.
const MISSING: Glyph = [
    0b11111, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11111,
];

/// The rows of a glyph from the top; bit 4 is the left column.
#[rustfmt::skip]
const fn glyph(character: u8) -> Glyph {
    match character.to_ascii_uppercase() {
        b' ' => [0; GLYPH_HEIGHT as usize],
        b'A' => [0b01110, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        b'B' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10001, 0b10001, 0b11110],
        b'C' => [0b01110, 0b10001, 0b10000, 0b10000, 0b10000, 0b10001, 0b01110],
        b'D' => [0b11110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b11110],
        b'E' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111],
        b'F' => [0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b10000],
        b'G' => [0b01110, 0b10001, 0b10000, 0b10111, 0b10001, 0b10001, 0b01111],
        b'H' => [0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001],
        b'I' => [0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        b'J' => [0b00111, 0b00010, 0b00010, 0b00010, 0b00010, 0b10010, 0b01100],
        b'K' => [0b10001, 0b10010, 0b10100, 0b11000, 0b10100, 0b10010, 0b10001],
        b'L' => [0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b11111],
        b'M' => [0b10001, 0b11011, 0b10101, 0b10101, 0b10001, 0b10001, 0b10001],
        b'N' => [0b10001, 0b11001, 0b11001, 0b10101, 0b10011, 0b10011, 0b10001],
        b'O' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        b'P' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10000, 0b10000, 0b10000],
        b'Q' => [0b01110, 0b10001, 0b10001, 0b10001, 0b10101, 0b10010, 0b01101],
        b'R' => [0b11110, 0b10001, 0b10001, 0b11110, 0b10100, 0b10010, 0b10001],
        b'S' => [0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110],
        b'T' => [0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100],
        b'U' => [0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
        b'V' => [0b10001, 0b10001, 0b10001, 0b10001, 0b01010, 0b01010, 0b00100],
        b'W' => [0b10001, 0b10001, 0b10001, 0b10101, 0b10101, 0b11011, 0b10001],
        b'X' => [0b10001, 0b10001, 0b01010, 0b00100, 0b01010, 0b10001, 0b10001],
        b'Y' => [0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100],
        b'Z' => [0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b10000, 0b11111],
        b'0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        b'1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        b'2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        b'3' => [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
        b'4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        b'5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        b'6' => [0b01110, 0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        b'7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b01000, 0b01000],
        b'8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        b'9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001, 0b01110],
        b'-' => [0b00000, 0b00000, 0b00000, 0b01110, 0b00000, 0b00000, 0b00000],
        b'_' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b11111],
        b'.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        b':' => [0b00000, 0b01100, 0b01100, 0b00000, 0b01100, 0b01100, 0b00000],
        b'/' => [0b00001, 0b00010, 0b00010, 0b00100, 0b01000, 0b01000, 0b10000],
        b'%' => [0b11001, 0b11010, 0b00010, 0b00100, 0b01000, 0b01011, 0b10011],
        b'#' => [0b01010, 0b01010, 0b11111, 0b01010, 0b11111, 0b01010, 0b01010],
        b'@' => [0b01110, 0b10001, 0b10111, 0b10101, 0b10111, 0b10000, 0b01111],
        _ => MISSING,
    }
}

/// How wide a text is at a scale, in pixels, without the gap after the last glyph.
#[must_use]
pub const fn text_width(characters: u32, scale: u32) -> u32 {
    (characters * ADVANCE).saturating_sub(ADVANCE - GLYPH_WIDTH) * scale
}

/// Draws one character with its top left corner at (x, y), each font pixel `scale` pixels wide and high, foreground and background.
pub fn draw_character(
    surface: &mut Surface,
    character: u8,
    x: u32,
    y: u32,
    scale: u32,
    [ink, paper]: [u32; 2],
) {
    for (row, bits) in (0..).zip(glyph(character)) {
        for column in 0..GLYPH_WIDTH {
            let color = if bits >> (GLYPH_WIDTH - 1 - column) & 1 == 1 {
                ink
            } else {
                paper
            };
            let rect = Rect {
                x: x + column * scale,
                y: y + row * scale,
                width: scale,
                height: scale,
            };
            surface.fill(&rect, color);
        }
    }
}

/// Draws a text from (x, y) on.
pub fn draw_text(surface: &mut Surface, text: &[u8], x: u32, y: u32, scale: u32, colors: [u32; 2]) {
    for (i, &character) in (0..).zip(text) {
        draw_character(
            surface,
            character,
            x + i * ADVANCE * scale,
            y,
            scale,
            colors,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_letters_and_digits_no_two_look_alike() {
        let drawn: Vec<u8> = (b'A'..=b'Z')
            .chain(b'0'..=b'9')
            .chain(*b" -_.:/%#@")
            .collect();
        for (i, &a) in drawn.iter().enumerate() {
            assert_ne!(glyph(a), MISSING, "{:?} is missing", char::from(a));
            for &b in &drawn[..i] {
                assert_ne!(
                    glyph(a),
                    glyph(b),
                    "{:?} looks like {:?}",
                    char::from(a),
                    char::from(b)
                );
            }
        }
    }

    #[test]
    fn given_any_byte_the_glyph_fits_its_box() {
        for character in 0..=255 {
            assert!(
                glyph(character).iter().all(|&row| row < 1 << GLYPH_WIDTH),
                "character {character}"
            );
        }
    }

    #[test]
    fn given_a_text_its_width_leaves_out_the_last_gap() {
        assert_eq!(text_width(0, 3), 0);
        assert_eq!(text_width(1, 3), 15);
        assert_eq!(text_width(4, 2), 46);
    }
}

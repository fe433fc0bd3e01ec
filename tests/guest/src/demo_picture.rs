// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The picture for people: the VM's name large, a frame counter, and bars that move, in a colour that follows from the name.
//!
//! Each frame draws only what changes: the counter's digits and the strips that a bar leaves and enters. So drawing costs little next to the GPU work that it asks for.

use crate::font::{self, ADVANCE, GLYPH_HEIGHT};
use crate::surface::{Rect, Surface};

/// Bars, each in a lane of its own.
const LANES: u32 = 4;
/// Most rectangles that a frame changes: the counter and each lane.
pub const MAX_DAMAGE: usize = LANES as usize + 1;
const DIGITS: u32 = 8;
const COUNTER_LABEL: &[u8] = b"FRAME ";
const CAPTION: &[u8] = b"RONDO";

const INK: u32 = 0x00f4_f4f0;
/// Colours for names that are no colour.
const PALETTE: [u32; 8] = [
    0x00e0_5a47,
    0x003f_a7d6,
    0x0059_cd90,
    0x00fa_c05e,
    0x00b0_7be0,
    0x00f7_9d84,
    0x004f_d1c5,
    0x00e8_6fb0,
];

/// The first number in a name.
fn number_in(name: &str) -> Option<usize> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    digits.get(..end)?.parse().ok()
}

/// The colour of a name: what it says, or the one that its first number has, so that numbered VMs differ; or any.
#[must_use]
pub fn accent(name: &str) -> u32 {
    match name {
        "red" => 0x00e0_3c31,
        "green" => 0x002f_a84f,
        "blue" => 0x002f_6fe0,
        "yellow" => 0x00f0_c419,
        "orange" => 0x00f0_8020,
        "purple" => 0x0090_50d0,
        _ => {
            let number = number_in(name).unwrap_or_else(|| {
                // FNV-1a.
                let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
                    (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
                });
                (hash >> 13) as usize
            });
            PALETTE[number % PALETTE.len()]
        }
    }
}

/// A colour dimmed to `parts` sixteenths.
const fn dim(color: u32, parts: u32) -> u32 {
    let red_and_blue = ((color & 0x00ff_00ff) * parts / 16) & 0x00ff_00ff;
    let green = ((color & 0x0000_ff00) * parts / 16) & 0x0000_ff00;
    red_and_blue | green
}

/// Where things are on a screen of this size.
#[derive(Debug)]
pub struct DemoPicture<'a> {
    name: &'a [u8],
    accent: u32,
    paper: u32,
    width: u32,
    height: u32,
    counter_scale: u32,
    counter_x: u32,
    counter_y: u32,
    shown: [u8; DIGITS as usize],
    lanes_y: u32,
    lane_height: u32,
    bar_width: u32,
    bars: [u32; LANES as usize],
}

impl<'a> DemoPicture<'a> {
    /// Lays the picture out.
    #[must_use]
    pub fn new(name: &'a str, width: u32, height: u32) -> Self {
        let accent = accent(name);
        let counter_characters = COUNTER_LABEL.len() as u32 + DIGITS;
        let counter_scale = scale_to_fit(counter_characters, width * 6 / 10, height / 10);
        Self {
            name: name.as_bytes(),
            accent,
            paper: dim(accent, 3),
            width,
            height,
            counter_scale,
            counter_x: width.saturating_sub(font::text_width(counter_characters, counter_scale))
                / 2,
            counter_y: height * 45 / 100,
            shown: [b' '; DIGITS as usize],
            lanes_y: height * 60 / 100,
            lane_height: height * 36 / 100 / LANES,
            bar_width: width / 6,
            bars: [0; LANES as usize],
        }
    }

    /// Draws frame 0 whole.
    pub fn draw_first(&mut self, surface: &mut Surface) {
        surface.fill(&surface.whole(), self.paper);
        let edge = (self.height / 40).max(1);
        surface.fill(
            &Rect {
                x: 0,
                y: 0,
                width: self.width,
                height: edge,
            },
            self.accent,
        );
        surface.fill(
            &Rect {
                x: 0,
                y: self.height - edge,
                width: self.width,
                height: edge,
            },
            self.accent,
        );

        let caption_scale = (self.height / 200).max(1);
        font::draw_text(
            surface,
            CAPTION,
            edge,
            2 * edge,
            caption_scale,
            [self.accent, self.paper],
        );
        let scale = scale_to_fit(
            self.name.len() as u32,
            self.width * 9 / 10,
            self.height * 30 / 100,
        );
        let x = self
            .width
            .saturating_sub(font::text_width(self.name.len() as u32, scale))
            / 2;
        font::draw_text(
            surface,
            self.name,
            x,
            self.height / 8,
            scale,
            [INK, self.paper],
        );
        font::draw_text(
            surface,
            COUNTER_LABEL,
            self.counter_x,
            self.counter_y,
            self.counter_scale,
            [self.accent, self.paper],
        );
        for lane in 0..LANES {
            let rect = Rect {
                x: 0,
                y: self.lane_y(lane),
                width: self.width,
                height: self.lane_height,
            };
            surface.fill(&rect, self.lane_color(lane));
            surface.fill(
                &Rect {
                    width: self.bar_width,
                    ..rect
                },
                self.bar_color(lane),
            );
        }
        self.bars = [0; LANES as usize];
        self.shown = [b' '; DIGITS as usize];
        self.draw_counter(surface, 0);
    }

    /// Draws frame `frame` over the one before and returns what changed; empty rectangles are none.
    pub fn draw_next(&mut self, surface: &mut Surface, frame: u64) -> [Rect; MAX_DAMAGE] {
        let mut damage = [Rect::default(); MAX_DAMAGE];
        damage[0] = self.draw_counter(surface, frame);
        for lane in 0..LANES {
            damage[lane as usize + 1] = self.move_bar(surface, lane, frame);
        }
        damage
    }

    fn lane_y(&self, lane: u32) -> u32 {
        self.lanes_y + lane * self.lane_height
    }

    fn lane_color(&self, lane: u32) -> u32 {
        dim(self.accent, 4 + lane % 2)
    }

    fn bar_color(&self, lane: u32) -> u32 {
        if lane.is_multiple_of(2) {
            self.accent
        } else {
            INK
        }
    }

    /// Draws the digits that changed and returns the rectangle from the first of them to the end.
    fn draw_counter(&mut self, surface: &mut Surface, frame: u64) -> Rect {
        let mut digits = [b'0'; DIGITS as usize];
        let mut rest = frame;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let label = COUNTER_LABEL.len() as u32;
        let x_of = |i: u32| self.counter_x + (label + i) * ADVANCE * self.counter_scale;
        let mut first = DIGITS;
        for (i, (&new, old)) in (0..).zip(digits.iter().zip(&self.shown)) {
            if new != *old {
                first = first.min(i);
                font::draw_character(
                    surface,
                    new,
                    x_of(i),
                    self.counter_y,
                    self.counter_scale,
                    [INK, self.paper],
                );
            }
        }
        let rect = Rect {
            x: x_of(first),
            y: self.counter_y,
            width: font::text_width(DIGITS - first, self.counter_scale),
            height: GLYPH_HEIGHT * self.counter_scale,
        };
        self.shown = digits;
        self.clip(rect)
    }

    /// Moves one bar: there and back, each lane faster than the one above.
    fn move_bar(&mut self, surface: &mut Surface, lane: u32, frame: u64) -> Rect {
        let way = u64::from(self.width - self.bar_width).max(1);
        let step = u64::from(lane + 1) * u64::from(self.width / 320).max(1);
        let phase = frame.wrapping_mul(step) % (2 * way);
        let new = if phase < way { phase } else { 2 * way - phase } as u32;
        let old = self.bars[lane as usize];
        self.bars[lane as usize] = new;
        let (low, high) = (old.min(new), old.max(new));
        let moved = (high - low).min(self.bar_width);
        // The two strips where the old and the new bar differ; between them nothing changes.
        let left = Rect {
            x: low,
            y: self.lane_y(lane),
            width: moved,
            height: self.lane_height,
        };
        let right = Rect {
            x: high + self.bar_width - moved,
            ..left
        };
        let (bar, lane_color) = (self.bar_color(lane), self.lane_color(lane));
        let (left_color, right_color) = if new > old {
            (lane_color, bar)
        } else {
            (bar, lane_color)
        };
        surface.fill(&left, left_color);
        surface.fill(&right, right_color);
        let changed = if moved == 0 {
            0
        } else {
            high + self.bar_width - low
        };
        self.clip(Rect {
            width: changed,
            ..left
        })
    }

    /// What of a rectangle is on the screen.
    fn clip(&self, rect: Rect) -> Rect {
        let x = rect.x.min(self.width);
        let y = rect.y.min(self.height);
        Rect {
            x,
            y,
            width: rect.width.min(self.width - x),
            height: rect.height.min(self.height - y),
        }
    }
}

/// The largest scale at which a text of so many characters fits into a box.
fn scale_to_fit(characters: u32, width: u32, height: u32) -> u32 {
    (width / font::text_width(characters.max(1), 1))
        .min(height / GLYPH_HEIGHT)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbered_names_have_colours_of_their_own() {
        let colours: Vec<u32> = ["vm1-75%", "vm2-25%", "vm3", "vm4", "vm5", "vm6", "vm7", "8"]
            .into_iter()
            .map(accent)
            .collect();
        for (index, colour) in colours.iter().enumerate() {
            assert!(!colours[..index].contains(colour), "number {}", index + 1);
        }
        assert_eq!(number_in("vm12-75%"), Some(12));
        assert_eq!(number_in("guest"), None);
    }
}

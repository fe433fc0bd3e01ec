// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What is drawn, frame by frame: the demo picture or the test picture, and what of it changed.

use crate::command_line::{Options, Pattern};
use crate::demo_picture::{DemoPicture, MAX_DAMAGE};
use crate::pattern;
use crate::surface::{Rect, Surface};

/// A picture that is drawn frame by frame.
#[derive(Debug)]
pub enum Picture<'a> {
    /// The picture for people.
    Demo(DemoPicture<'a>),
    /// The picture for tests.
    Test,
}

impl<'a> Picture<'a> {
    /// The picture that the command line asks for.
    #[must_use]
    pub fn new(options: &Options<'a>, surface: &Surface) -> Self {
        match options.pattern {
            Pattern::Demo => Self::Demo(DemoPicture::new(
                options.name,
                surface.width(),
                surface.height(),
            )),
            Pattern::Test => Self::Test,
        }
    }

    /// Draws frame `frame` over the one before (frame 0 over anything), and returns what changed.
    pub fn draw(&mut self, surface: &mut Surface, frame: u64) -> [Rect; MAX_DAMAGE] {
        let mut damage = [Rect::default(); MAX_DAMAGE];
        match self {
            Self::Demo(picture) if frame == 0 => {
                picture.draw_first(surface);
                damage[0] = surface.whole();
            }
            Self::Demo(picture) => damage = picture.draw_next(surface, frame),
            Self::Test if frame == 0 => {
                surface.paint(&surface.whole(), |x, y| pattern::stamped_pixel(x, y, 0));
                damage[0] = surface.whole();
            }
            Self::Test => {
                let (x, y, width, height) = pattern::tile_rect(
                    surface.width(),
                    surface.height(),
                    pattern::tile_of_frame(frame),
                );
                damage[0] = Rect {
                    x,
                    y,
                    width,
                    height,
                };
                surface.paint(&damage[0], |x, y| pattern::stamped_pixel(x, y, frame));
            }
        }
        damage
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::command_line::Backing;
    use crate::surface::tests::{assembled, surface};

    /// Every change of the picture lies in what `draw` returns, for this command line and size.
    fn damage_covers_changes(line: &str, width: u32, height: u32) {
        let options = Options::parse(line).unwrap();
        let mut surface = surface(width, height, Backing::Scattered);
        let mut picture = Picture::new(&options, &surface);
        picture.draw(&mut surface, 0);
        let mut before = assembled(&surface);
        for frame in 1..150 {
            let damage = picture.draw(&mut surface, frame);
            let whole = surface.whole();
            assert!(
                damage
                    .iter()
                    .all(|rect| rect.is_empty() || whole.contains(rect)),
                "{width}x{height} frame {frame}: {damage:?}"
            );
            let after = assembled(&surface);
            for (i, _) in before
                .iter()
                .zip(&after)
                .enumerate()
                .filter(|(_, (old, new))| old != new)
            {
                let pixel = Rect::new(i as u32 % width, i as u32 / width, 1, 1);
                assert!(
                    damage.iter().any(|rect| rect.contains(&pixel)),
                    "{width}x{height} frame {frame}: {pixel:?} not in {damage:?}"
                );
            }
            before = after;
        }
    }

    #[test]
    fn given_any_size_partial_damage_covers_every_pixel_that_changed() {
        for (width, height) in [(320, 200), (201, 77), (40, 30), (7, 3), (1, 1)] {
            damage_covers_changes("name=red", width, height);
            damage_covers_changes("pattern=test", width, height);
        }
    }

    #[test]
    fn given_frames_drawn_one_by_one_the_demo_picture_is_the_one_drawn_at_once() {
        let options = Options::parse("name=blue").unwrap();
        let mut stepwise = surface(320, 200, Backing::Contiguous);
        let mut picture = Picture::new(&options, &stepwise);
        for frame in 0..500 {
            picture.draw(&mut stepwise, frame);
        }
        let mut at_once = surface(320, 200, Backing::Contiguous);
        let mut picture = Picture::new(&options, &at_once);
        picture.draw(&mut at_once, 0);
        picture.draw(&mut at_once, 499);
        assert!(assembled(&stepwise) == assembled(&at_once));
    }
}

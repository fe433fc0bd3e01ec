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

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Colours and letters that all pictures share.

use plotters::prelude::*;

use crate::contender::Contender;

/// The title of a picture.
pub(super) fn title() -> TextStyle<'static> {
    ("sans-serif", 18).into_font().color(&INK)
}

/// What stands at axes and in legends.
pub(super) fn small() -> TextStyle<'static> {
    ("sans-serif", 13).into_font().color(&INK)
}

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(40, 40, 48);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(225, 225, 230);

/// Of each contender. Those that Rondo ships are strong, the others pale or dark.
pub(super) const fn colour(contender: Contender) -> RGBColor {
    match contender {
        Contender::Guaranteed => RGBColor(0, 114, 178),
        Contender::Fixed => RGBColor(213, 94, 0),
        Contender::Fair => RGBColor(0, 158, 115),
        Contender::BestEffort => RGBColor(204, 121, 167),
        Contender::RoundRobin => RGBColor(150, 110, 150),
        Contender::NvidiaStrict => RGBColor(110, 160, 40),
        Contender::GvtG => RGBColor(120, 120, 130),
        Contender::AmdFairness => RGBColor(170, 60, 60),
        Contender::DrmFair => RGBColor(230, 159, 0),
        Contender::Eevdf => RGBColor(86, 180, 233),
        Contender::Wf2qActive => RGBColor(20, 60, 90),
    }
}

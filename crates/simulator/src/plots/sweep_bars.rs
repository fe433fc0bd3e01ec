// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The worst request of many adversarial set-ups, in parts of its bound, under everybody.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Drawing;
use super::style::{GRID, INK, colour, small, title};
use crate::sweep::{Sweep, Trouble};

/// How many set-ups are drawn.
pub const SETUPS: u64 = 500;
/// Parts of the bound at the two ends of the axis.
const AXIS: (f64, f64) = (0.5, 10_000.0);

pub(super) fn draw() -> Drawing {
    let sweep = Sweep {
        setups: SETUPS,
        seed: 1,
        engines: 1,
        trouble: Trouble::Nothing,
    };
    let results = sweep.run();
    let count = results.len();
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (860, 500)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(
            &format!("The worst request of {SETUPS} adversarial set-ups"),
            title(),
        )?;
        let mut chart = ChartBuilder::on(&area)
            .margin(14)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(110)
            .build_cartesian_2d((AXIS.0..AXIS.1).log_scale(), 0.0..count as f64)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .disable_y_mesh()
            .y_labels(0)
            .label_style(small())
            .x_desc("latency in parts of the bound c/share + L (each step ten times as late)")
            .x_label_formatter(&|parts| format!("{parts}"))
            .draw()?;
        for (place, (contender, tallies)) in results.iter().enumerate() {
            // The first on top.
            let middle = (count - place) as f64 - 0.5;
            let tally = tallies[0];
            let worst = tally.worst;
            chart.draw_series([Rectangle::new(
                [(AXIS.0, middle - 0.32), (worst, middle + 0.32)],
                colour(*contender).filled(),
            )])?;
            let beside = |h, text: String, at: f64, shift: i32| {
                let style = small().pos(Pos::new(h, VPos::Center));
                EmptyElement::at((at, middle)) + Text::new(text, (shift, 0), style)
            };
            chart.draw_series([beside(HPos::Right, contender.name(), AXIS.0, -8)])?;
            let broken = tally.broken as f64 * 100.0 / tally.setups as f64;
            let said = format!("{worst:.2}, late in {broken:.0} % of the set-ups");
            // A long bar has no room on its right.
            if worst > 100.0 {
                let style = small()
                    .color(&WHITE)
                    .pos(Pos::new(HPos::Right, VPos::Center));
                let inside = EmptyElement::at((worst, middle)) + Text::new(said, (-6, 0), style);
                chart.draw_series([inside])?;
            } else {
                chart.draw_series([beside(HPos::Left, said, worst, 6)])?;
            }
        }
        chart.draw_series(LineSeries::new(
            [(1.0, 0.0), (1.0, count as f64)],
            INK.stroke_width(2),
        ))?;
        area.present()?;
    }
    Ok(svg)
}

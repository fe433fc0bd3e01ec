// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a VM with a half gets while another one, with the other half, sleeps and comes back.

use plotters::prelude::*;

use super::Drawing;
use super::style::{GRID, INK, colour, small, title};
use crate::contender::Contender;
use crate::scenario::Scenario;
use crate::simulation::simulate;

/// The other VM sleeps from here to there, in ms.
const ASLEEP: (u64, u64) = (240, 640);
const END_MS: u64 = 960;
/// Over which each step is a mean: a frame of `fixed`.
const WINDOW_MS: u64 = 16;
const WHO: [Contender; 3] = [
    Contender::Guaranteed,
    Contender::Fixed,
    Contender::NvidiaStrict,
];

pub(super) fn draw() -> Drawing {
    let (from, to) = ASLEEP;
    let text = format!(
        "duration_ms = {END_MS}\n[[vm]]\nname = \"stays\"\nshare_ppm = 500000\nmax_unit_us = 1000\nload = {{ kind = \"backlogged\", length_us = 1000 }}\n[[vm]]\nname = \"sleeps\"\nshare_ppm = 500000\nmax_unit_us = 1000\nload = {{ kind = \"list\", requests = [[0, {}], [{}, {}]] }}\n",
        from * 1_000 / 2,
        to * 1_000,
        END_MS * 1_000
    );
    let scenario = Scenario::parse(&text)?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (860, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(
            &format!("A VM with 50 %, while the only other one sleeps from {from} to {to} ms"),
            title(),
        )?;
        let mut chart = ChartBuilder::on(&area)
            .margin(14)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(62)
            .build_cartesian_2d(0.0..END_MS as f64, 0.0..110.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .x_labels(13)
            .label_style(small())
            .x_desc("time, ms")
            .y_desc(format!("of the GPU, % (means of {WINDOW_MS} ms)"))
            .x_label_formatter(&|ms| format!("{ms:.0}"))
            .y_label_formatter(&|percent| format!("{percent:.0}"))
            .draw()?;
        for contender in WHO {
            let outcome = simulate(&scenario, contender, 1, true)?;
            let rows = outcome
                .traces
                .iter()
                .flat_map(|trace| trace.text().lines().skip(1));
            let style = colour(contender).stroke_width(if contender == Contender::Guaranteed {
                4
            } else {
                2
            });
            chart
                .draw_series(LineSeries::new(windows(rows), style))?
                .label(contender.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.9))
            .border_style(GRID)
            .label_font(small())
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// The part of each window in which the VM that stays ran.
fn windows<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<(f64, f64)> {
    let window = WINDOW_MS * 1_000_000;
    let count = END_MS / WINDOW_MS;
    let mut ran = vec![0; usize::try_from(count).unwrap_or(0)];
    for row in rows {
        let fields: Vec<&str> = row.split(',').collect();
        let [start, end, "run", "stays", ..] = fields[..] else {
            continue;
        };
        let (Ok(start), Ok(end)) = (start.parse::<u64>(), end.parse::<u64>()) else {
            continue;
        };
        for (n, ran) in (0..).zip(&mut ran) {
            let (from, to) = (start.max(n * window), end.min((n + 1) * window));
            *ran += to.saturating_sub(from);
        }
    }
    let step = |(n, ran): (u64, u64)| {
        let percent = ran as f64 * 100.0 / window as f64;
        [n, n + 1].map(|edge| ((edge * WINDOW_MS) as f64, percent))
    };
    (0..).zip(ran).flat_map(step).collect()
}

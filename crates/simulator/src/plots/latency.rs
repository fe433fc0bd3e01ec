// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! How long the victim's jobs took beside fifteen noisy neighbours: which part of them took at most so long.

use plotters::prelude::*;

use super::Drawing;
use super::style::{GRID, INK, colour, small, title};
use crate::contender::Contender;
use crate::load::Load;
use crate::scenario::{Scenario, WHOLE_PPM, Work};
use crate::simulation::latencies;

/// Milliseconds at the two ends of the axis; beyond the last label there is room for the legend.
const AXIS: (f64, f64) = (0.4, 2_000_000.0);
const LAST_LABEL: f64 = 10_000.0;
/// Its place in the scenario.
const VICTIM: usize = 0;
/// Milliseconds, and percent of the jobs.
type Line = Vec<(f64, f64)>;

pub(super) fn draw() -> Drawing {
    let scenario = Scenario::parse(include_str!("../../scenarios/noisy-neighbours.toml"))?;
    let bound = bound(&scenario).ok_or("the scenario's victim has no bound")?;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (860, 500)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(
            "A job of 0.5 ms every 4 ms, beside fifteen busy neighbours",
            title(),
        )?;
        let mut chart = ChartBuilder::on(&area)
            .margin(14)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(62)
            .build_cartesian_2d((AXIS.0..AXIS.1).log_scale(), 0.0..100.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .label_style(small())
            .x_desc("latency of a job, ms (each step ten times as long)")
            .y_desc("jobs that took at most so long, %")
            .x_label_formatter(&|ms| {
                if *ms <= LAST_LABEL {
                    format!("{ms}")
                } else {
                    String::new()
                }
            })
            .y_label_formatter(&|percent| format!("{percent:.0}"))
            .draw()?;
        // Whose lines would lie on each other share one.
        let mut lines: Vec<(Contender, Vec<String>, Line)> = Vec::new();
        for &contender in Contender::all() {
            let line = steps(&latencies(&scenario, contender, 1, VICTIM)?);
            match lines.iter_mut().find(|(.., other)| *other == line) {
                Some((_, names, _)) => names.push(contender.name()),
                None => lines.push((contender, vec![contender.name()], line)),
            }
        }
        for (contender, names, line) in lines {
            let style =
                colour(contender).stroke_width(if contender.policy().is_some() { 3 } else { 2 });
            chart
                .draw_series(LineSeries::new(line, style))?
                .label(names.join(", "))
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        }
        chart
            .draw_series(LineSeries::new(
                [(bound, 0.0), (bound, 100.0)],
                INK.stroke_width(1),
            ))?
            .label("the bound, c/share + L")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], INK.filled()));
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(GRID)
            .label_font(small())
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}

/// `c/share + L` of the victim in milliseconds, `L` being the longest unit of a neighbour.
fn bound(scenario: &Scenario) -> Option<f64> {
    let victim = scenario.vms.get(VICTIM)?;
    let Work::Plain(Load::Frames { length, .. }) = victim.work else {
        return None;
    };
    let longest = scenario.vms.iter().filter_map(|vm| vm.max_unit).max()?;
    let slower = length * u64::from(WHOLE_PPM) / u64::from(victim.share_ppm.max(1));
    Some((slower + longest) as f64 / 1e6)
}

/// The distribution at each half per cent: enough for the eye, and a small file.
fn steps(sorted: &[u64]) -> Line {
    let at = |half: usize| {
        let rank = (sorted.len() * half).div_ceil(200).saturating_sub(1);
        sorted
            .get(rank)
            .map(|&ns| (ns as f64 / 1e6, half as f64 / 2.0))
    };
    (0..=200).filter_map(at).collect()
}

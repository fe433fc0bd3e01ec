// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Who runs when: A has 75 %, B has 25 %, units take 3 ms; with B busy, and with B asleep until 18 ms.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::Drawing;
use super::style::{GRID, INK, small, title};
use crate::contender::Contender;
use crate::scenario::Scenario;
use crate::simulation::simulate;

const END_MS: u64 = 36;
/// A unit, and a step of the axis.
const UNIT_MS: f64 = 3.0;
const A: RGBColor = RGBColor(0, 114, 178);
const B: RGBColor = RGBColor(230, 159, 0);

fn scenario(b: &str) -> Result<Scenario, crate::scenario::ScenarioError> {
    Scenario::parse(&format!(
        "duration_ms = {END_MS}\n[[vm]]\nname = \"A\"\nshare_ppm = 750000\nmax_unit_us = 3000\nload = {{ kind = \"backlogged\", length_us = 3000 }}\n[[vm]]\nname = \"B\"\nshare_ppm = 250000\nmax_unit_us = 3000\nload = {b}\n"
    ))
}

/// Each run as who, from and to in units.
fn runs(scenario: &Scenario) -> Result<Vec<(String, f64, f64)>, rondo_scheduler::SchedulerError> {
    let outcome = simulate(scenario, Contender::Guaranteed, 1, true)?;
    let rows = outcome
        .traces
        .iter()
        .flat_map(|trace| trace.text().lines().skip(1));
    let run = |row: &str| {
        let fields: Vec<&str> = row.split(',').collect();
        let units = |n: usize| {
            fields
                .get(n)?
                .parse::<f64>()
                .ok()
                .map(|ns| ns / 1e6 / UNIT_MS)
        };
        let vm = fields.get(3).filter(|_| fields.get(2) == Some(&"run"))?;
        Some(((*vm).to_owned(), units(0)?, units(1)?))
    };
    Ok(rows.filter_map(run).collect())
}

pub(super) fn draw() -> Drawing {
    let busy = scenario("{ kind = \"backlogged\", length_us = 3000 }")?;
    let wakes =
        scenario("{ kind = \"list\", requests = [[18000, 3000], [18000, 3000], [18000, 3000]] }")?;
    let lines = [
        ("both always busy", runs(&busy)?),
        ("B sleeps until 18 ms", runs(&wakes)?),
    ];
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (860, 260)).into_drawing_area();
        area.fill(&WHITE)?;
        let area = area.titled(
            "guaranteed: A has 75 %, B has 25 %, each unit takes 3 ms",
            title(),
        )?;
        let mut chart = ChartBuilder::on(&area)
            .margin(14)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..END_MS as f64 / UNIT_MS, 0.0..2.0)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID)
            .axis_style(INK)
            .disable_y_mesh()
            .y_labels(0)
            .x_labels(13)
            .label_style(small())
            .x_desc("time, ms")
            .x_label_formatter(&|units| format!("{:.0}", units * UNIT_MS))
            .draw()?;
        let middle = Pos::new(HPos::Center, VPos::Center);
        for (place, (name, runs)) in lines.iter().enumerate() {
            let y = 1.5 - place as f64;
            let right = small().pos(Pos::new(HPos::Right, VPos::Center));
            chart.draw_series([EmptyElement::at((0.0, y)) + Text::new(*name, (-8, 0), right)])?;
            for (vm, start, end) in runs {
                let colour = if vm == "A" { A } else { B };
                let corners = [(*start, y - 0.33), (*end, y + 0.33)];
                chart.draw_series([Rectangle::new(corners, colour.filled())])?;
                chart.draw_series([Rectangle::new(corners, WHITE.stroke_width(2))])?;
                let style = small().color(&WHITE).pos(middle);
                let at = (f64::midpoint(*start, *end), y);
                chart.draw_series([EmptyElement::at(at) + Text::new(vm.clone(), (0, 0), style)])?;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

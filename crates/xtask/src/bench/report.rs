// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The report: as JSON with every sample, and as the marked parts of a document.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::contender::Contender;
use super::document;
use super::machine::Machine;
use super::quantity::{Goal, Quantity};
use super::statistics::{extremes, median, paired_ratio};
use super::vmm::Measured;

/// Everything that was measured, and under which circumstances.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where and when.
    pub machine: Machine,
    /// Load averages after the measurement.
    pub load_after: String,
    /// `rondo --version`.
    pub rondo: String,
    /// QEMU's version.
    pub qemu: String,
    /// Runs of each load under each VMM.
    pub rounds: u32,
    /// The commands, and the loads in the order in which a round runs them.
    pub commands: Vec<String>,
    /// One for each quantity.
    pub rows: Vec<Row>,
    /// Frames a second that one thread copies with nothing else to do, one sample a round.
    pub memcpy_frames_per_second: Vec<f64>,
}

/// One quantity.
#[derive(Debug, Serialize)]
pub struct Row {
    #[serde(skip)]
    quantity: Quantity,
    name: &'static str,
    unit: &'static str,
    rondo: Vec<f64>,
    qemu: Vec<f64>,
    rondo_median: f64,
    qemu_median: f64,
    /// The median of the ratios of each pair, `rondo` to QEMU.
    ratio: f64,
    /// The best sample of `rondo` against the best of QEMU: what each can do while nobody else uses the machine.
    ratio_of_best: f64,
    /// Whether the goals are reached, where there are any.
    reached: Option<bool>,
}

impl Row {
    /// The row of a quantity; nothing where it was not measured.
    pub fn new(quantity: Quantity, measured: &Measured) -> Option<Self> {
        let rondo = measured.of(quantity, Contender::Rondo).to_vec();
        let qemu = measured.of(quantity, Contender::Qemu).to_vec();
        let (rondo_median, ratio) = (median(&rondo)?, paired_ratio(&rondo, &qemu)?);
        let ratio_of_best = quantity.best(&rondo)? / quantity.best(&qemu)?;
        let below_ceiling = quantity.ceiling().is_none_or(|most| rondo_median <= most);
        Some(Self {
            quantity,
            name: quantity.key(),
            unit: quantity.unit(),
            rondo_median,
            qemu_median: median(&qemu)?,
            ratio,
            ratio_of_best,
            reached: quantity
                .goal()
                .map(|goal| goal.is_reached(ratio) && below_ceiling),
            rondo,
            qemu,
        })
    }

    fn markdown(&self) -> String {
        let spread = |samples: &[f64], median: f64| {
            let (low, high) = extremes(samples).unwrap_or((median, median));
            format!("{} ({} to {})", number(median), number(low), number(high))
        };
        let goal = match (self.quantity.goal(), self.quantity.ceiling()) {
            (None, _) => String::new(),
            (Some(goal), ceiling) => {
                let ceiling = ceiling.map(|most| format!(", {most} {}", self.unit));
                format!("{}{}", shown_goal(goal), ceiling.unwrap_or_default())
            }
        };
        let verdict = match self.reached {
            None => "",
            Some(true) => "reached",
            Some(false) => "missed",
        };
        format!(
            "| {}, {} | {} | {} | {:.2} | {:.2} | {goal} | {verdict} |\n",
            self.quantity.title(),
            self.unit,
            spread(&self.rondo, self.rondo_median),
            spread(&self.qemu, self.qemu_median),
            self.ratio,
            self.ratio_of_best,
        )
    }
}

impl Report {
    /// The circumstances, the table and the commands.
    pub fn markdown(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "Measured {} on {} cores of {}, {} of memory, {}, {}; load averages {} before and {} after. {} against {}; \
             commit {}, {}. {} rounds.\n\n",
            machine.date,
            machine.cores,
            machine.processor,
            machine.memory,
            machine.kernel,
            machine.kvm,
            machine.load_before,
            self.load_after,
            self.rondo,
            self.qemu,
            machine.revision,
            machine.compiler,
            self.rounds,
        );
        text.push_str(
            "| | rondo: median (range) | QEMU: median (range) | ratio | best to best | goal | |\n|---|---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            text.push_str(&row.markdown());
        }
        text.push_str(&self.memcpy_sentence());
        text.push_str("\nThe commands:\n\n```\n");
        for command in &self.commands {
            text.push_str(command);
            text.push('\n');
        }
        text.push_str("```\n");
        text
    }

    fn memcpy_sentence(&self) -> String {
        let frames = self
            .rows
            .iter()
            .find(|row| row.quantity == Quantity::Frames);
        let (Some(limit), Some(frames)) = (median(&self.memcpy_frames_per_second), frames) else {
            return String::new();
        };
        format!(
            "\nOne thread of this machine copies {} frames of this size a second from one buffer to another with nothing else to do: rondo \
             reaches {:.0} % of that limit, QEMU {:.0} %.\n",
            number(limit),
            frames.rondo_median / limit * 100.0,
            frames.qemu_median / limit * 100.0,
        )
    }

    /// Writes everything as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_json(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Writes the marked parts of a document anew: `vmm`, and `vmm-profile` where there is one.
    ///
    /// # Errors
    /// When the document cannot be read or written, or lacks the marks.
    pub fn write_document(&self, path: &Path, profile: Option<&str>) -> Result<()> {
        let markdown = self.markdown();
        let parts = [("vmm", Some(markdown.as_str())), ("vmm-profile", profile)];
        document::write_parts(
            path,
            parts
                .into_iter()
                .filter_map(|(name, part)| Some((name, part?))),
        )
    }
}

fn shown_goal(goal: Goal) -> String {
    match goal {
        Goal::AtMost(limit) => format!("at most {limit}"),
        Goal::AtLeast(limit) => format!("at least {limit}"),
    }
}

/// Three significant digits, or all digits before the point.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn given_a_number_when_shown_then_it_has_three_digits() {
        assert_eq!(number(12345.6), "12346");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(1.2345), "1.23");
    }
}

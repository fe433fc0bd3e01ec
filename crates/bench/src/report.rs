// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What a section says: numbers beside their goals, tables, and how it was measured, as Markdown.

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Goal {
    fn is_reached(self, measured: f64) -> bool {
        match self {
            Self::AtMost(limit) => measured <= limit,
            Self::AtLeast(limit) => measured >= limit,
        }
    }
}

/// A number beside its goal.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What was measured.
    pub what: String,
    /// Its unit, in which the goal is given too.
    pub unit: &'static str,
    /// What it was.
    pub measured: f64,
    /// What it should be.
    pub goal: Goal,
}

impl Verdict {
    /// A value with as many digits as its goal asks for.
    fn number(&self, value: f64) -> String {
        let (Goal::AtMost(limit) | Goal::AtLeast(limit)) = self.goal;
        if self.unit == "ns" {
            nanos(value)
        } else if (0.99..1.0).contains(&limit) {
            format!("{value:.5}")
        } else {
            number(value)
        }
    }
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    heads: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table under these heads.
    pub fn new<T: Into<String>>(heads: impl IntoIterator<Item = T>) -> Self {
        Self {
            heads: heads.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = line(&self.heads);
        text.push_str(&format!("|{}\n", "---|".repeat(self.heads.len())));
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }
}

/// What one section says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its head.
    pub title: &'static str,
    /// Numbers beside their goals.
    pub verdicts: Vec<Verdict>,
    /// Paragraphs and tables, in order.
    parts: Vec<String>,
}

impl Section {
    /// An empty section.
    pub fn new(title: &'static str) -> Self {
        Self {
            title,
            ..Self::default()
        }
    }

    /// Adds a paragraph.
    pub fn say(&mut self, paragraph: impl Into<String>) {
        let mut paragraph = paragraph.into();
        paragraph.push('\n');
        self.parts.push(paragraph);
    }

    /// Adds a table.
    pub fn show(&mut self, table: &Table) {
        self.parts.push(table.markdown());
    }

    /// Adds a number beside its goal.
    pub fn judge(
        &mut self,
        what: impl Into<String>,
        measured: f64,
        unit: &'static str,
        goal: Goal,
    ) {
        self.verdicts.push(Verdict {
            what: what.into(),
            unit,
            measured,
            goal,
        });
    }

    /// The section without its verdicts, which [`summary`] has.
    pub fn markdown(&self) -> String {
        format!("### {}\n\n{}", self.title, self.parts.join("\n"))
    }
}

/// All verdicts of all sections, in one table.
pub fn summary(sections: &[Section]) -> String {
    let mut table = Table::new(["", "measured", "goal", ""]);
    for verdict in sections.iter().flat_map(|section| &section.verdicts) {
        let with_unit = |value: f64| {
            let number = verdict.number(value);
            if verdict.unit.is_empty() {
                number
            } else {
                format!("{number} {}", verdict.unit)
            }
        };
        let goal = match verdict.goal {
            Goal::AtMost(limit) => format!("at most {}", with_unit(limit)),
            Goal::AtLeast(limit) => format!("at least {}", with_unit(limit)),
        };
        let reached = verdict.goal.is_reached(verdict.measured);
        table.row([
            verdict.what.clone(),
            with_unit(verdict.measured),
            goal,
            if reached { "reached" } else { "**missed**" }.to_owned(),
        ]);
    }
    table.markdown()
}

/// Whole nanoseconds: no clock here knows more.
pub fn nanos(value: f64) -> String {
    format!("{value:.0}")
}

/// All digits before the point, and three that are not zeros.
pub fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Goal, Section, Table, number, summary};

    #[test]
    fn given_numbers_and_goals_when_summed_up_then_each_says_whether_it_is_reached() {
        let mut section = Section::new("Cost");
        section.judge("p50", 150.0, "ns", Goal::AtMost(150.0));
        section.judge("Jain", 0.9998, "", Goal::AtLeast(0.9999));
        let text = summary(&[section]);
        assert!(
            text.contains("| p50 | 150 ns | at most 150 ns | reached |"),
            "{text}"
        );
        assert!(
            text.contains("| Jain | 0.99980 | at least 0.99990 | **missed** |"),
            "{text}"
        );
    }

    #[test]
    fn given_paragraphs_and_tables_when_a_section_is_written_then_blank_lines_part_them() {
        let mut section = Section::new("Cost");
        section.say("How.");
        let mut table = Table::new(["a", "b"]);
        table.row(["1", "2"]);
        section.show(&table);
        assert_eq!(
            section.markdown(),
            "### Cost\n\nHow.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
        );
    }

    #[test]
    fn given_values_of_all_sizes_when_written_then_no_digit_is_lost_that_means_something() {
        let written = [0.0, 0.0123, 0.5, 1.0, 2.345, 12.34, 1234.5].map(number);
        assert_eq!(
            written,
            ["0", "0.0123", "0.50", "1.00", "2.35", "12.3", "1234"]
        );
    }
}

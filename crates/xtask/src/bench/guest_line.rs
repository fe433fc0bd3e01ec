// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The lines that the bare-metal guest writes to its serial port: `rondo-guest: key=value ...` (`tests/guest/src/lib.rs` lists them).

use anyhow::{Context, Result};

/// What each line begins with.
const PREFIX: &str = "rondo-guest: ";

/// One line of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestLine(String);

impl GuestLine {
    /// The guest's line in a line of a console, if it is one.
    pub fn parse(line: &str) -> Option<Self> {
        let (_, rest) = line.split_once(PREFIX)?;
        Some(Self(rest.trim_end().to_owned()))
    }

    /// Whether the line begins with this word or key.
    pub fn is(&self, first: &str) -> bool {
        let word = self.0.split_whitespace().next().unwrap_or_default();
        word.split('=').next() == Some(first)
    }

    /// The number behind `key=`.
    ///
    /// # Errors
    /// When the line has no such key, or something else than a number behind it.
    pub fn number(&self, key: &str) -> Result<f64> {
        let value = self
            .0
            .split_whitespace()
            .find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value
            .and_then(|value| value.parse().ok())
            .with_context(|| format!("the guest's line '{}' has no number {key}", self.0))
    }

    /// The line without its prefix.
    pub fn text(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::GuestLine;

    #[test]
    fn given_a_console_line_when_parsed_then_its_first_word_and_numbers_are_found() {
        let line = GuestLine::parse("\u{1b}crondo-guest: first-frame ticks=120 khz=30\r").unwrap();
        assert!(line.is("first-frame"));
        assert!(!line.is("frames"));
        assert_eq!(line.number("ticks").unwrap(), 120.0);
        assert!(line.number("tick").is_err());
        assert!(GuestLine::parse("frames=3 fps=9").is_none());
        assert!(
            GuestLine::parse("rondo-guest: frames=3 fps=9")
                .unwrap()
                .is("frames")
        );
    }
}

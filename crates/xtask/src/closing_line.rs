// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Counts the tests of a run by reading the runners' closing lines while their output passes through.

use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many tests of a run went which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: u64,
    /// Tests that failed.
    pub failed: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs a test runner, passing its output on line by line, and returns what its closing lines count and whether it succeeded.
///
/// # Errors
/// When the runner cannot start or its output cannot be read.
pub fn run(command: &mut Command) -> Result<(Counts, bool)> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run cargo")?;
    let stdout = child
        .stdout
        .take()
        .context("cargo has no standard output")?;
    let stderr = child.stderr.take().context("cargo has no standard error")?;
    let said = std::thread::spawn(move || pass_on(stderr, |line| eprintln!("{line}")));
    let mut counts = pass_on(stdout, |line| println!("{line}"))?;
    match said.join() {
        Ok(more) => counts += more?,
        Err(_) => bail!("the thread that reads cargo's messages panicked"),
    }
    Ok((counts, child.wait()?.success()))
}

fn pass_on(stream: impl Read, print: impl Fn(&str)) -> Result<Counts> {
    let mut counts = Counts::default();
    for line in BufReader::new(stream).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        print(&line);
        counts += counts_in(&line).unwrap_or_default();
    }
    Ok(counts)
}

/// The counts in a closing line of libtest (`test result: ok. 3 passed; 0 failed; ...`) or nextest (`Summary [..] 3 tests run: 3 passed, ...`).
fn counts_in(line: &str) -> Option<Counts> {
    let line = line.trim();
    let rest = if line.starts_with("Summary [") {
        line.split_once("run: ").map(|(_, rest)| rest)?
    } else {
        line.strip_prefix("test result: ")?
            .split_once(". ")
            .map(|(_, rest)| rest)?
    };
    let number = |kind: &str| {
        rest.split([',', ';']).find_map(|part| {
            let (number, rest) = part.trim().split_once(' ')?;
            if rest.split(' ').next() == Some(kind) {
                number.parse().ok()
            } else {
                None
            }
        })
    };
    Some(Counts {
        passed: number("passed").unwrap_or(0),
        failed: number("failed").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::{Counts, counts_in};

    #[test]
    fn given_closing_lines_when_read_then_passed_and_failed_are_counted() {
        let counts = |passed, failed| Some(Counts { passed, failed });
        assert_eq!(
            counts_in(
                "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out"
            ),
            counts(3, 1)
        );
        assert_eq!(
            counts_in(
                "     Summary [   1.234s] 12 tests run: 10 passed (1 slow), 2 failed, 0 skipped"
            ),
            counts(10, 2)
        );
        assert_eq!(counts_in("test some_test ... ok"), None);
    }
}

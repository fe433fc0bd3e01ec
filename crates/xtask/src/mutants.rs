// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask mutants`: breaks the scheduler on purpose, and demands that the test named for it fails.
//!
//! The defects are exact replacements of text ([`defects`]). Each is planted in a copy of the crate, alone; the copy is built, and
//! only the named test is run. A test that passes all the same proves less than it says. A text that is not found exactly once, a
//! test that is not found, and a defect that does not compile are mistakes in the table.

mod copy;
mod defects;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use copy::Copy;
use defects::{DEFECTS, Defect};

/// A test that takes longer has been hung by the defect, which it has noticed that way.
const PATIENCE: Duration = Duration::from_secs(120);

/// Which defects to plant.
#[derive(Debug, Args)]
pub struct Options {
    /// Only those whose names contain this.
    #[arg(long, value_name = "PART")]
    only: Option<String>,
    /// Say which there are, and plant none.
    #[arg(long)]
    list: bool,
}

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    TookTooLong,
}

/// Plants each defect and runs its test.
///
/// # Errors
/// When a defect survives, the table is stale, or the copy cannot be built.
pub fn run(options: &Options) -> Result<()> {
    let chosen = |defect: &&Defect| {
        let part = options.only.as_deref().unwrap_or_default();
        defect.name.contains(part)
    };
    let chosen: Vec<&Defect> = DEFECTS.iter().filter(chosen).collect();
    if options.list {
        for defect in &chosen {
            println!(
                "{:44} {} :: {}",
                defect.name,
                defect.binary.name(),
                defect.test
            );
        }
        return Ok(());
    }
    let began = Instant::now();
    let copy = Copy::make()?;
    let mut mistakes = check_texts(&copy, &chosen)?;
    mistakes.extend(check_tests(&copy, &chosen)?);
    if !mistakes.is_empty() {
        bail!(
            "the table of defects is stale:\n  {}",
            mistakes.join("\n  ")
        );
    }
    let mut survivors = Vec::new();
    for defect in &chosen {
        let since = Instant::now();
        let outcome = plant(&copy, defect).with_context(|| format!("defect {:?}", defect.name))?;
        let verdict = match outcome {
            Outcome::Failed => "killed",
            Outcome::TookTooLong => "killed (hangs)",
            Outcome::Passed => "SURVIVED",
        };
        let seconds = since.elapsed().as_secs_f32();
        println!(
            "{verdict:14} {:44} {} ({seconds:.1} s)",
            defect.name, defect.test
        );
        if outcome == Outcome::Passed {
            survivors.push(defect.name);
        }
    }
    let (all, seconds) = (chosen.len(), began.elapsed().as_secs());
    println!(
        "mutants: {} of {all} killed in {seconds} s",
        all - survivors.len()
    );
    if survivors.is_empty() {
        Ok(())
    } else {
        bail!("no test notices: {}", survivors.join(", "))
    }
}

/// Each text must be there exactly once.
fn check_texts(copy: &Copy, chosen: &[&Defect]) -> Result<Vec<String>> {
    let mut mistakes = Vec::new();
    for defect in chosen {
        let found = copy.read(defect.file)?.matches(defect.find).count();
        if found != 1 {
            let Defect { name, file, .. } = defect;
            mistakes.push(format!(
                "{name}: its text is {found} times in {file}, not once"
            ));
        }
    }
    Ok(mistakes)
}

/// Each test must be there, and pass while nothing is broken.
fn check_tests(copy: &Copy, chosen: &[&Defect]) -> Result<Vec<String>> {
    let mut mistakes = Vec::new();
    let mut known: Vec<(&str, &str)> = Vec::new();
    for defect in chosen {
        let name = (defect.binary.name(), defect.test);
        if known.contains(&name) {
            continue;
        }
        known.push(name);
        let program = copy.build(defect.binary)?;
        match run_test(copy, &program, defect.test)? {
            Some(Outcome::Passed) => {}
            Some(outcome) => {
                mistakes.push(format!("{}: {outcome:?} without a defect", defect.test))
            }
            None => mistakes.push(format!("{}: no such test in {}", defect.test, name.0)),
        }
    }
    Ok(mistakes)
}

fn plant(copy: &Copy, defect: &Defect) -> Result<Outcome> {
    let sound = copy.read(defect.file)?;
    copy.write(defect.file, &sound.replacen(defect.find, defect.replace, 1))?;
    let outcome = copy
        .build(defect.binary)
        .and_then(|program| run_test(copy, &program, defect.test));
    copy.write(defect.file, &sound)?;
    outcome?.context("its test has vanished")
}

/// Runs one test; `None` if there is none of that name.
fn run_test(copy: &Copy, program: &Path, test: &str) -> Result<Option<Outcome>> {
    // A file, not a pipe: nobody reads while the test runs.
    let said = copy.said();
    let mut child = Command::new(program)
        .args(["--exact", test])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&said)?)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let Some(succeeded) = wait(&mut child)? else {
        return Ok(Some(Outcome::TookTooLong));
    };
    let said = fs::read(said)?;
    let said = String::from_utf8_lossy(&said);
    Ok(if !said.contains("running 1 test\n") {
        None
    } else if succeeded {
        Some(Outcome::Passed)
    } else {
        Some(Outcome::Failed)
    })
}

/// Whether it succeeded; `None` if it had to be stopped.
fn wait(child: &mut Child) -> Result<Option<bool>> {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

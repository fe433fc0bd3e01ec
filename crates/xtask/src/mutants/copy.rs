// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A copy of the scheduler's crate in a workspace of its own, so that a defect touches nobody else and builds are incremental.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rondo_tests::lab::{target_folder, workspace_root};

use crate::programs;

const CRATE: &str = "crates/scheduler";

/// Where a test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// Beside the code.
    Unit,
    /// In `tests/`, by its name.
    Integration(&'static str),
}

impl Binary {
    /// As messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unit => "src",
            Self::Integration(name) => name,
        }
    }
}

/// The copy.
#[derive(Debug)]
pub struct Copy {
    root: PathBuf,
}

impl Copy {
    /// Brings the copy up to date; what has not changed is not built again.
    ///
    /// # Errors
    /// When files cannot be read or written.
    pub fn make() -> Result<Self> {
        let copy = Self {
            root: target_folder().join("mutants"),
        };
        let from = workspace_root();
        mirror(&from.join(CRATE), &copy.root.join(CRATE))?;
        let manifest = fs::read_to_string(from.join("Cargo.toml"))?;
        update(&copy.root.join("Cargo.toml"), alone(&manifest)?.as_bytes())?;
        update(
            &copy.root.join("Cargo.lock"),
            &fs::read(from.join("Cargo.lock"))?,
        )?;
        Ok(copy)
    }

    /// A file of the crate.
    ///
    /// # Errors
    /// When it is not there.
    pub fn read(&self, file: &str) -> Result<String> {
        let path = self.root.join(CRATE).join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Changes a file of the crate.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.root.join(CRATE).join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Where what a test says is kept.
    pub fn said(&self) -> PathBuf {
        self.root.join("said.txt")
    }

    /// Builds the program in which a test is, and says where it lies.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn build(&self, binary: Binary) -> Result<PathBuf> {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command
            .current_dir(self.root.join(CRATE))
            .env("CARGO_TARGET_DIR", self.root.join("target"))
            .stderr(Stdio::piped())
            .args(["test", "--no-run", "--quiet", "--message-format=json"]);
        match binary {
            Binary::Unit => command.arg("--lib"),
            Binary::Integration(name) => command.args(["--test", name]),
        };
        let said = programs::output(&mut command)?;
        let program = said
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
            .next_back();
        program.with_context(|| format!("cargo built no program for {}", binary.name()))
    }
}

/// The workspace's manifest with one member. Dependencies in other folders stay named, and are not looked for.
fn alone(manifest: &str) -> Result<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in manifest.lines() {
        let list = line.starts_with("members = [") || line.starts_with("default-members = [");
        if line.starts_with("members = [") {
            lines.push(format!("members = [\"{CRATE}\"]"));
        }
        inside |= list;
        if !inside {
            lines.push(line.to_owned());
        }
        if inside && line.trim_end().ends_with(']') {
            inside = false;
        }
    }
    if inside || !lines.iter().any(|line| line.starts_with("members")) {
        bail!("Cargo.toml in the root has no list of members that is understood here");
    }
    // Failures are read by nobody, and panics unwind: what is built is only run.
    lines.push("[profile.test]\ndebug = false\n".to_owned());
    Ok(lines.join("\n"))
}

/// Makes `to` hold what `from` holds, and nothing else.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !from.join(entry.file_name()).exists() {
            let path = entry.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)?
            } else {
                fs::remove_file(&path)?
            }
        }
    }
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (source, copy) = (entry.path(), to.join(entry.file_name()));
        if source.is_dir() {
            mirror(&source, &copy)?;
        } else {
            update(&copy, &fs::read(&source)?)?;
        }
    }
    Ok(())
}

/// Writes a file unless it holds that already: a new date would have it built again.
fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

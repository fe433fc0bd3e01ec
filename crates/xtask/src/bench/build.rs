// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Builds what is measured, in release mode, and hears from Cargo where things are.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use rondo_tests::lab::{target_folder, workspace_root};
use serde_json::Value;

/// Builds a package; Cargo's messages.
///
/// # Errors
/// When it does not build; the compiler's messages are shown as they come.
pub fn release(package: &str) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--package", package])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(workspace_root())
        .env("CARGO_TARGET_DIR", target_folder())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{package} does not build; the compiler's messages are above");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Cargo's messages, one JSON object a line; other lines are left out.
pub fn objects(messages: &str) -> impl Iterator<Item = Value> + '_ {
    let lines = messages.lines();
    lines.filter_map(|line| serde_json::from_str(line).ok())
}

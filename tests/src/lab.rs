// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Where the things that tests need lie once `cargo xtask prepare` has brought them: the folder `lab` in the target folder.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A distribution kernel that rig 2 boots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// Linux 6.1, Debian 12's own. Also the first level of rig 2.
    Debian6_1,
    /// Linux 6.12, Debian 13's own and Debian 12's backport.
    Debian6_12,
}

impl Kernel {
    /// Every kernel that rig 2 boots.
    pub const ALL: [Self; 2] = [Self::Debian6_1, Self::Debian6_12];

    /// The series as Debian's package versions begin, such as `6.1`.
    #[must_use]
    pub fn series(self) -> &'static str {
        match self {
            Self::Debian6_1 => "6.1",
            Self::Debian6_12 => "6.12",
        }
    }
}

/// The lab folder.
#[derive(Debug, Clone)]
pub struct Lab {
    folder: PathBuf,
}

impl Lab {
    /// The lab of this workspace: `$CARGO_TARGET_DIR/lab`, or `target/lab` in the workspace.
    #[must_use]
    pub fn of_workspace() -> Self {
        Self {
            folder: target_folder().join("lab"),
        }
    }

    /// The folder itself. It may not exist yet.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The root of the unpacked kernel package of `kernel`: `boot/` and `lib/modules/` are in it.
    #[must_use]
    pub fn kernel_root(&self, kernel: Kernel) -> PathBuf {
        self.folder.join(format!("linux-{}", kernel.series()))
    }

    /// The kernel image of `kernel`.
    ///
    /// # Errors
    /// When it has not been brought yet.
    pub fn kernel_image(&self, kernel: Kernel) -> Result<PathBuf> {
        only_entry(&self.kernel_root(kernel).join("boot"), "vmlinuz-")
    }

    /// The module tree `lib/modules/VERSION` of `kernel`.
    ///
    /// # Errors
    /// When it has not been brought yet.
    pub fn kernel_modules(&self, kernel: Kernel) -> Result<PathBuf> {
        let root = self.kernel_root(kernel);
        // Debian 13 moved it under usr.
        let moved = root.join("usr/lib/modules");
        only_entry(
            &if moved.exists() {
                moved
            } else {
                root.join("lib/modules")
            },
            "",
        )
    }

    /// The root under which the guest programs (busybox, modetest and its libraries) are unpacked.
    #[must_use]
    pub fn programs_root(&self) -> PathBuf {
        self.folder.join("programs")
    }
}

/// The root of the workspace.
#[must_use]
pub fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The folder into which cargo builds this workspace.
#[must_use]
pub fn target_folder() -> PathBuf {
    let folder =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    // A relative folder counts from the workspace, where `cargo xtask` starts everything.
    workspace_root().join(folder)
}

fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} is missing: run `cargo xtask prepare`", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            return Ok(entry.path());
        }
    }
    bail!(
        "{} holds no {prefix}*: remove it and run `cargo xtask prepare`",
        folder.display()
    )
}

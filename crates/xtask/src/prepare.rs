// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! `cargo xtask prepare`: brings what the tests need and the machine lacks.
//!
//! Programs of the host are installed as Debian packages. Guest kernels and guest programs are only downloaded and unpacked, into the lab
//! folder under the target folder. A second run finds everything and touches neither the network nor the package database.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use rondo_tests::lab::{Kernel, Lab};

use crate::apt::{Apt, Release};
use crate::programs;

/// The oldest QEMU whose emulated SVM runs KVM inside reliably, and which the other rigs can share.
const OLDEST_QEMU: u32 = 9;
/// The Debian release whose own QEMU is older than that; its backports have a newer one.
const RELEASE_WITH_OLD_QEMU: &str = "bookworm";
/// The suites that guest kernels and programs come from, whatever release the host runs: 6.1 is the first's, 6.12 the second's.
const GUEST_SUITES: [&str; 2] = ["bookworm", "trixie"];
/// What guests run: a shell, and `modetest` with the libraries it links.
const GUEST_PACKAGES: [&str; 4] = ["busybox-static", "libdrm-tests", "libdrm2", "libc6"];

/// A program of the host that tests start.
struct HostProgram {
    program: &'static str,
    package: &'static str,
}

const HOST_PROGRAMS: [HostProgram; 3] = [
    HostProgram {
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
    },
    HostProgram {
        program: "edid-decode",
        package: "edid-decode",
    },
    HostProgram {
        program: "xz",
        package: "xz-utils",
    },
];

/// Brings everything that is missing.
///
/// # Errors
/// When something cannot be brought; the message says what to install by hand.
pub fn run() -> Result<()> {
    let lab = Lab::of_workspace();
    fs::create_dir_all(lab.folder())
        .with_context(|| format!("cannot create {}", lab.folder().display()))?;
    host_programs(&lab)?;
    guest_parts(&lab)
}

fn host_programs(lab: &Lab) -> Result<()> {
    let missing: Vec<_> = HOST_PROGRAMS
        .iter()
        .filter(|wanted| !is_usable(wanted.program))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|wanted| wanted.package).collect();
    let list = packages.join(" ");
    let Some(release) = Release::of_machine() else {
        bail!(
            "this machine is not Debian: install the packages of these programs with its own tools: {list} (QEMU {OLDEST_QEMU} or later)"
        );
    };
    let suite = (release.codename == RELEASE_WITH_OLD_QEMU)
        .then(|| format!("{}-backports", release.codename));
    if !is_root() {
        let (condition, option) = match suite {
            Some(suite) => (
                format!("with the suite {suite} among the sources, "),
                format!("-t {suite} "),
            ),
            None => Default::default(),
        };
        bail!(
            "only root can install what is missing: {condition}run `sudo apt-get install {option}{list}`"
        );
    }
    println!("prepare: installing {list}");
    let suites: Vec<_> = suite.iter().map(String::as_str).collect();
    let apt = Apt::of_machine_and_suites(&lab.folder().join("apt-host"), &release, &suites)?;
    apt.install(&packages, suite.as_deref())?;
    apt.forget()?;
    match missing.iter().find(|wanted| !is_usable(wanted.program)) {
        Some(wanted) => bail!(
            "{} was installed, yet {} is missing or too old",
            wanted.package,
            wanted.program
        ),
        None => Ok(()),
    }
}

fn is_usable(program: &str) -> bool {
    programs::exists(program)
        && (program != "qemu-system-x86_64" || qemu_version() >= Some(OLDEST_QEMU))
}

/// The major version of the QEMU on the path.
fn qemu_version() -> Option<u32> {
    let text = programs::output(Command::new("qemu-system-x86_64").arg("--version")).ok()?;
    text.strip_prefix("QEMU emulator version ")?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn is_root() -> bool {
    programs::output(Command::new("id").arg("-u")).is_ok_and(|user| user.trim() == "0")
}

fn guest_parts(lab: &Lab) -> Result<()> {
    let kernels: Vec<_> = Kernel::ALL
        .into_iter()
        .filter(|&kernel| !lab.kernel_root(kernel).exists())
        .collect();
    let programs_missing = !lab.programs_root().exists();
    if kernels.is_empty() && !programs_missing {
        return Ok(());
    }
    let Some(release) = Release::of_machine() else {
        bail!(
            "this machine is not Debian: unpack Debian's linux-image-amd64 of {} under {}/linux-VERSION and {} under {}",
            Kernel::ALL.map(Kernel::series).join(" and "),
            lab.folder().display(),
            GUEST_PACKAGES.join(", "),
            lab.programs_root().display(),
        );
    };
    let apt = Apt::of_suites(&lab.folder().join("apt-guests"), &release, &GUEST_SUITES)?;
    for kernel in kernels {
        let package = kernel_package(&apt, kernel)?;
        println!("prepare: unpacking {package}");
        unpack_at(&apt, &[package], &lab.kernel_root(kernel))?;
    }
    if programs_missing {
        let packages = GUEST_PACKAGES.map(|package| format!("{package}/{}", GUEST_SUITES[0]));
        println!("prepare: unpacking {}", GUEST_PACKAGES.join(", "));
        unpack_at(&apt, &packages, &lab.programs_root())?;
    }
    apt.forget()
}

/// The newest kernel package of the series, as `name=version`, by way of the package that always depends on it.
fn kernel_package(apt: &Apt, kernel: Kernel) -> Result<String> {
    let prefix = format!("{}.", kernel.series());
    for version in apt.versions("linux-image-amd64")? {
        let is_of_series = version
            .get("Version")
            .is_some_and(|version| version.starts_with(&prefix));
        let depends = version.get("Depends").unwrap_or_default();
        if let (true, Some(image)) = (
            is_of_series,
            depends.split(',').find(|d| d.contains("linux-image-")),
        ) {
            return Ok(image.replace(['(', ')', ' '], ""));
        }
    }
    bail!(
        "the package archive has no linux-image-amd64 of {}",
        kernel.series()
    )
}

/// Unpacks beside `root` first, so that a half-unpacked tree never looks complete.
fn unpack_at(apt: &Apt, packages: &[String], root: &Path) -> Result<()> {
    let name = root
        .file_name()
        .context("a tree needs a name")?
        .to_string_lossy();
    let unfinished = root.with_file_name(format!("{name}.unfinished"));
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)?;
    apt.unpack(packages, &unfinished)?;
    fs::rename(&unfinished, root)
        .with_context(|| format!("cannot move the unpacked tree to {}", root.display()))
}

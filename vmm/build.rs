// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Builds the bare-metal guest (`tests/guest`) and hands its ELF to `src/guest_image.rs`.
//!
//! The guest must be compiled with `-C panic=abort`, which Cargo cannot say for one package of a workspace, so a nested Cargo builds it: with the
//! same toolchain, in a target folder of its own (no lock is shared), in release mode whatever the VMM's profile, and without the flags and
//! wrappers meant for the VMM (sanitizers, coverage, clippy).

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The machine's own target: no other one has to be installed.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What the guest is made of, relative to the workspace.
const SOURCES: [&str; 6] = [
    "tests/guest/Cargo.toml",
    "tests/guest/build.rs",
    "tests/guest/link.ld",
    "tests/guest/src",
    "crates/protocol/Cargo.toml",
    "crates/protocol/src",
];

fn main() {
    let workspace = variable("CARGO_MANIFEST_DIR").join("..");
    for source in SOURCES {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(source).display()
        );
    }
    println!("cargo::rerun-if-changed=build.rs");

    let target_dir = variable("OUT_DIR").join("guest");
    let status = cargo(&workspace, &target_dir)
        .status()
        .unwrap_or_else(|error| panic!("cannot start Cargo to build the embedded guest: {error}"));
    assert!(
        status.success(),
        "the embedded guest (tests/guest) does not build; the compiler's messages are above"
    );
    let image = target_dir.join(TARGET).join("release/rondo-guest");
    println!("cargo::rustc-env=RONDO_GUEST_ELF={}", image.display());
}

fn cargo(workspace: &Path, target_dir: &Path) -> Command {
    let mut cargo = Command::new(variable("CARGO"));
    cargo
        .args([
            "build",
            "--quiet",
            "--release",
            "--package",
            "rondo-guest",
            "--bin",
            "rondo-guest",
            "--target",
            TARGET,
        ])
        .arg("--manifest-path")
        .arg(workspace.join("tests/guest/Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        // Separated by 0x1f, and stronger than RUSTFLAGS and any configuration file.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            "-Cpanic=abort\u{1f}-Crelocation-model=static",
        )
        .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
        .env("CARGO_PROFILE_RELEASE_STRIP", "debuginfo");
    for name in [
        "RUSTFLAGS",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        cargo.env_remove(name);
    }
    cargo
}

fn variable(name: &str) -> PathBuf {
    env::var_os(name)
        .map(PathBuf::from)
        .unwrap_or_else(|| panic!("{name} is not set: this is run by Cargo"))
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Initial roots for Linux: what every one of them has, and how modules and dynamically linked programs get in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cpio::Archive;
use crate::kernel_modules::Modules;
use crate::lab::Lab;

/// Where Debian keeps the libraries of this architecture.
const LIBRARY_FOLDER: &str = "lib/x86_64-linux-gnu";
/// The program that loads dynamically linked programs, at the path that they name.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// Folders, the console, busybox, and `init` as the first process.
///
/// # Errors
/// When busybox has not been brought by `cargo xtask prepare`.
pub fn base(lab: &Lab, init: &[u8]) -> Result<Archive> {
    let mut archive = Archive::new();
    for folder in [
        "bin",
        "dev",
        "lib",
        LIBRARY_FOLDER,
        "lib64",
        "modules",
        "proc",
        "sys",
        "tmp",
    ] {
        archive.directory(folder);
    }
    // The kernel opens it for the first process before that can mount anything.
    archive.character_device("dev/console", 5, 1);
    archive.file(
        "bin/busybox",
        0o755,
        &read(&lab.programs_root().join("bin/busybox"))?,
    );
    archive.link("bin/sh", "busybox");
    archive.file("init", 0o755, init);
    Ok(archive)
}

/// Adds `wanted` and what they need as `modules/NAME.ko`, and their order of insertion as `modules/order`.
///
/// # Errors
/// When the kernel lacks one of them.
pub fn add_modules(archive: &mut Archive, modules: &Modules, wanted: &[&str]) -> Result<()> {
    let mut order = String::new();
    for module in modules.closure(wanted)? {
        archive.file(
            &format!("modules/{}.ko", module.name),
            0o644,
            &module.object,
        );
        order.push_str(&module.name);
        order.push('\n');
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    Ok(())
}

/// Adds a dynamically linked program out of the unpacked guest packages, with the libraries that it needs.
///
/// # Errors
/// When one of them has not been brought by `cargo xtask prepare`.
pub fn add_guest_program(
    archive: &mut Archive,
    lab: &Lab,
    program: &str,
    libraries: &[&str],
) -> Result<()> {
    let root = lab.programs_root();
    let name = Path::new(program)
        .file_name()
        .context("a program needs a name")?
        .to_string_lossy();
    archive.file(&format!("bin/{name}"), 0o755, &read(&root.join(program))?);
    for library in libraries {
        let places = [
            root.join(LIBRARY_FOLDER).join(library),
            root.join("usr").join(LIBRARY_FOLDER).join(library),
        ];
        let Some(place) = places.iter().find(|place| place.exists()) else {
            bail!(
                "{library} is not among the guest packages: remove {} and run `cargo xtask prepare`",
                root.display()
            );
        };
        archive.file(&format!("{LIBRARY_FOLDER}/{library}"), 0o755, &read(place)?);
    }
    archive.file(
        LOADER,
        0o755,
        &read(&root.join(LIBRARY_FOLDER).join("ld-linux-x86-64.so.2"))?,
    );
    Ok(())
}

/// Adds a program of the host as `bin/` and `name`, with the host's own libraries at the paths where they lie.
///
/// # Errors
/// When the libraries cannot be found out with `ldd`.
pub fn add_host_program(archive: &mut Archive, program: &Path, name: &str) -> Result<()> {
    archive.file(&format!("bin/{name}"), 0o755, &read(program)?);
    let listing = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot run ldd")?;
    let mut folders = BTreeSet::new();
    for library in libraries_in(&String::from_utf8_lossy(&listing.stdout)) {
        for folder in library
            .ancestors()
            .skip(1)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
        {
            let folder = folder.to_string_lossy();
            let folder = folder.trim_start_matches('/');
            if !folder.is_empty() && folders.insert(folder.to_owned()) {
                archive.directory(folder);
            }
        }
        archive.file(
            library.to_string_lossy().trim_start_matches('/'),
            0o755,
            &read(&library)?,
        );
    }
    Ok(())
}

/// The files in a listing of `ldd`: `NAME => PATH (ADDRESS)`, and `PATH (ADDRESS)` for the loader.
fn libraries_in(listing: &str) -> Vec<PathBuf> {
    listing
        .lines()
        .filter_map(|line| {
            let place = line
                .split_once("=> ")
                .map_or(line, |(_, place)| place)
                .trim();
            let path = place.split(' ').next()?;
            path.starts_with('/').then(|| PathBuf::from(path))
        })
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| {
        format!(
            "cannot read {}: has `cargo xtask prepare` run?",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::libraries_in;
    use std::path::Path;

    #[test]
    fn given_a_listing_of_ldd_when_read_then_files_are_named_and_the_vdso_is_not() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\t/lib64/ld.so.2 (0x7f)\n";
        assert_eq!(
            libraries_in(listing),
            [Path::new("/lib/x/libc.so.6"), Path::new("/lib64/ld.so.2")]
        );
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The modules of an unpacked kernel package: where each lies, which others it needs, and their plain bytes.
//!
//! A package unpacked without installing it has no `modules.dep` (its installer writes that), so dependencies are read from
//! where `depmod` itself finds the first of them: the `depends=` string in each module's `.modinfo`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The modules of one kernel version, by name (with `_` for `-`).
#[derive(Debug)]
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    builtin: BTreeSet<String>,
}

/// One module, ready for an initramfs.
#[derive(Debug)]
pub struct Module {
    /// Its name, with `_` for `-`.
    pub name: String,
    /// The ELF object, decompressed.
    pub object: Vec<u8>,
}

impl Modules {
    /// Reads the tree `lib/modules/VERSION`.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn open(tree: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(&tree.join("kernel"), &mut files)?;
        let list = tree.join("modules.builtin");
        let builtin = std::fs::read_to_string(&list)
            .with_context(|| format!("cannot read {}", list.display()))?;
        let builtin = builtin
            .lines()
            .filter_map(|line| name_of(Path::new(line)))
            .collect();
        Ok(Self { files, builtin })
    }

    /// The modules `wanted` and everything they need, in an order in which `insmod` takes them. What is built into the kernel is left out.
    ///
    /// # Errors
    /// When a module is neither in the tree nor built in, or cannot be read.
    pub fn closure(&self, wanted: &[&str]) -> Result<Vec<Module>> {
        let mut ordered = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            self.add(name, &mut seen, &mut ordered)?;
        }
        Ok(ordered)
    }

    fn add(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        ordered: &mut Vec<Module>,
    ) -> Result<()> {
        let name = name.replace('-', "_");
        if self.builtin.contains(&name) || !seen.insert(name.clone()) {
            return Ok(());
        }
        let Some(path) = self.files.get(&name) else {
            bail!("the kernel has no module {name}, neither as a file nor built in");
        };
        let object = read_object(path)?;
        for needed in dependencies(&object) {
            self.add(&needed, seen, ordered)?;
        }
        ordered.push(Module { name, object });
        Ok(())
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `.../virtio-gpu.ko.xz` -> `virtio_gpu`; nothing for what is not a module.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let stem = file
        .strip_suffix(".ko")
        .or_else(|| file.strip_suffix(".ko.xz"))?;
    Some(stem.replace('-', "_"))
}

fn read_object(path: &Path) -> Result<Vec<u8>> {
    let stored = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if path.extension().is_some_and(|extension| extension == "xz") {
        unxz(stored).with_context(|| format!("cannot decompress {}", path.display()))
    } else {
        Ok(stored)
    }
}

/// Decompresses with the `xz` program (Debian package `xz-utils`).
fn unxz(stored: Vec<u8>) -> Result<Vec<u8>> {
    let mut child = Command::new("xz")
        .args(["--decompress", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run xz: install the package xz-utils")?;
    let mut input = child.stdin.take().context("xz has no standard input")?;
    // A thread of its own: xz writes while it reads, and either pipe may fill up.
    let writer = std::thread::spawn(move || input.write_all(&stored));
    let output = child.wait_with_output()?;
    match writer.join() {
        Ok(written) => written?,
        Err(_) => bail!("the thread that feeds xz panicked"),
    }
    if !output.status.success() {
        bail!("xz ended with {}", output.status);
    }
    Ok(output.stdout)
}

/// The names in the `depends=` string of a module's `.modinfo`, a section of NUL-terminated strings.
fn dependencies(object: &[u8]) -> Vec<String> {
    let key = b"\0depends=";
    let Some(at) = object.windows(key.len()).position(|window| window == key) else {
        return Vec::new();
    };
    let value = &object[at + key.len()..];
    let end = value
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end])
        .split(',')
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Modules, dependencies, name_of};
    use std::path::Path;

    #[test]
    fn given_modinfo_when_read_then_every_dependency_is_named() {
        let object = b"\x7fELF..\0license=GPL\0depends=drm,virtio-ring\0name=x\0";
        assert_eq!(dependencies(object), ["drm", "virtio-ring"]);
        assert!(dependencies(b"..\0depends=\0name=x\0").is_empty());
    }

    #[test]
    fn given_a_path_when_it_is_a_module_then_its_name_uses_underscores() {
        assert_eq!(
            name_of(Path::new("a/virtio-gpu.ko.xz")).as_deref(),
            Some("virtio_gpu")
        );
        assert_eq!(name_of(Path::new("a/9p.ko")).as_deref(), Some("9p"));
        assert_eq!(name_of(Path::new("a/modules.order")), None);
    }

    #[test]
    fn given_a_tree_when_closed_then_dependencies_come_first_and_builtins_are_left_out()
    -> anyhow::Result<()> {
        let tree = tempfile::tempdir()?;
        let kernel = tree.path().join("kernel");
        std::fs::create_dir(&kernel)?;
        std::fs::write(tree.path().join("modules.builtin"), "kernel/base.ko\n")?;
        std::fs::write(kernel.join("top-one.ko"), b"\0depends=middle,base\0")?;
        std::fs::write(kernel.join("middle.ko"), b"\0depends=\0")?;
        let modules = Modules::open(tree.path())?;
        let closure = modules.closure(&["top_one", "middle"])?;
        let names: Vec<_> = closure.iter().map(|module| module.name.as_str()).collect();
        assert_eq!(names, ["middle", "top_one"]);
        assert!(modules.closure(&["absent"]).is_err());
        Ok(())
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! One VM: its flags and TOML keys, and what they mean.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{Bytes, ConfigError, GpuChoice, GpuOptions, GpuSpec};

/// The kernel name that stands for the bare-metal guest program inside `rondo`.
pub const BUILTIN_DEMO: &str = "builtin:demo";

/// What was written about a VM. The doc comments are the help texts.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct VmOptions {
    /// Name of the VM in reports and logs [default: the file's name, or vm]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Kernel to boot: an ELF vmlinux, a bzImage, or builtin:demo
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<PathBuf>,
    /// Initial RAM disk
    #[arg(long, value_name = "FILE")]
    pub initrd: Option<PathBuf>,
    /// Kernel command line [default: console=ttyS0 reboot=k panic=-1]
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub cmdline: Option<String>,
    /// Number of vCPUs, 1 to 32 [default: 1]
    #[arg(long, value_name = "N")]
    pub cpus: Option<u32>,
    /// Memory, from 32M [default: 512M]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
    /// The virtual GPU: width=1280,height=800,scanouts=1,guarantee=25%,limit=50%,slice=2ms,grace=0ms,hang-timeout=2s,priority=low|normal|high,mode=server|client,memory=256M,blob-alignment=4096, each optional; or off
    #[arg(long, value_name = "SPEC")]
    pub gpu: Option<GpuChoice>,
    /// How the guest finds its devices [default: acpi; builtin:demo: cmdline]
    #[arg(long, value_enum, value_name = "WAY")]
    pub virtio_mmio: Option<Discovery>,
    /// Where the last picture goes at the end and on SIGUSR1; further scanouts get -1, -2, ... before the extension
    #[arg(long, value_name = "FILE.png")]
    pub screenshot: Option<PathBuf>,
}

/// How a guest finds its virtio-mmio devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Discovery {
    /// ACPI's `LNRO0005` devices: distribution kernels
    Acpi,
    /// `virtio_mmio.device=` on the command line: kernels and programs without ACPI
    Cmdline,
}

/// What a VM boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// A file.
    File(PathBuf),
    /// The bare-metal guest program inside `rondo`.
    BuiltinDemo,
}

/// A VM that can be built, apart from what only the files themselves can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmSpec {
    /// Its name.
    pub name: String,
    /// What it boots.
    pub kernel: Kernel,
    /// Initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// Kernel command line.
    pub cmdline: String,
    /// Number of vCPUs.
    pub cpus: u32,
    /// Guest memory.
    pub memory: Bytes,
    /// Its GPU.
    pub gpu: Option<GpuSpec>,
    /// How it finds its devices.
    pub discovery: Discovery,
    /// Where the screenshot goes.
    pub screenshot: Option<PathBuf>,
}

impl VmOptions {
    /// Output on the serial port, and an end of `rondo` where a machine would restart.
    const DEFAULT_CMDLINE: &str = "console=ttyS0 reboot=k panic=-1";
    const CPUS: std::ops::RangeInclusive<u32> = 1..=32;
    const MIN_MEMORY: Bytes = Bytes(32 << 20);
    const LONGEST_NAME: usize = 64;

    /// Whether nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is written here, and where nothing is, what is written in `below`.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            name: self.name.or(below.name),
            kernel: self.kernel.or(below.kernel),
            initrd: self.initrd.or(below.initrd),
            cmdline: self.cmdline.or(below.cmdline),
            cpus: self.cpus.or(below.cpus),
            memory: self.memory.or(below.memory),
            gpu: self.gpu.or(below.gpu),
            virtio_mmio: self.virtio_mmio.or(below.virtio_mmio),
            screenshot: self.screenshot.or(below.screenshot),
        }
    }

    /// Paths of files are meant from the folder of the VM's own file.
    #[must_use]
    pub fn relative_to(mut self, folder: &Path) -> Self {
        let from_folder = |path: &mut Option<PathBuf>| {
            if let Some(path) = path
                && path.as_os_str() != BUILTIN_DEMO
            {
                *path = folder.join(&*path);
            }
        };
        from_folder(&mut self.kernel);
        from_folder(&mut self.initrd);
        from_folder(&mut self.screenshot);
        self
    }

    /// Checks what was written and fills in the defaults; `fallback_name` is the VM's name if it has none.
    ///
    /// # Errors
    /// The first field whose value no VM can have, or a missing kernel.
    pub fn resolve(self, fallback_name: &str) -> Result<VmSpec, ConfigError> {
        let name = self.name.unwrap_or_else(|| fallback_name.to_owned());
        let field = |field, problem: String| ConfigError::Field {
            vm: name.clone(),
            field,
            problem,
        };
        if name.is_empty()
            || name.len() > Self::LONGEST_NAME
            || name.chars().any(|c| c.is_control() || c == '/')
        {
            return Err(field(
                "name",
                format!(
                    "must have 1 to {} characters, none of them a slash or a control character",
                    Self::LONGEST_NAME
                ),
            ));
        }
        let kernel = match self.kernel {
            Some(path) if path.as_os_str() == BUILTIN_DEMO => Kernel::BuiltinDemo,
            Some(path) => Kernel::File(path),
            None => {
                return Err(field(
                    "kernel",
                    "is missing; give a vmlinux or bzImage with --kernel or in its file".to_owned(),
                ));
            }
        };
        let cpus = self.cpus.unwrap_or(1);
        if !Self::CPUS.contains(&cpus) {
            return Err(field("cpus", format!("is {cpus}; give it 1 to 32")));
        }
        let memory = self.memory.unwrap_or(Bytes(512 << 20));
        if memory < Self::MIN_MEMORY {
            return Err(field(
                "memory",
                format!("is {memory}; give it {} or more", Self::MIN_MEMORY),
            ));
        }
        if !memory.0.is_multiple_of(1 << 20) {
            return Err(field(
                "memory",
                format!("is {memory}; give it a whole number of MiB, like 512M"),
            ));
        }
        let gpu = match self.gpu {
            Some(GpuChoice::Off) => None,
            Some(GpuChoice::On(options)) => Some(options.resolve(&name)?),
            None => Some(GpuOptions::default().resolve(&name)?),
        };
        if gpu.is_none() && self.screenshot.is_some() {
            return Err(field(
                "screenshot",
                "needs a GPU; leave out gpu = \"off\", or the screenshot".to_owned(),
            ));
        }
        let cmdline = self.cmdline.unwrap_or_else(|| match kernel {
            Kernel::BuiltinDemo => String::new(),
            Kernel::File(_) => Self::DEFAULT_CMDLINE.to_owned(),
        });
        let discovery = self.virtio_mmio.unwrap_or(match kernel {
            Kernel::BuiltinDemo => Discovery::Cmdline,
            Kernel::File(_) => Discovery::Acpi,
        });
        Ok(VmSpec {
            kernel,
            discovery,
            initrd: self.initrd,
            cmdline,
            cpus,
            memory,
            gpu,
            screenshot: self.screenshot,
            name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_kernel() -> VmOptions {
        VmOptions {
            kernel: Some("vmlinuz".into()),
            ..VmOptions::default()
        }
    }

    #[test]
    fn a_vm_needs_nothing_but_a_kernel() {
        let vm = with_kernel().resolve("vm").expect("a kernel is enough");
        assert_eq!(vm.name, "vm");
        assert_eq!(vm.cpus, 1);
        assert_eq!(vm.memory, Bytes(512 << 20));
        assert_eq!(vm.gpu.map(|gpu| (gpu.width, gpu.height)), Some((1280, 800)));
        assert!(vm.cmdline.contains("console=ttyS0"));
    }

    #[test]
    fn each_wrong_field_is_named_with_a_remedy() {
        let cases: [(VmOptions, &str); 6] = [
            (VmOptions::default(), "kernel is missing"),
            (
                VmOptions {
                    cpus: Some(33),
                    ..with_kernel()
                },
                "cpus is 33; give it 1 to 32",
            ),
            (
                VmOptions {
                    memory: Some(Bytes(1 << 20)),
                    ..with_kernel()
                },
                "memory is 1M; give it 32M or more",
            ),
            (
                VmOptions {
                    memory: Some(Bytes((64 << 20) + 1)),
                    ..with_kernel()
                },
                "a whole number of MiB",
            ),
            (
                VmOptions {
                    name: Some("a/b".into()),
                    ..with_kernel()
                },
                "name",
            ),
            (
                VmOptions {
                    gpu: Some(GpuChoice::Off),
                    screenshot: Some("x.png".into()),
                    ..with_kernel()
                },
                "screenshot needs a GPU",
            ),
        ];
        for (options, says) in cases {
            let message = options.resolve("vm").expect_err(says).to_string();
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn flags_win_over_the_file_and_paths_are_meant_from_the_files_folder() {
        let file = VmOptions {
            cpus: Some(4),
            initrd: Some("root.cpio".into()),
            ..with_kernel()
        }
        .relative_to(Path::new("/vms"));
        let flags = VmOptions {
            cpus: Some(2),
            ..VmOptions::default()
        };
        let vm = flags.over(file).resolve("vm").expect("complete");
        assert_eq!(vm.cpus, 2);
        assert_eq!(vm.initrd, Some("/vms/root.cpio".into()));
        assert_eq!(vm.kernel, Kernel::File("/vms/vmlinuz".into()));
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Runs Linux guests under `rondo`, each a job, and collects what came out of each.
//!
//! The jobs, the kernels and the scripts that drive them lie in one folder. A machine with its own KVM runs the scripts on it directly;
//! otherwise an emulated machine does ([`crate::first_level`]), one boot for all jobs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::guest_log::GuestLog;
use crate::lab::{Kernel, Lab};
use crate::machine::LinuxHost;
use crate::picture::Picture;
use crate::{first_level, guest_image};

/// The longest a guest may take. An emulated machine on a busy computer is slow; a guest that hangs is caught all the same.
const GUEST_LIMIT: Duration = Duration::from_secs(100);

/// One guest to boot.
#[derive(Debug, Clone)]
pub struct Job {
    /// Names the job and the folder of its results.
    pub name: String,
    /// The kernel to boot.
    pub kernel: Kernel,
    /// How many virtual processors.
    pub cpus: u32,
    /// The steps of `tests/rig2/guest-init.sh`, separated by commas.
    pub steps: &'static str,
    /// Width and height of the display in pixels.
    pub display: (usize, usize),
}

/// What came out of a job.
#[derive(Debug)]
pub struct Outcome {
    folder: PathBuf,
    /// The exit code of `rondo` in decimal, or `timeout`.
    pub exit: String,
    /// The guest's console.
    pub guest: GuestLog,
    /// What `rondo` said on its standard error.
    pub rondo_log: String,
}

impl Outcome {
    fn read(folder: PathBuf) -> Self {
        // A job that never ran, or died early, leaves some of these out: the test that looks for them says so.
        let text = |name: &str| {
            fs::read(folder.join(name))
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_default()
        };
        let exit = text("exit").trim().to_owned();
        let guest = GuestLog::parse(&text("console.log"));
        let rondo_log = text("rondo.log");
        Self {
            exit,
            guest,
            rondo_log,
            folder,
        }
    }

    /// The screenshot that the guest asked for under `name`.
    ///
    /// # Errors
    /// When there is none, or it is no picture.
    pub fn screenshot(&self, name: &str) -> Result<Picture> {
        Picture::read_png(&self.folder.join(format!("{name}.png")))
    }

    /// Where everything that came out of the job lies, for a message.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The folder that holds the jobs of one run and their results.
#[derive(Debug)]
pub struct Share {
    folder: PathBuf,
}

impl Share {
    /// Lays out a fresh folder in the lab: kernels, initial roots (with `picture` for the `fb` step), scripts and jobs.
    ///
    /// # Errors
    /// When something has not been brought by `cargo xtask prepare`.
    pub fn lay_out(lab: &Lab, jobs: &[Job], picture: &Picture) -> Result<Self> {
        let folder = lab.folder().join("linux-guests");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        for inner in ["jobs", "out"] {
            fs::create_dir_all(folder.join(inner))?;
        }
        for kernel in Kernel::ALL {
            fs::copy(lab.kernel_image(kernel)?, folder.join(kernel_file(kernel)))?;
            fs::write(
                folder.join(initrd_file(kernel)),
                guest_image::build(lab, kernel, picture)?,
            )?;
        }
        fs::write(
            folder.join("run-jobs.sh"),
            include_bytes!("../rig2/run-jobs.sh"),
        )?;
        fs::write(
            folder.join("drive-job.sh"),
            include_bytes!("../rig2/drive-job.sh"),
        )?;
        fs::write(folder.join("seconds"), GUEST_LIMIT.as_secs().to_string())?;
        for job in jobs {
            fs::write(
                folder.join("jobs").join(&job.name),
                arguments(job).join("\n") + "\n",
            )?;
        }
        Ok(Self { folder })
    }

    /// Runs every job with the command `rondo`, wherever this machine can.
    ///
    /// # Errors
    /// When the jobs could not be run at all. A job that failed is not an error: its outcome says so.
    pub fn run(&self, lab: &Lab, rondo: &Path, jobs: usize) -> Result<()> {
        // Some of them may need several attempts.
        let limit = GUEST_LIMIT * u32::try_from(3 * jobs + 1)?;
        match LinuxHost::of_machine() {
            LinuxHost::OwnKvm => run_here(lab, rondo, &self.folder)?,
            LinuxHost::EmulatedMachine => {
                first_level::run(lab, rondo, &self.folder, limit)?;
                if self.unfinished()? > 0 && self.machine_panicked()? {
                    // What no program in it can cause, QEMU's emulation of SVM does now and then: see `run-jobs.sh`.
                    let kept = self.folder.join("run-panicked.log");
                    fs::rename(self.folder.join("run.log"), &kept)?;
                    writeln!(
                        io::stderr(),
                        "NOTE: the kernel of the emulated machine panicked, and it was booted a second time for the jobs that were left; its console is in {}",
                        kept.display()
                    )?;
                    first_level::run(lab, rondo, &self.folder, limit)?;
                }
            }
        }
        let stuck = self.folder.join("stuck");
        if stuck.exists() {
            // Past the test runner, which keeps what a passing test prints to itself.
            writeln!(
                io::stderr(),
                "NOTE: a guest stood still or died and was started again; what it left before is in {}",
                stuck.display()
            )?;
        }
        Ok(())
    }

    /// How many jobs have not ended.
    fn unfinished(&self) -> Result<usize> {
        let mut unfinished = 0;
        for job in fs::read_dir(self.folder.join("jobs"))? {
            let ended = self.folder.join("out").join(job?.file_name()).exists();
            unfinished += usize::from(!ended);
        }
        Ok(unfinished)
    }

    /// Whether the kernel of the emulated machine, not a guest's, said that it is lost.
    fn machine_panicked(&self) -> Result<bool> {
        let said = fs::read(self.folder.join("run.log"))?;
        Ok(String::from_utf8_lossy(&said).contains("Kernel panic - not syncing"))
    }

    /// What came out of the job `name`.
    #[must_use]
    pub fn outcome(&self, name: &str) -> Outcome {
        Outcome::read(self.folder.join("out").join(name))
    }
}

fn kernel_file(kernel: Kernel) -> String {
    format!("vmlinuz-{}", kernel.series())
}

fn initrd_file(kernel: Kernel) -> String {
    format!("guest-{}.cpio", kernel.series())
}

fn arguments(job: &Job) -> Vec<String> {
    let (width, height) = job.display;
    [
        "run",
        "--kernel",
        &kernel_file(job.kernel),
        "--initrd",
        &initrd_file(job.kernel),
        "--cmdline",
        &format!("console=ttyS0 panic=-1 quiet rig.steps={}", job.steps),
        "--cpus",
        &job.cpus.to_string(),
        "--memory",
        "512M",
        "--gpu",
        &format!("width={width},height={height}"),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Runs the jobs on this machine's own KVM, with busybox's tools, as the emulated machine does.
fn run_here(lab: &Lab, rondo: &Path, share: &Path) -> Result<()> {
    let tools = tempfile::tempdir()?;
    let busybox = lab.programs_root().join("bin/busybox");
    let installed = Command::new(&busybox)
        .args(["--install", "-s"])
        .arg(tools.path())
        .status();
    installed.with_context(|| format!("cannot run {}", busybox.display()))?;
    let log = fs::File::create(share.join("run.log"))?;
    Command::new(&busybox)
        .args(["sh", "run-jobs.sh"])
        .current_dir(share)
        .env("PATH", tools.path())
        .env("RONDO", rondo)
        .env("SHARE", share)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .context("cannot run the jobs")?;
    Ok(())
}

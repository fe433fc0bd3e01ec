// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The emulated machine in which Linux guests run where the real processor does not virtualise.
//!
//! QEMU's processor emulator has AMD's SVM with nested paging, so a stock Debian kernel in it has a KVM of its own, with no help from the
//! hardware. One boot runs every job: the folder of jobs is shared with it (9p), and what comes out lands there.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::initramfs;
use crate::kernel_modules::Modules;
use crate::lab::{Kernel, Lab};

/// The kernel of the emulated machine.
const KERNEL: Kernel = Kernel::Debian6_1;
/// KVM on AMD, and the shared folder.
const MODULES: [&str; 4] = ["kvm_amd", "virtio_pci", "9pnet_virtio", "9p"];
/// Memory of the emulated machine in MiB: the largest guest, what its files take, and room.
const MEMORY_MIB: &str = "3072";
const INIT: &[u8] = include_bytes!("../rig2/first-level-init.sh");

/// Boots the machine and runs the jobs of the folder `share` in it with the command `rondo`.
///
/// # Errors
/// When the machine does not come up, has no KVM, or has not ended after `limit`. Its console is in `run.log` in the folder.
pub fn run(lab: &Lab, rondo: &Path, share: &Path, limit: Duration) -> Result<()> {
    let initrd = share.join("first-level.cpio");
    let mut archive = initramfs::base(lab, INIT)?;
    initramfs::add_modules(
        &mut archive,
        &Modules::open(&lab.kernel_modules(KERNEL)?)?,
        &MODULES,
    )?;
    initramfs::add_host_program(&mut archive, rondo, "rondo")?;
    fs::write(&initrd, archive.finish())?;

    let log = share.join("run.log");
    let console = fs::File::create(&log)?;
    let share_option = format!(
        "local,path={},mount_tag=share,security_model=none,multidevs=remap",
        share.display().to_string().replace(',', ",,")
    );
    let mut machine = Command::new("qemu-system-x86_64")
        .args([
            "-M",
            "q35",
            "-cpu",
            "max,+svm",
            "-smp",
            "2",
            "-accel",
            "tcg,thread=multi",
            "-m",
            MEMORY_MIB,
        ])
        .args([
            "-display",
            "none",
            "-vga",
            "none",
            "-nic",
            "none",
            "-monitor",
            "none",
            "-serial",
            "stdio",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(lab.kernel_image(KERNEL)?)
        .arg("-initrd")
        .arg(&initrd)
        .args(["-append", "console=ttyS0 panic=-1 reboot=t nokaslr quiet"])
        .args(["-virtfs", &share_option])
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .spawn()
        .context("cannot start qemu-system-x86_64: run `cargo xtask prepare`")?;

    let started = Instant::now();
    let status = loop {
        if let Some(status) = machine.try_wait()? {
            break status;
        }
        if started.elapsed() > limit {
            machine.kill()?;
            machine.wait()?;
            bail!(
                "the emulated machine had not ended after {} s, see {}",
                limit.as_secs(),
                log.display()
            );
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    let said = fs::read(&log)?;
    let said = String::from_utf8_lossy(&said);
    if let Some(trouble) = said
        .lines()
        .find_map(|line| line.split_once("@@first-level "))
    {
        bail!(
            "the emulated machine {}, see {}",
            trouble.1.trim(),
            log.display()
        );
    }
    if !status.success() {
        bail!(
            "the emulated machine ended with {status}, see {}",
            log.display()
        );
    }
    Ok(())
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The initial root of a rig 2 Linux guest: a shell, `modetest`, the kernel's modules for a virtual GPU, and a script that tries them out.

use anyhow::Result;

use crate::initramfs;
use crate::kernel_modules::Modules;
use crate::lab::{Kernel, Lab};

use crate::picture::Picture;

/// The first process.
const INIT: &[u8] = include_bytes!("../rig2/guest-init.sh");
/// virtio-mmio is what `rondo` has; virtio-pci serves the same guest on other machines, for comparison.
const MODULES: [&str; 3] = ["virtio_mmio", "virtio_pci", "virtio_gpu"];
/// What `modetest` needs besides itself.
const LIBRARIES: [&str; 3] = ["libdrm.so.2", "libc.so.6", "libm.so.6"];

/// The initial root for `kernel`. The guest's `fb` step shows `picture`.
///
/// # Errors
/// When a part has not been brought by `cargo xtask prepare`.
pub fn build(lab: &Lab, kernel: Kernel, picture: &Picture) -> Result<Vec<u8>> {
    let mut archive = initramfs::base(lab, INIT)?;
    initramfs::add_modules(
        &mut archive,
        &Modules::open(&lab.kernel_modules(kernel)?)?,
        &MODULES,
    )?;
    initramfs::add_guest_program(&mut archive, lab, "usr/bin/modetest", &LIBRARIES)?;
    archive.file("picture.xrgb", 0o644, &picture.to_xrgb8888());
    Ok(archive.finish())
}

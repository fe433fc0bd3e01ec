// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Links the binary as a bare-metal ELF when, and only when, it is compiled with `-C panic=abort`.
//!
//! A `no_std` binary for the host's own target cannot unwind on a stable toolchain, and a package cannot choose its panic strategy. The VMM's
//! build script passes the flag; an ordinary `cargo build` of the workspace does not, and then gets a small hosted program that says so.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=link.ld");
    println!("cargo::rerun-if-changed=src/boot.s");
    println!("cargo::rustc-check-cfg=cfg(bare_metal)");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|v| v == value);
    if !(is("CARGO_CFG_PANIC", "abort") && is("CARGO_CFG_TARGET_ARCH", "x86_64")) {
        return;
    }
    println!("cargo::rustc-cfg=bare_metal");
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    for argument in [
        "-nostartfiles",
        "-nostdlib",
        "-static",
        "-no-pie",
        "-Wl,--build-id=none",
        "-Wl,-z,max-page-size=4096",
        "-Wl,-z,noexecstack",
        "-Wl,-z,norelro",
        "-Wl,--no-eh-frame-hdr",
        &format!("-Wl,-T,{here}/link.ld"),
    ] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The entry of the bare-metal guest: the boot stub, the panic handler and the memory functions that the compiler calls.
//!
//! Everything else is in the library of this package. Compiled without `-C panic=abort` this is a hosted program that only says
//! how to build the real one (`build.rs` has the reason).
#![cfg_attr(bare_metal, no_std, no_main)]

#[cfg(bare_metal)]
mod bare_metal;

#[cfg(not(bare_metal))]
fn main() -> std::process::ExitCode {
    eprintln!(
        "rondo-guest runs on a virtual machine, not on a host. `cargo build -p rondo` builds and embeds it; by hand: \
         RUSTFLAGS='-C panic=abort -C relocation-model=static' cargo build --release -p rondo-guest --target x86_64-unknown-linux-gnu"
    );
    std::process::ExitCode::from(2)
}

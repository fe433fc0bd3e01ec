// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! What only a program without an operating system needs: the boot stub, a panic handler, and `memcpy` and its kin.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};
use core::panic::PanicInfo;

use rondo_guest::boot::BootRecord;
use rondo_guest::{power, report};

global_asm!(include_str!("boot.s"), options(att_syntax));

/// Called by `boot.s` at CPL 3 with BSS cleared and a 128 KiB stack.
#[unsafe(no_mangle)]
extern "C" fn guest_main(record: &'static BootRecord) -> ! {
    rondo_guest::run::run(record)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    match info.location() {
        Some(at) => report!("error=panic file={} line={}", at.file(), at.line()),
        None => report!("error=panic"),
    }
    power::halt()
}

/// The precompiled `core` names it in its unwind tables, which the linker script throws away.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// C's `memcpy`.
///
/// # Safety
/// As in C: `len` bytes, valid, not overlapping.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise is exactly what the string copy needs; the direction flag is clear by the ABI.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags));
    }
    to
}

/// C's `memmove`.
///
/// # Safety
/// As in C: `len` bytes, valid, overlapping or not.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= len {
        // SAFETY: the destination does not begin inside the source, so copying upwards is right.
        return unsafe { memcpy(to, from, len) };
    }
    // SAFETY: copies downwards from the last byte and clears the direction flag again.
    unsafe {
        asm!(
            "std", "rep movsb", "cld",
            inout("rcx") len => _,
            inout("rdi") to.wrapping_add(len).wrapping_sub(1) => _,
            inout("rsi") from.wrapping_add(len).wrapping_sub(1) => _,
            options(nostack)
        );
    }
    to
}

/// C's `memset`.
///
/// # Safety
/// As in C: `len` bytes at `to` are valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller's promise is exactly what the string store needs.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("eax") byte, options(nostack, preserves_flags));
    }
    to
}

/// C's `memcmp`.
///
/// # Safety
/// As in C: `len` bytes at both are valid.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    let mut i = 0;
    while i < len {
        // SAFETY: `i < len`, and the caller promised `len` bytes. Volatile, so that the loop does not become a call of itself.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
        i += 1;
    }
    0
}

/// BSD's `bcmp`.
///
/// # Safety
/// As `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    // SAFETY: the same promise.
    unsafe { memcmp(a, b, len) }
}

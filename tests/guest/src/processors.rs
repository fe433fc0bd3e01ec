// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! The other virtual CPUs: started by INIT and SIPI, each counts itself once and stops. That proves that they run; they do nothing else.
//!
//! The local APIC's registers are memory-mapped, so CPL 3 can send the interrupts. Source: Intel SDM volume 3, section 11.4.4.1 (the universal start-up
//! algorithm) and 12.6.1 (interrupt command register).
#![allow(unsafe_code)]

use crate::tsc::{self, Frequency};

const APIC_ICR_LOW: usize = 0xfee0_0300;
/// INIT, assert, to all but self.
const INIT_OTHERS: u32 = 0x000c_4500;
/// Start-up at page 8, assert, to all but self.
const STARTUP_OTHERS: u32 = 0x000c_4608;

/// The page that a start-up vector of 8 names.
const TRAMPOLINE: usize = 0x8000;
/// Where the processors count themselves: a 16-bit word in that page.
const COUNTER: usize = TRAMPOLINE + 0x10;
/// 16-bit code: `lock inc word [0x8010]; cli; hlt; jmp` back to the `hlt`.
const CODE: [u8; 9] = [0xf0, 0xff, 0x06, 0x10, 0x80, 0xfa, 0xf4, 0xeb, 0xfd];

/// Starts every other processor and waits until `expected` processors in all have counted themselves, or a second has passed. Returns how many have,
/// this one included.
///
/// # Safety
/// The page at 0x8000 is RAM that nothing uses any more, and the local APIC is at its usual address.
#[must_use]
pub unsafe fn start(expected: u32, clock: Frequency) -> u32 {
    let millisecond = clock.ticks(1).unwrap_or(3_000_000);
    let counter = core::ptr::with_exposed_provenance_mut::<u16>(COUNTER);
    let code = core::ptr::with_exposed_provenance_mut::<u8>(TRAMPOLINE);
    // SAFETY: the caller's promise: the page is nobody else's.
    unsafe {
        counter.write_volatile(0);
        code.copy_from_nonoverlapping(CODE.as_ptr(), CODE.len());
    }
    let send = |command: u32| {
        // SAFETY: the local APIC's register; the only memory that its processors write is the counter.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<u32>(APIC_ICR_LOW).write_volatile(command)
        };
    };
    send(INIT_OTHERS);
    wait(10 * millisecond, || false);
    send(STARTUP_OTHERS);
    let running = || {
        // SAFETY: the counter's page is mapped and nobody else's; volatile, since other processors write it.
        1 + u32::from(unsafe { counter.read_volatile() })
    };
    if !wait(200 * millisecond, || running() >= expected) {
        send(STARTUP_OTHERS);
        wait(1000 * millisecond, || running() >= expected);
    }
    running()
}

/// Waits until `done` or so many ticks have passed; whether it was done.
fn wait(ticks: u64, done: impl Fn() -> bool) -> bool {
    let start = tsc::now();
    while tsc::now().wrapping_sub(start) < ticks {
        if done() {
            return true;
        }
        core::hint::spin_loop();
    }
    false
}

// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Sleeping on a word of memory and waking who sleeps there: `futex(2)`, with nothing around it.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::AtomicU32;

/// Sleeps until somebody wakes this word, unless it has another value than `expected`. May also end for no reason.
pub fn wait(word: &AtomicU32, expected: u32) {
    // SAFETY: the kernel reads the word, which lives as long as the call; no timeout is given.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            expected,
            ptr::null::<libc::timespec>(),
        );
    }
}

/// Wakes one that sleeps on this word.
pub fn wake(word: &AtomicU32) {
    const ONE: libc::c_int = 1;
    // SAFETY: the kernel only uses the word's address, to find who sleeps there.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            ONE,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{wait, wake};
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn given_a_sleeper_when_the_word_changes_and_is_woken_then_it_goes_on() {
        let word = AtomicU32::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while word.load(Ordering::SeqCst) == 0 {
                    wait(&word, 0);
                }
                word.store(2, Ordering::SeqCst);
                wake(&word);
            });
            word.store(1, Ordering::SeqCst);
            wake(&word);
            while word.load(Ordering::SeqCst) == 1 {
                wait(&word, 1);
            }
        });
        assert_eq!(word.load(Ordering::SeqCst), 2);
    }
}

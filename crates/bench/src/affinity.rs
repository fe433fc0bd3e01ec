// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Keeps the calling thread on one core.

#![allow(unsafe_code)]

use std::{io, mem};

/// Keeps the calling thread on the last of the cores that it may run on: the first one has most of the interrupts.
///
/// # Errors
/// What the kernel says.
pub fn stay_on_one_core() -> io::Result<()> {
    const THIS_THREAD: libc::pid_t = 0;
    const SIZE: usize = size_of::<libc::cpu_set_t>();
    // SAFETY: a set of processors is an array of integers, for which all zeros is a value: the empty set.
    let mut cores: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most `SIZE` bytes to the set, which lives as long as the call.
    if unsafe { libc::sched_getaffinity(THIS_THREAD, SIZE, &raw mut cores) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let places = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: it reads a bit of the set, and the places are within it.
    let mut allowed = (0..places).filter(|&core| unsafe { libc::CPU_ISSET(core, &cores) });
    let last = allowed.next_back().unwrap_or(0);
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: it writes a bit of the set, and the place is within it.
    unsafe { libc::CPU_SET(last, &mut one) };
    // SAFETY: the kernel reads at most `SIZE` bytes from the set, which lives as long as the call.
    if unsafe { libc::sched_setaffinity(THIS_THREAD, SIZE, &raw const one) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::stay_on_one_core;

    #[test]
    fn given_a_thread_when_it_stays_on_one_core_then_it_sees_no_other() {
        let seen = std::thread::spawn(|| {
            stay_on_one_core().map(|()| std::thread::available_parallelism().map_or(0, usize::from))
        });
        assert_eq!(seen.join().ok().and_then(Result::ok), Some(1));
    }
}

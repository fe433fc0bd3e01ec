// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! A thread as Linux knows it: which cores it may run on (`sched_setaffinity(2)`), and how real time is taken from it.

#![allow(unsafe_code)]

use std::io;

use libc::c_ulong;

/// A word of the kernel's set.
const BITS: usize = c_ulong::BITS as usize;
/// Words for 8192 cores, more than which Linux does not count on x86-64.
const WORDS: usize = 8192 / BITS;

/// A core, by Linux's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Core(pub(crate) u16);

/// A thread of this process, by Linux's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadId(libc::pid_t);

impl ThreadId {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        // SAFETY: `gettid` takes nothing and cannot fail.
        Self(unsafe { libc::gettid() })
    }
}

/// The cores that the calling thread may run on, the lowest first: all of the host's, unless whoever started the process said less.
///
/// # Errors
/// What `sched_getaffinity` says; it has no reason to refuse on hosts of up to 8192 cores.
pub(crate) fn allowed() -> io::Result<Vec<Core>> {
    let mut words: [c_ulong; WORDS] = [0; WORDS];
    // SAFETY: the kernel writes at most the given number of bytes to the pointer, which is a live and writable array of that
    // size, aligned as the kernel's words are, and keeps no pointer to it.
    let result =
        unsafe { libc::sched_getaffinity(0, size_of_val(&words), words.as_mut_ptr().cast()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let is_set = |core: &u16| {
        let core = usize::from(*core);
        (words.get(core / BITS)).is_some_and(|word| word >> (core % BITS) & 1 == 1)
    };
    Ok((0..8192).filter(is_set).map(Core).collect())
}

/// From now on the thread runs on these cores only. A running one is moved before this returns.
///
/// # Errors
/// `EINVAL` if none of them is the process's (any more), `ESRCH` if the thread is gone.
pub(crate) fn set(thread: ThreadId, cores: &[Core]) -> io::Result<()> {
    let mut words: [c_ulong; WORDS] = [0; WORDS];
    for core in cores {
        let core = usize::from(core.0);
        if let Some(word) = words.get_mut(core / BITS) {
            *word |= 1 << (core % BITS);
        }
    }
    // SAFETY: the kernel reads at most the given number of bytes from the pointer, which is a live array of that size, aligned as
    // the kernel's words are, and keeps no pointer to it. Which thread it is has no part in memory safety.
    let result =
        unsafe { libc::sched_setaffinity(thread.0, size_of_val(&words), words.as_ptr().cast()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// A thread that waits for the processor as all others do, whatever it was granted before.
///
/// # Errors
/// `ESRCH` if the thread is gone.
pub(crate) fn demote(thread: ThreadId) -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel reads the structure, which is live, and keeps no pointer to it. Which thread it is has no part in memory
    // safety.
    let result =
        unsafe { libc::sched_setscheduler(thread.0, libc::SCHED_OTHER, &raw const parameters) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// On a thread of its own, since it changes the calling thread.
    fn apart<T: Send>(test: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| match scope.spawn(test).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    #[test]
    fn given_a_core_of_the_process_when_a_thread_is_set_on_it_then_it_may_run_there_alone() {
        apart(|| {
            let all = allowed().unwrap();
            assert!(!all.is_empty());
            for core in &all {
                set(ThreadId::current(), &[*core]).unwrap();
                assert_eq!(allowed().unwrap(), [*core]);
            }
            set(ThreadId::current(), &all).unwrap();
            assert_eq!(allowed().unwrap(), all);
        });
    }

    #[test]
    fn given_another_thread_that_sleeps_when_it_is_set_on_a_core_then_it_alone_is() {
        let all = allowed().unwrap();
        let last = *all.last().unwrap();
        let (told, tell) = std::sync::mpsc::channel();
        let (go, gone) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(move || {
                told.send(ThreadId::current()).unwrap();
                let _ = gone.recv();
                allowed().unwrap()
            });
            set(tell.recv().unwrap(), &[last]).unwrap();
            drop(go);
            assert_eq!(sleeper.join().unwrap(), [last]);
        });
        assert_eq!(allowed().unwrap(), all);
    }

    #[test]
    fn given_no_core_or_none_that_exists_when_a_thread_is_set_on_it_then_it_is_refused_and_stays() {
        apart(|| {
            let before = allowed().unwrap();
            for none in [&[][..], &[Core(8191)]] {
                let refused = set(ThreadId::current(), none).unwrap_err();
                assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
            }
            assert_eq!(allowed().unwrap(), before);
        });
    }

    #[test]
    fn given_a_thread_when_it_is_demoted_then_linux_schedules_it_as_all_others() {
        apart(|| {
            // Refused or not: it ends the same.
            let _ = crate::thread_priority::PromptWorkers::engine().apply();
            demote(ThreadId::current()).unwrap();
            // SAFETY: it takes a number and returns one.
            assert_eq!(unsafe { libc::sched_getscheduler(0) }, libc::SCHED_OTHER);
        });
    }
}

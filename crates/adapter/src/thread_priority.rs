// SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
//! Asks Linux to run worker threads soon after they are woken: a short slice, and a better nice value where permitted.
//!
//! Between two VMs' turns the engine idles until the next worker runs. On a machine whose cores are full of vCPUs that
//! is as long as the kernel lets them go on. Linux 6.12 and later let a thread ask for a short slice without any
//! privilege: it then preempts threads with longer ones when it wakes, and gets no more processor time for it
//! (`sched(7)`, `sched_setattr(2)`). Older kernels ignore the slice. See `examples/two_busy_vms.rs`, which measures it.

#![allow(unsafe_code)]

use std::io;

use rondo_scheduler::Nanos;

use crate::gpu::WorkerHook;

/// `struct sched_attr` as Linux 3.14 published it; later fields are optional.
#[derive(Debug, Default)]
#[repr(C)]
struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// `SCHED_ATTR_SIZE_VER0`.
const SIZE: u32 = 48;
const _: () = assert!(size_of::<SchedAttr>() == 48);

/// What each worker thread asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PromptWorkers {
    /// The slice; Linux keeps it between 0.1 and 100 ms.
    pub slice: Nanos,
    /// The nice value, -20 to 19; below the thread's own it needs `CAP_SYS_NICE` or `RLIMIT_NICE`, and is left as it is
    /// without.
    pub nice: i32,
}

impl Default for PromptWorkers {
    /// 0.1 ms, and nice -10 where permitted.
    fn default() -> Self {
        Self {
            slice: Nanos::from_micros(100),
            nice: -10,
        }
    }
}

impl PromptWorkers {
    /// Asks for it on the calling thread. Tells which nice value it has got.
    ///
    /// # Errors
    /// What `sched_setattr` says to the thread's own nice value, which needs no privilege.
    pub fn apply(&self) -> io::Result<i32> {
        match self.ask(self.nice) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.ask(0).map(|()| 0)
            }
            result => result.map(|()| self.nice),
        }
    }

    fn ask(&self, nice: i32) -> io::Result<()> {
        let attributes = SchedAttr {
            size: SIZE,
            // SCHED_OTHER is 0.
            nice,
            runtime: self.slice.0,
            ..SchedAttr::default()
        };
        const THIS_THREAD: libc::pid_t = 0;
        const NO_FLAGS: libc::c_uint = 0;
        // SAFETY: the kernel reads `size` bytes from the pointer, which is a live structure of that size and of the layout
        // that the system call documents, and keeps no pointer to it.
        let result = unsafe {
            libc::syscall(
                libc::SYS_sched_setattr,
                THIS_THREAD,
                &raw const attributes,
                NO_FLAGS,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

impl WorkerHook for PromptWorkers {
    fn on_start(&self) {
        match self.apply() {
            Ok(nice) => log::debug!("a GPU worker runs at nice {nice}"),
            Err(error) => log::debug!("a GPU worker has no short slice: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_gets_what_needs_no_privilege() {
        let prompt = PromptWorkers {
            nice: 5,
            ..PromptWorkers::default()
        };
        let got = std::thread::spawn(move || prompt.apply()).join();
        assert_eq!(got.map(Result::ok).ok(), Some(Some(5)));
    }

    #[test]
    fn a_refused_nice_value_leaves_the_rest() {
        let got = std::thread::spawn(|| PromptWorkers::default().apply()).join();
        let nice = got.map(Result::ok).ok().flatten();
        assert!(matches!(nice, Some(-10 | 0)), "{nice:?}");
    }
}
